// SPDX-License-Identifier: Apache-2.0
#include "simulated.hpp"

namespace attend::cuda {
namespace {

using CudaAttentionFwd = CudaTest;

TEST_F(CudaAttentionFwd, random_problems_stay_within_their_bound) {
  verify::GeneratorLimits limits;
  limits.max_rows = 70;
  limits.max_batch = 3;
  limits.max_heads = 4;
  limits.max_columns = 160;
  limits.max_work = 1.5e6;
  for (uint64_t seed = 0; seed < 60; ++seed) expect_right(verify::random_problem(seed, limits), seed);
}

TEST_F(CudaAttentionFwd, lengths_at_the_edges_of_tiles) {
  for (const int rows : {0, 1, 15, 16, 17, 33})
    for (const int keys : {0, 1, 31, 32, 33, 65})
      expect_right(problem_of("attention_fwd b=1 hq=2 hk=1 sq=" + std::to_string(rows) + " sk=" + std::to_string(keys) +
                              " d=16 lse=1 mask=causal"),
                   static_cast<uint64_t>(rows * 100 + keys));
}

TEST_F(CudaAttentionFwd, the_widest_heads) {
  expect_right(problem_of("attention_fwd b=1 hq=1 sq=17 sk=40 d=512 dv=512 dtype=bf16"), 1);
  expect_right(problem_of("attention_fwd b=1 hq=1 sq=5 sk=40 d=1 dv=511 dtype=f16"), 2);
}

TEST_F(CudaAttentionFwd, explain_says_what_the_device_does) {
  PlanOptions options;
  options.device = test_device();
  const Result<AttentionFwdPlan> ready = plan(problem_of("attention_fwd sq=64 sk=64 d=64 mask=causal"), options);
  ASSERT_TRUE(ready.ok()) << ready.status().message();
  EXPECT_EQ(ready->kernel(), "attention_fwd.cuda.simple");
  EXPECT_NE(ready->explain().find("device     " + options.device.name()), std::string::npos) << ready->explain();
}

TEST_F(CudaAttentionFwd, explain_says_how_items_are_ordered) {
  PlanOptions options;
  options.device = ptxsim::simulated_device();
  // 16 key heads of 3.125 MiB, of which eight fit half of its cache.
  const std::string line = "attention_fwd hq=32 hk=16 sq=6400 sk=6400 d=128 dtype=bf16 mask=causal";
  for (const char* kernel : {"attention_fwd.sm90.bf16.d128", "attention_fwd.sm80.bf16.d128"}) {
    options.kernel = kernel;
    const Result<AttentionFwdPlan> ready = plan(problem_of(line), options);
    ASSERT_TRUE(ready.ok()) << ready.status().message();
    EXPECT_NE(ready->explain().find("in each of 2 sections; the largest reads 25.0 MiB"), std::string::npos)
        << ready->explain();
    EXPECT_EQ(ready->explain().find("4 shares") != std::string::npos, options.kernel.find("sm90") != std::string::npos)
        << ready->explain();
  }
}

TEST_F(CudaAttentionFwd, a_kernel_of_another_device_is_refused) {
  PlanOptions options;
  options.device = test_device();
  options.kernel = "attention_fwd.emu.f32";
  const Result<AttentionFwdPlan> ready = plan(problem_of("attention_fwd sq=8 sk=8 d=8"), options);
  ASSERT_FALSE(ready.ok());
  EXPECT_EQ(ready.status().code(), StatusCode::invalid_argument);
  EXPECT_NE(ready.status().message().find("attention_fwd.cuda.simple"), std::string::npos);
}

TEST(CudaDevice, a_machine_without_one_says_what_is_missing) {
  const Result<Device> device = Device::cuda();
  if (device.ok()) GTEST_SKIP() << "this machine has " << device->name();
  EXPECT_EQ(device.status().code(), StatusCode::device);
  EXPECT_FALSE(device.status().message().empty());
}

TEST(CudaDevice, memory_of_the_cpu_is_memory) {
  const Device cpu;
  EXPECT_EQ(cpu.name(), "cpu");
  const Result<void*> memory = cpu.allocate(100);
  ASSERT_TRUE(memory.ok());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(*memory) % 64, 0u);
  const char text[] = "seven";
  char back[sizeof text] = {};
  EXPECT_TRUE(cpu.copy_to_device(*memory, text, sizeof text).ok());
  EXPECT_TRUE(cpu.copy_to_host(back, *memory, sizeof text).ok());
  EXPECT_STREQ(back, text);
  EXPECT_TRUE(cpu.synchronize().ok());
  EXPECT_TRUE(cpu.free(*memory).ok());
}

}  // namespace
}  // namespace attend::cuda
