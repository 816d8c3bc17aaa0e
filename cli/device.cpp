// SPDX-License-Identifier: Apache-2.0
#include "device.hpp"

#include "command.hpp"

namespace attend::cli {

void add_device_option(CLI::App& command, CommonOptions& options) {
  command
      .add_option("--device", options.device,
                  "cpu, cuda (the first CUDA device), or sim (the PTX simulator, on the CPU)")
      ->check(CLI::IsMember({"cpu", "cuda", "sim"}))
      ->capture_default_str();
}

Device device_named(const std::string& name, uint64_t seed) {
  if (name == "cuda") return take(Device::cuda());
  if (name == "sim") return take(make_simulated_device(seed));
  return {};
}

}  // namespace attend::cli
