// SPDX-License-Identifier: Apache-2.0
// Bytes that the CPU's schedule moves through a memory level: AttentionFwdPlan::memory_traffic().
#pragma once
#include <attend/attention.hpp>
#include <cstdint>

#include "plan/decode_list.hpp"
#include "plan/work_list.hpp"

namespace attend::cpu {

/// What the schedule keeps in the level.
struct Residents {
  int64_t panel_bytes = 0;    ///< a panel of K and one of V, packed
  int64_t scratch_bytes = 0;  ///< what a worker computes a block or a decoding item in
  int64_t state_bytes = 0;    ///< what a chunk of keys leaves of a row until chunks are merged
};

/// One worker does all items in order: packs the panels of a wave, then computes its blocks. The scratch stays in the
/// level; beside it, whatever of these fits:
///
///   the wave    its packed panels never leave the level
///   a group     packed panels are written once, and read once by each block that sees them
///   a panel     packed panels are written once, and read once by each stripe that sees them
///
/// Seen is what the mask does not skip. Then it does the decoding items: a block of keys is read as it is stored, once
/// by each item with a row that sees it, and chunks write states that their merge reads. Error: invalid_argument for a
/// level without room for a panel, or a block, beside the scratch.
Result<MemoryTraffic> memory_traffic(const AttentionFwd& problem, const plan_detail::WorkList& work,
                                     const plan_detail::DecodeList& decode, const Residents& residents,
                                     int64_t level_bytes);

}  // namespace attend::cpu
