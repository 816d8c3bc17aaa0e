// SPDX-License-Identifier: Apache-2.0
// The schedules whose traffic is counted, run on tiles of an instrumented level: everything that is computed on lies in
// it. Score terms and sinks are left out; masks decide as the library does.
#pragma once
#include <attend/attention.hpp>
#include <vector>

#include "cpu/traffic.hpp"
#include "level.hpp"
#include "plan/tile_traffic.hpp"

namespace attend::test {

/// Standard attention, with the tiles of naive_tiles().
void run_naive(const AttentionFwd& problem, const AttentionFwdArgs& args, Level& level);

/// FlashAttention-1, with the tiles of flash_attention_1_tiles().
void run_flash_attention_1(const AttentionFwd& problem, const AttentionFwdArgs& args, Level& level);

/// Packed panels and blocks of rows, then decoding items, as the CPU does them. Panels and states hold f32; of the
/// residents' bytes, what is not used is allocated.
void run_work_list(const AttentionFwd& problem, const AttentionFwdArgs& args, const plan_detail::WorkList& work,
                   const plan_detail::DecodeList& decode, const cpu::Residents& residents, Level& level);

/// Items of sections, as devices do them.
void run_tile_list(const AttentionFwd& problem, const AttentionFwdArgs& args, const plan_detail::TileList& list,
                   const plan_detail::TileList::Shape& shape, const std::vector<plan_detail::Section>& sections,
                   Level& level);

}  // namespace attend::test
