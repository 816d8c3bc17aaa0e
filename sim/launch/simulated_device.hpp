// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/device.hpp>

#include "sim/launch/simulator_backend.hpp"
#include "sim/ptxsim.hpp"

namespace ptxsim {

/// A device for the library's plans whose kernels run in the simulator. What the checks report is the error of the call
/// that waits for the work: a copy to the host, or synchronize().
attend::Device simulated_device(const Schedule& schedule = {}, Checks checks = {}, int multiprocessors = 4);

/// The same; each launch records what `trace` asks for, and `on_launch` is told of it when it has run.
attend::Device traced_device(const Schedule& schedule, const TraceOptions& trace, int multiprocessors,
                             OnLaunch on_launch);

/// The schedule of a seed: every policy of asynchronous operations and of lanes occurs among few consecutive ones.
Schedule drawn_schedule(uint64_t seed);

}  // namespace ptxsim
