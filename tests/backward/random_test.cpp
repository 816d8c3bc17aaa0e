// SPDX-License-Identifier: Apache-2.0
// Random backward Problems on every kernel row, against the oracle.
#include <cstdlib>
#include <iostream>
#include <map>

#include <gtest/gtest.h>

#include "verify/gradients.hpp"

namespace attend::test {
namespace {

int64_t from_environment(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoll(text, nullptr, 10) : otherwise;
}

/// ATTEND_TEST_SEEDS and ATTEND_TEST_FIRST_SEED choose more of them, as for random_problems_tests.
TEST(RandomBackwardProblems, error_stays_within_bound) {
  const int64_t first = from_environment("ATTEND_TEST_FIRST_SEED", 1),
                seeds = from_environment("ATTEND_TEST_SEEDS", 60);
  verify::GeneratorLimits limits;
  limits.max_columns = 200;
  limits.max_work = 2e6;
  std::map<std::string, double> ratios;
  std::map<std::string, int64_t> runs;
  for (int64_t seed = first; seed < first + seeds; ++seed) {
    const AttentionBwd problem = verify::random_backward_problem(static_cast<uint64_t>(seed), limits);
    const auto planned = plan(problem);
    ASSERT_TRUE(planned.ok()) << planned.status().message();
    for (const Candidate& row : planned->candidates()) {
      verify::FillOptions fill;
      fill.seed = static_cast<uint64_t>(seed);
      fill.ties = seed % 5 == 4;
      fill.magnitude = seed % 7 == 6 ? 8 : 1;
      PlanOptions options;
      options.kernel = row.kernel;
      options.threads = static_cast<int>(1 + seed % 3);
      const verify::CheckResult result = verify::check_problem(problem, fill, options);
      if (result.refused) continue;
      EXPECT_TRUE(result.passed) << result.message;
      ratios[result.kernel] = std::max(ratios[result.kernel], result.comparison.max_ratio);
      ++runs[result.kernel];
    }
  }
  for (const auto& [kernel, ratio] : ratios)
    std::cout << kernel << ": largest error / bound " << ratio << " (" << runs[kernel] << " problems)\n";
  EXPECT_GT(runs.size(), 0u);
}

}  // namespace
}  // namespace attend::test
