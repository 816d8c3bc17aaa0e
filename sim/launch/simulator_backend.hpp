// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cuda/host/launch_backend.hpp"
#include "sim/ptxsim.hpp"

namespace ptxsim {

/// A launch that has run, with those behind it that could overlap with it (LaunchOptions::programmatic).
struct SimulatedLaunch {
  std::string kernel;
  const Module& module;
  LaunchOptions options;
  const RunReport& report;
};
using OnLaunch = std::function<void(const SimulatedLaunch&)>;

/// A simulated device for host code. Launches wait until something asks for their result (a copy, a fill, a free,
/// synchronize), so that a programmatic one can overlap with the one in front of it on its stream. A report that is not
/// clean is an error of status code device, with its text.
class SimulatorBackend : public attend::cuda::LaunchBackend {
 public:
  explicit SimulatorBackend(const Schedule& schedule = {}, Checks checks = {}, int multiprocessors = 4);

  attend::cuda::DeviceFacts facts() const override;
  Result<attend::cuda::ModuleHandle> load_module(std::string_view image, const std::string& name) override;
  Status unload_module(attend::cuda::ModuleHandle module) override;
  Result<attend::cuda::KernelHandle> kernel(attend::cuda::ModuleHandle module,
                                            const std::string& mangled_name) override;
  Result<attend::cuda::DeviceAddress> symbol(attend::cuda::ModuleHandle module, const std::string& name) override;
  Result<attend::cuda::DeviceAddress> alloc(size_t bytes, const std::string& name) override;
  Status free(attend::cuda::DeviceAddress address) override;
  Status copy_to_device(attend::cuda::DeviceAddress to, std::span<const std::byte> from,
                        attend::cuda::StreamHandle stream) override;
  Status copy_to_host(std::span<std::byte> to, attend::cuda::DeviceAddress from,
                      attend::cuda::StreamHandle stream) override;
  Status fill(attend::cuda::DeviceAddress to, uint8_t value, size_t bytes, attend::cuda::StreamHandle stream) override;
  Result<attend::cuda::StreamHandle> create_stream() override;
  Status destroy_stream(attend::cuda::StreamHandle stream) override;
  Status launch(attend::cuda::KernelHandle kernel, const attend::cuda::LaunchConfig& config,
                std::span<const std::byte> params) override;
  Status synchronize(attend::cuda::StreamHandle stream) override;
  Result<attend::cuda::TensorMap> encode_tiled(const attend::cuda::TiledDesc& desc) override;

  /// A module that has been parsed already.
  attend::cuda::ModuleHandle add(Module module);
  /// LaunchOptions::instruction_budget of the launches to come; 0: its default.
  void set_instruction_budget(uint64_t warp_instructions) { instruction_budget_ = warp_instructions; }
  /// Is told of each launch when it has run.
  void set_on_launch(OnLaunch on_launch) { on_launch_ = std::move(on_launch); }
  /// Of each launch that has run, for tests; of one report with those behind it that could overlap with it.
  const std::vector<RunReport>& reports() const { return reports_; }
  Device& device() { return device_; }

 private:
  struct Kernel {
    uint64_t module = 0;
    EntryInfo entry;
  };
  struct Waiting {
    uint64_t stream = 0;
    LaunchRequest request;
  };
  Result<const Module*> find(attend::cuda::ModuleHandle module) const;
  /// Runs what waits, of all streams in the order of their launches: one of the orders that a device could choose.
  Status run_waiting();

  Device device_;
  int multiprocessors_;
  std::map<uint64_t, Module> modules_;
  std::map<uint64_t, Kernel> kernels_;
  std::map<attend::cuda::DeviceAddress, size_t> blocks_;
  std::vector<Waiting> waiting_;
  std::vector<RunReport> reports_;
  OnLaunch on_launch_;
  uint64_t next_id_ = 1, instruction_budget_ = 0;
};

}  // namespace ptxsim
