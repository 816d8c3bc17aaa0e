// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "device_run.hpp"
#include "guarded_run.hpp"
#include "verify.hpp"

namespace attend::verify {

CheckResult check_problem(const AttentionFwd& problem, const FillOptions& fill, const PlanOptions& plan_options,
                          int64_t sample, const std::string& replay_words) {
  CheckLog log(problem.text(), fill.seed, plan_options.kernel, replay_words);
  const auto planned = plan(problem, plan_options);
  if (!log.planned(planned.status())) return log.result();
  log.kernel(planned->kernel());

  const Inputs inputs = Inputs::make(problem, fill);
  const Status status = plan_options.device.is_cpu() ? run_guarded(*planned, inputs.args(), fill.guard_pages)
                                                     : run_on_device(*planned, plan_options.device, inputs);
  return log.finish(status, inputs.output_fault(), [&] {
    return compare_with_reference(problem, inputs.args(), planned->arithmetic(), sample, fill.seed);
  });
}

}  // namespace attend::verify
