// SPDX-License-Identifier: Apache-2.0
#include "sim/launch/simulated_device.hpp"

#include <utility>

#include "cuda/context.hpp"
#include "sim/launch/simulator_backend.hpp"

namespace ptxsim {

attend::Device simulated_device(const Schedule& schedule, Checks checks, int multiprocessors) {
  return attend::cuda::make_device(std::make_unique<SimulatorBackend>(schedule, std::move(checks), multiprocessors));
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
