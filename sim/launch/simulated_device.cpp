// SPDX-License-Identifier: Apache-2.0
#include "sim/launch/simulated_device.hpp"

#include <utility>

#include "cuda/context.hpp"
#include "sim/launch/simulator_backend.hpp"

namespace ptxsim {

attend::Device simulated_device(const Schedule& schedule, Checks checks, int multiprocessors) {
  return attend::cuda::make_device(std::make_unique<SimulatorBackend>(schedule, std::move(checks), multiprocessors));
}

}  // namespace ptxsim
