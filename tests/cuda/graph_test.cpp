// SPDX-License-Identifier: Apache-2.0
// A run captured into a CUDA graph, on a device: replays compute what the memory holds then.
#include <array>
#include <string>
#include <vector>

#include "cuda/host/driver.hpp"
#include "simulated.hpp"

namespace attend::cuda {
namespace {

using CudaGraph = CudaTest;

/// q, k, v, o and a workspace on the device.
class Buffers {
 public:
  Buffers(const Device& device, const AttentionFwdPlan& plan, const verify::Inputs& inputs) : device_(device) {
    for (int i = 0; i < 4; ++i) memory_[i] = allocate(bytes(plan.problem(), inputs, i));
    workspace_ = allocate(plan.workspace_bytes());
    args_.q = memory_[0], args_.k = memory_[1], args_.v = memory_[2], args_.o = memory_[3];
  }
  ~Buffers() {
    for (void* memory : owned_) EXPECT_TRUE(device_.free(memory).ok());
  }
  const AttentionFwdArgs& args() const { return args_; }
  std::byte* workspace() const { return static_cast<std::byte*>(workspace_); }
  /// All four tensors, the poisoned output too.
  void write(const AttentionFwd& problem, const verify::Inputs& inputs) {
    for (int i = 0; i < 4; ++i)
      EXPECT_TRUE(device_.copy_to_device(memory_[i], inputs.data(i), bytes(problem, inputs, i)).ok());
  }
  void read(const AttentionFwd& problem, const verify::Inputs& inputs) {
    EXPECT_TRUE(device_.copy_to_host(inputs.data(3), memory_[3], bytes(problem, inputs, 3)).ok());
  }

 private:
  static size_t bytes(const AttentionFwd& problem, const verify::Inputs& inputs, int buffer) {
    return static_cast<size_t>(inputs.elements(buffer) * dtype_bytes(problem.q_type));
  }
  void* allocate(size_t bytes) {
    if (bytes == 0) return nullptr;
    const Result<void*> memory = device_.allocate(bytes);
    EXPECT_TRUE(memory.ok()) << memory.status().message();
    if (memory.ok()) owned_.push_back(*memory);
    return memory.ok() ? *memory : nullptr;
  }

  const Device& device_;
  std::array<void*, 4> memory_{};
  void* workspace_ = nullptr;
  std::vector<void*> owned_;
  AttentionFwdArgs args_;
};

void expect_replay(const std::string& line) {
  const Device device = test_device();
  const Result<const driver::Api*> loaded = driver::load();
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  const driver::Api& api = **loaded;
  const AttentionFwd problem = problem_of(line);
  PlanOptions options;
  options.device = device;
  const auto ready = plan(problem, options);
  ASSERT_TRUE(ready.ok()) << ready.status().message();
  verify::FillOptions fill;
  fill.poison = false;
  verify::Inputs inputs = verify::Inputs::make(problem, fill);
  Buffers buffers(device, *ready, inputs);

  driver::Stream stream = nullptr;
  driver::Graph graph = nullptr;
  driver::GraphExec executable = nullptr;
  ASSERT_EQ(api.stream_create(&stream, driver::kStreamNonBlocking), driver::kSuccess);
  ASSERT_EQ(api.capture_begin(stream, driver::kCaptureThreadLocal), driver::kSuccess);
  AttentionFwdArgs args = buffers.args();
  args.stream = stream;
  const Status captured = ready->run(args, {buffers.workspace(), ready->workspace_bytes()});
  ASSERT_EQ(api.capture_end(stream, &graph), driver::kSuccess);
  ASSERT_TRUE(captured.ok()) << captured.message();
  ASSERT_EQ(api.graph_instantiate(&executable, graph, 0), driver::kSuccess);

  for (const uint64_t seed : {1, 2, 3}) {
    fill.seed = seed;
    inputs = verify::Inputs::make(problem, fill);
    inputs.poison_outputs();
    buffers.write(problem, inputs);
    ASSERT_EQ(api.graph_launch(executable, stream), driver::kSuccess);
    const Status done = device.synchronize(stream);
    ASSERT_TRUE(done.ok()) << done.message();
    buffers.read(problem, inputs);
    const Comparison comparison = compare_with_reference(problem, inputs.args(), ready->arithmetic());
    EXPECT_TRUE(comparison.first_failure.empty()) << line << ", replay " << seed << ": " << comparison.first_failure;
  }
  EXPECT_EQ(api.graph_exec_destroy(executable), driver::kSuccess);
  EXPECT_EQ(api.graph_destroy(graph), driver::kSuccess);
  EXPECT_EQ(api.stream_destroy(stream), driver::kSuccess);
}

TEST_F(CudaGraph, replays_compute_what_the_memory_holds_then) {
  if (!on_cuda_device()) GTEST_SKIP() << "simulated devices have no graphs: ATTEND_TEST_DEVICE=cuda";
  expect_replay("attention_fwd hq=4 hk=2 sq=200 sk=300 d=64 dtype=bf16 mask=causal");
  expect_replay("attention_fwd hq=2 sq=130 sk=257 d=128 dtype=f16");
  expect_replay("attention_fwd hq=2 hk=1 sq=40 sk=70 d=24 mask=window:10:3");
}

}  // namespace
}  // namespace attend::cuda
