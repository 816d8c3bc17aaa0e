// SPDX-License-Identifier: Apache-2.0
#include "sim/launch/simulated_device.hpp"

#include "device.hpp"

namespace attend::cli {

Result<Device> make_simulated_device(uint64_t seed) { return ptxsim::simulated_device(ptxsim::drawn_schedule(seed)); }

}  // namespace attend::cli
