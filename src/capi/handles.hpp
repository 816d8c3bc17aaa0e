// SPDX-License-Identifier: Apache-2.0
// What the opaque pointers of attend.h point to.
#pragma once
#include <attend/attend.h>

#include <attend/attention.hpp>
#include <attend/attention_bwd.hpp>
#include <attend/device.hpp>
#include <attend/executor.hpp>
#include <attend/machine.hpp>
#include <optional>
#include <vector>

struct attend_attention_fwd {
  attend::AttentionFwd problem;
  std::vector<attend_mask_term> terms{};  ///< views of problem.mask, for attend_attention_fwd_describe
  attend_kv_cache_desc cache{};           ///< the same of problem.cache
};

struct attend_attention_fwd_plan {
  attend::Executor executor;  ///< the plan may point here, so the handle must not move
  std::optional<attend::AttentionFwdPlan> plan;
};

struct attend_attention_bwd_plan {
  attend::Executor executor;  ///< as above
  std::optional<attend::AttentionBwdPlan> plan;
};

struct attend_device {
  attend::Device device;
};

struct attend_machine {
  attend::MachineInfo info;
};
