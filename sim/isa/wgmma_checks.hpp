// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "sim/isa/wgmma_groups.hpp"

// What a wgmma's operands must satisfy when a warp issues it.
namespace ptxsim {

/// The descriptors of A (0 in registers) and B; H16 when the lanes of the warp disagree.
std::array<uint64_t, 2> wgmma_descriptors(const Step& step, const WgmmaForm& form);
/// Addresses of the operands' chunks; H16 notes the descriptor's own faults and ends the launch where it leaves the
/// CTA's shared memory.
std::array<std::vector<uint32_t>, 2> wgmma_chunks(const Step& step, const WgmmaForm& form,
                                                  const std::array<uint64_t, 2>& descriptors);
/// Whether the old value of D takes part; H20 when the lanes of the warp disagree.
bool wgmma_scale_d(const Step& step, const WgmmaForm& form);

/// H01, H02, H03 and H11 for the registers named. `last`: what the warp did with this accumulator before.
void check_wgmma_registers(const Step& step, const WgmmaForm& form, const Accumulator::Member& last);

}  // namespace ptxsim
