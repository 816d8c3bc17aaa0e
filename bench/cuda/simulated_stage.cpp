// SPDX-License-Identifier: Apache-2.0
#include "sim/launch/simulated_device.hpp"
#include "stage.hpp"

namespace attend::bench::cuda {
namespace {

class SimulatedStage final : public Stage {
 public:
  const Device& device() const override { return device_; }
  void* stream() const override { return nullptr; }
  bool simulated() const override { return true; }
  const StageFacts& facts() const override { return facts_; }
  int64_t copy_bytes() const override { return 0; }
  Status copy() override { return {}; }

  Result<Lap> lap(const Enqueue& run, int runs, double, const std::function<void()>& meanwhile) override {
    for (int i = 0; i < runs; ++i)
      if (Status status = run(index_++); !status.ok()) return status;
    if (meanwhile) meanwhile();
    if (Status status = device_.synchronize(); !status.ok()) return status;
    return Lap{};
  }

 private:
  const Device device_ = ptxsim::simulated_device();
  const StageFacts facts_{device_.name(), "", "", 0};
  int64_t index_ = 0;
};

}  // namespace

Result<std::unique_ptr<Stage>> make_simulated_stage() {
  return std::unique_ptr<Stage>(std::make_unique<SimulatedStage>());
}

}  // namespace attend::bench::cuda
