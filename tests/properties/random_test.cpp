// SPDX-License-Identifier: Apache-2.0
// Random Problems on every kernel. ATTEND_TEST_SEEDS (default 150) many seeds from ATTEND_TEST_FIRST_SEED (default 0)
// on.
#include <cstdlib>
#include <set>
#include <string>

#include "support/kernel_test.hpp"

namespace attend::test {
namespace {

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

class RandomProblems : public ::testing::TestWithParam<KernelCase> {};

TEST_P(RandomProblems, error_stays_within_bound) {
  if (!GetParam().missing.empty()) GTEST_SKIP() << GetParam().kernel << ": " << GetParam().missing;
  verify::GeneratorLimits limits;
  limits.max_work = 4e6;
  limits.caches = 0.3;
  const uint64_t first = from_environment("ATTEND_TEST_FIRST_SEED", 0),
                 seeds = from_environment("ATTEND_TEST_SEEDS", 150);
  int64_t taken = 0, failures = 0;
  for (uint64_t seed = first; seed < first + seeds && failures < 10; ++seed) {
    const AttentionFwd problem = verify::random_problem(seed, limits);
    PlanOptions options;
    options.kernel = GetParam().kernel;
    options.threads = static_cast<int>(seed % 3) + 1;
    verify::FillOptions fill;
    fill.seed = seed;
    fill.ties = seed % 8 == 7;
    const verify::CheckResult result = verify::check_problem(problem, fill, options);
    if (result.refused) continue;
    ++taken;
    record_ratio(result.kernel, result.comparison);
    if (!result.passed) ++failures;
    EXPECT_TRUE(result.passed) << result.message << (fill.ties ? " (values with ties)" : "");
  }
  EXPECT_GT(taken, static_cast<int64_t>(seeds) / 20) << "too few Problems for this kernel";
  RecordProperty("problems", std::to_string(taken));
}

/// One case for each kernel, whatever its types.
std::vector<KernelCase> kernels() {
  std::vector<KernelCase> all;
  std::set<std::string> seen;
  for (const KernelCase& each : kernel_cases()) {
    if (seen.insert(each.kernel).second) all.push_back(each);
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(kernel, RandomProblems, ::testing::ValuesIn(kernels()), [](const auto& tested) {
  std::string name = tested.param.kernel.substr(tested.param.kernel.find('.') + 1);
  for (char& c : name) c = c == '.' ? '_' : c;
  return name;
});

}  // namespace
}  // namespace attend::test
