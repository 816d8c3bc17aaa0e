// SPDX-License-Identifier: Apache-2.0
#include "sim/launch/simulated_device.hpp"

#include <utility>

#include "cuda/context.hpp"

namespace ptxsim {

attend::Device simulated_device(const Schedule& schedule, Checks checks, int multiprocessors) {
  return attend::cuda::make_device(std::make_unique<SimulatorBackend>(schedule, std::move(checks), multiprocessors));
}

attend::Device traced_device(const Schedule& schedule, const TraceOptions& trace, int multiprocessors,
                             OnLaunch on_launch) {
  auto backend = std::make_unique<SimulatorBackend>(schedule, Checks(), multiprocessors);
  backend->device().set_trace(trace);
  backend->set_on_launch(std::move(on_launch));
  return attend::cuda::make_device(std::move(backend));
}

Schedule drawn_schedule(uint64_t seed) {
  Schedule schedule;
  schedule.seed = seed;
  schedule.async = kAsyncPolicies[seed % kAsyncPolicies.size()];
  schedule.lanes = seed % 3 == 0 ? LanePolicy::any : LanePolicy::reconverge;
  schedule.elect_highest = seed % 5 == 1;
  schedule.quantum = seed % 7 == 2 ? 8 : 200;
  schedule.interleave_clusters = seed % 4 == 3;
  return schedule;
}

}  // namespace ptxsim
