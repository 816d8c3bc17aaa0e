// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "sim/machine/warp.hpp"

namespace ptxsim {

class Machine;

/// A function's registers for a warp of `cta`: nothing written but its read-only slots. Grows the threads' local
/// memory.
std::shared_ptr<Frame> new_frame(Machine& machine, Cta& cta, uint32_t warp, const Function& function,
                                 std::shared_ptr<Frame> caller);
/// Brings the clocks among the special registers up to date.
void refresh_clocks(Machine& machine, Warp& warp, Frame& frame);

}  // namespace ptxsim
