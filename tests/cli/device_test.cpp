// SPDX-License-Identifier: Apache-2.0
#include "device.hpp"

#include <gtest/gtest.h>

#include "verify/verify.hpp"

namespace attend::cli {
namespace {

TEST(CliDevice, NamesStandForDevices) {
  EXPECT_TRUE(device_named("cpu").is_cpu());
  const Result<Device> simulated = make_simulated_device(7);
  if (!simulated.ok()) {
    EXPECT_NE(simulated.status().message().find("expected cpu or cuda"), std::string::npos);
    return;
  }
  EXPECT_FALSE(simulated->is_cpu());
  EXPECT_NE(device_named("sim", 7).context(), device_named("sim", 7).context());  // nothing is left of an earlier run
}

TEST(CliDevice, ReplayLineNamesTheDevice) {
  PlanOptions options;
  options.kernel = "no.such";
  verify::FillOptions fill;
  fill.seed = 41;
  const AttentionFwd problem = AttentionFwd::dense(Layout::bshd, DType::f32, 1, 1, 1, 4, 4, 8);
  const verify::CheckResult result = verify::check_problem(problem, fill, options, -1, " --device sim");
  EXPECT_FALSE(result.passed);
  EXPECT_TRUE(result.message.ends_with("replay: attend check \"" + problem.text() +
                                       "\" --seed 41 --kernel no.such --device sim"))
      << result.message;
}

}  // namespace
}  // namespace attend::cli
