// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <span>
#include <string>

#include "device_run.hpp"
#include "guarded_buffer.hpp"
#include "verify.hpp"

namespace attend::verify {
namespace {

std::string replay(const std::string& text, const FillOptions& fill, const std::string& kernel) {
  std::string line = "attend check \"" + text + "\" --seed " + std::to_string(fill.seed);
  if (!kernel.empty()) line += " --kernel " + kernel;
  return line;
}

/// With a workspace that ends at a guard page, so that it starts wherever its size says, and holds NaN in every format.
Status run_on_cpu(const AttentionFwdPlan& plan, const Inputs& inputs, const FillOptions& fill) {
  const GuardedBuffer workspace(plan.workspace_bytes(), fill.guard_pages);
  std::memset(workspace.data() - workspace.lead(), 0xff, workspace.lead() + workspace.size());
  const Status status = plan.run(inputs.args(), std::span(workspace.data(), workspace.size()));
  if (!status.ok()) return status;
  for (size_t i = 0; i < workspace.lead(); ++i) {
    if (workspace.data()[-1 - static_cast<int64_t>(i)] != std::byte{0xff})
      return {StatusCode::internal, "memory before the workspace was written"};
  }
  return {};
}

}  // namespace

CheckResult check_problem(const AttentionFwd& problem, const FillOptions& fill, const PlanOptions& plan_options,
                          int64_t sample, const std::string& replay_words) {
  CheckResult result;
  result.kernel = plan_options.kernel;
  const std::string text = problem.text();
  const auto fail = [&](const std::string& what) {
    result.message = text + "\n  kernel " + result.kernel + ", seed " + std::to_string(fill.seed) + ": " + what +
                     "\n  replay: " + replay(text, fill, result.kernel) + replay_words;
    return result;
  };

  const auto planned = plan(problem, plan_options);
  if (!planned.ok()) {
    if (planned.status().code() != StatusCode::unsupported) return fail("plan: " + planned.status().message());
    result.refused = true;
    result.message = planned.status().message();
    return result;
  }
  result.kernel = planned->kernel();

  const Inputs inputs = Inputs::make(problem, fill);
  const Status status = plan_options.device.is_cpu() ? run_on_cpu(*planned, inputs, fill)
                                                     : run_on_device(*planned, plan_options.device, inputs);
  if (!status.ok()) return fail("run: " + status.message());
  if (const std::string fault = inputs.output_fault(); !fault.empty()) return fail(fault);
  result.comparison = compare_with_reference(problem, inputs.args(), planned->arithmetic(), sample, fill.seed);
  if (!result.comparison.first_failure.empty()) return fail(result.comparison.first_failure);
  if (!(result.comparison.max_ratio <= 1))
    return fail("error / bound is " + std::to_string(result.comparison.max_ratio));
  result.passed = true;
  return result;
}

}  // namespace attend::verify
