// SPDX-License-Identifier: Apache-2.0
// Devices by their names on the command line.
#pragma once
#include <attend/device.hpp>
#include <cstdint>
#include <string>

namespace CLI {
class App;
}

namespace attend::cli {

struct CommonOptions;

/// `--device cpu|cuda|sim`.
void add_device_option(CLI::App& command, CommonOptions& options);

/// The device of that name. Each call for `sim` makes a new one, under the schedule of the seed. Throws CommandError
/// when there is none here.
Device device_named(const std::string& name, uint64_t seed = 0);

/// A device in the PTX simulator. Error: unsupported, in a tool without the simulator.
Result<Device> make_simulated_device(uint64_t seed);

}  // namespace attend::cli
