// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "sim/machine/warp.hpp"

namespace ptxsim {

class Machine;

/// What a thread's stack may hold: the bytes of local memory that a device has, and as many calls as fit there.
inline constexpr uint32_t kMaxStackBytes = 512 * 1024, kMaxCalls = 1024;

/// Where the callee's frame begins in the local memory of the caller's threads.
uint32_t local_base_of(const Frame& caller, const Function& callee);

/// A function's registers for a warp of `cta`: nothing written but its read-only slots. Grows the threads' local
/// memory.
std::shared_ptr<Frame> new_frame(Machine& machine, Cta& cta, uint32_t warp, const Function& function,
                                 std::shared_ptr<Frame> caller);
/// Brings the clocks among the special registers up to date.
void refresh_clocks(Machine& machine, Warp& warp, Frame& frame);

}  // namespace ptxsim
