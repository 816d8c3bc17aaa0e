// SPDX-License-Identifier: Apache-2.0
// What C programs do with a device, on a simulated one.
#include <attend/attend.h>
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "capi/handles.hpp"
#include "cuda/images.hpp"
#include "sim/launch/simulated_device.hpp"
#include "verify/verify.hpp"

namespace attend {
namespace {

struct Destroy {
  void operator()(attend_attention_fwd* problem) const { attend_attention_fwd_destroy(problem); }
  void operator()(attend_attention_fwd_plan* plan) const { attend_attention_fwd_plan_destroy(plan); }
  void operator()(attend_device* device) const { attend_device_destroy(device); }
};

std::unique_ptr<attend_device, Destroy> simulated() {
  return std::unique_ptr<attend_device, Destroy>(
      new attend_device{ptxsim::simulated_device(ptxsim::drawn_schedule(5))});
}

TEST(CapiDevice, MemoryGoesThereAndBack) {
  const auto device = simulated();
  size_t length = 0;
  char name[16];
  ASSERT_EQ(attend_device_name(device.get(), name, sizeof name, &length), ATTEND_OK);
  EXPECT_EQ(name, device->device.name());
  EXPECT_EQ(length, std::strlen(name));

  void* memory = nullptr;
  const std::string there = "bytes", nothing;
  std::string back(there.size(), '?');
  ASSERT_EQ(attend_device_allocate(device.get(), there.size(), &memory), ATTEND_OK) << attend_last_error_message();
  EXPECT_EQ(attend_device_copy_to_device(device.get(), memory, there.data(), there.size(), nullptr), ATTEND_OK);
  EXPECT_EQ(attend_device_copy_to_host(device.get(), back.data(), memory, back.size(), nullptr), ATTEND_OK);
  EXPECT_EQ(back, there);
  EXPECT_EQ(attend_device_copy_to_host(device.get(), nullptr, nullptr, 0, nullptr), ATTEND_OK);
  EXPECT_EQ(attend_device_free(device.get(), memory), ATTEND_OK);
  EXPECT_EQ(attend_device_free(device.get(), nullptr), ATTEND_OK);

  EXPECT_EQ(attend_device_copy_to_device(device.get(), nullptr, there.data(), 5, nullptr), ATTEND_INVALID_ARGUMENT);
  EXPECT_STREQ(attend_last_error_message(), "device_copy_to_device: to is NULL, expected 5 bytes (= bytes)");
  EXPECT_EQ(attend_device_copy_to_host(device.get(), back.data(), nullptr, 5, nullptr), ATTEND_INVALID_ARGUMENT);
  EXPECT_STREQ(attend_last_error_message(), "device_copy_to_host: from is NULL, expected 5 bytes (= bytes)");
  EXPECT_EQ(attend_device_allocate(device.get(), 5, nullptr), ATTEND_INVALID_ARGUMENT);
  EXPECT_NE(attend_device_copy_to_host(device.get(), back.data(), memory, 5, nullptr), ATTEND_OK);  // it is freed
}

/// Plan and run of the C ABI give the bits of the C++ API; the plan outlives the handles that it was made with.
TEST(CapiDevice, RunsPlans) {
  if (cuda::find_image("attention_fwd_simple") == nullptr) GTEST_SKIP() << "built without nvcc";
  const char* const line = "attention_fwd b=1 hq=2 hk=1 sq=19 sk=70 d=64 dtype=bf16 mask=causal lse=1";
  attend_attention_fwd* made = nullptr;
  ASSERT_EQ(attend_attention_fwd_create_from_text(line, &made), ATTEND_OK) << attend_last_error_message();
  std::unique_ptr<attend_attention_fwd, Destroy> problem(made);
  auto device = simulated();
  const Device same = device->device;
  attend_plan_options options = attend_plan_options_init();
  options.device = device.get();
  attend_attention_fwd_plan* planned = nullptr;
  ASSERT_EQ(attend_attention_fwd_plan_create(problem.get(), &options, &planned), ATTEND_OK)
      << attend_last_error_message();
  const std::unique_ptr<attend_attention_fwd_plan, Destroy> c_plan(planned);
  problem.reset();
  device.reset();

  const AttentionFwd parsed = AttentionFwd::parse(line).value();
  PlanOptions cpp_options;
  cpp_options.device = same;
  const AttentionFwdPlan plan = attend::plan(parsed, cpp_options).value();
  attend_plan_info info = attend_plan_info_init();
  ASSERT_EQ(attend_attention_fwd_plan_query(c_plan.get(), &info), ATTEND_OK);
  EXPECT_EQ(info.kernel, plan.kernel());
  EXPECT_EQ(info.workspace_bytes, plan.workspace_bytes());
  EXPECT_GT(info.workspace_bytes, 0u);

  const verify::Inputs inputs = verify::Inputs::make(parsed);
  enum { kQ, kK, kV, kO, kLse, kTensors };
  const DType types[kTensors] = {DType::bf16, DType::bf16, DType::bf16, DType::bf16, DType::f32};
  void* memory[kTensors];
  size_t bytes[kTensors];
  for (int i = 0; i < kTensors; ++i) {
    bytes[i] = static_cast<size_t>(inputs.elements(i)) * static_cast<size_t>(dtype_bytes(types[i]));
    memory[i] = same.allocate(bytes[i]).value();
    ASSERT_TRUE(same.copy_to_device(memory[i], inputs.data(i), bytes[i]).ok());
  }
  void* const workspace = same.allocate(info.workspace_bytes + 1).value();
  const auto output = [&] {
    std::string both(bytes[kO] + bytes[kLse], '\0');
    EXPECT_TRUE(same.copy_to_host(both.data(), memory[kO], bytes[kO]).ok());
    EXPECT_TRUE(same.copy_to_host(both.data() + bytes[kO], memory[kLse], bytes[kLse]).ok());
    return both;
  };
  attend_attention_fwd_args args = attend_attention_fwd_args_init();
  args.q = memory[kQ];
  args.k = memory[kK];
  args.v = memory[kV];
  args.o = memory[kO];
  args.lse = static_cast<float*>(memory[kLse]);
  const std::string before = output();
  ASSERT_EQ(attend_attention_fwd_run(c_plan.get(), &args, workspace, info.workspace_bytes), ATTEND_OK)
      << attend_last_error_message();
  const std::string found = output();
  EXPECT_NE(found, before);

  AttentionFwdArgs cpp_args;
  cpp_args.q = args.q;
  cpp_args.k = args.k;
  cpp_args.v = args.v;
  cpp_args.o = args.o;
  cpp_args.lse = args.lse;
  for (const int i : {kO, kLse}) ASSERT_TRUE(same.copy_to_device(memory[i], inputs.data(i), bytes[i]).ok());
  ASSERT_TRUE(plan.run(cpp_args, {static_cast<std::byte*>(workspace), info.workspace_bytes}).ok());
  EXPECT_EQ(output(), found);

  // It may begin anywhere.
  for (const int i : {kO, kLse}) ASSERT_TRUE(same.copy_to_device(memory[i], inputs.data(i), bytes[i]).ok());
  ASSERT_EQ(attend_attention_fwd_run(c_plan.get(), &args, static_cast<char*>(workspace) + 1, info.workspace_bytes),
            ATTEND_OK);
  EXPECT_EQ(output(), found);

  // A workspace of its own must be memory of the device too.
  for (const int i : {kO, kLse}) ASSERT_TRUE(same.copy_to_device(memory[i], inputs.data(i), bytes[i]).ok());
  ASSERT_EQ(attend_attention_fwd_run_alloc(c_plan.get(), &args), ATTEND_OK) << attend_last_error_message();
  EXPECT_EQ(output(), found);
  for (void* each : memory) EXPECT_TRUE(same.free(each).ok());
  EXPECT_TRUE(same.free(workspace).ok());
}

}  // namespace
}  // namespace attend
