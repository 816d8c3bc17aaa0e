// SPDX-License-Identifier: Apache-2.0
// What the plans of all operations share.
#pragma once
#include <attend/attend.h>

#include <attend/attention.hpp>
#include <string>
#include <string_view>

#include "capi/error.hpp"

namespace attend::capi {

inline constexpr const char* kAPlan = "a plan";

/// NULL leaves the defaults. `executor` receives a copy of the caller's and must live as long as the plan.
Status read_options(std::string_view operation, const attend_plan_options* from, Executor* executor, PlanOptions* to);

template <class Plan>
attend_plan_info describe(const Plan& plan) {
  attend_plan_info info = attend_plan_info_init();
  info.kernel = plan.kernel().c_str();
  info.isa = plan.isa().c_str();
  info.arithmetic = static_cast<attend_arithmetic>(plan.arithmetic());
  info.threads = plan.threads();
  info.tile_rows = plan.tile_rows();
  info.tile_keys = plan.tile_keys();
  info.workspace_bytes = plan.workspace_bytes();
  info.candidate_count = static_cast<int64_t>(plan.candidates().size());
  return info;
}

}  // namespace attend::capi
