// SPDX-License-Identifier: Apache-2.0
#include "device_run.hpp"

#include <array>

#include "device_memory.hpp"

namespace attend::verify {
namespace {

enum Buffer : int { kQ, kK, kV, kO, kLse, kAlibi, kBias, kSink, kBuffers };

size_t bytes_of(const AttentionFwd& problem, const Inputs& inputs, int buffer) {
  const DType types[] = {problem.q_type, problem.k_type, problem.v_type, problem.o_type,
                         DType::f32,     DType::f32,     DType::f32,     DType::f32};
  return static_cast<size_t>(inputs.elements(buffer)) * static_cast<size_t>(dtype_bytes(types[buffer]));
}

}  // namespace

Status run_on_device(const AttentionFwdPlan& plan, const Device& device, const Inputs& inputs) {
  std::array<DeviceMemory, kBuffers> memory;
  std::array<void*, kBuffers> at{};
  for (int buffer = 0; buffer < kBuffers; ++buffer) {
    const size_t bytes = bytes_of(plan.problem(), inputs, buffer);
    if (bytes == 0) continue;
    if (Status status = memory[buffer].allocate(device, bytes); !status.ok()) return status;
    at[buffer] = memory[buffer].data();
    if (Status status = device.copy_to_device(at[buffer], inputs.data(buffer), bytes); !status.ok()) return status;
  }
  DeviceMemory workspace;
  if (plan.workspace_bytes() > 0)
    if (Status status = workspace.allocate(device, plan.workspace_bytes()); !status.ok()) return status;

  AttentionFwdArgs args;
  args.q = at[kQ];
  args.k = at[kK];
  args.v = at[kV];
  args.o = at[kO];
  args.lse = static_cast<float*>(at[kLse]);
  args.alibi_slopes = static_cast<const float*>(at[kAlibi]);
  args.bias = static_cast<const float*>(at[kBias]);
  args.sink = static_cast<const float*>(at[kSink]);
  if (Status status = plan.run(args, {static_cast<std::byte*>(workspace.data()), plan.workspace_bytes()}); !status.ok())
    return status;
  if (Status status = device.synchronize(); !status.ok()) return status;
  for (const int buffer : {kO, kLse})
    if (at[buffer] != nullptr)
      if (Status status =
              device.copy_to_host(inputs.data(buffer), at[buffer], bytes_of(plan.problem(), inputs, buffer));
          !status.ok())
        return status;
  return {};
}

}  // namespace attend::verify
