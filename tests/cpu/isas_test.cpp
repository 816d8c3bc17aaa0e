// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdlib>
#include <string>

#include "support/kernel_test.hpp"

namespace attend::test {
namespace {

const IsaInfo* find_isa(const std::string& name) {
  static const std::vector<IsaInfo> isas = machine_info().isas;
  const auto found = std::find_if(isas.begin(), isas.end(), [&](const IsaInfo& each) { return each.name == name; });
  return found == isas.end() ? nullptr : &*found;
}

class Isas : public ::testing::TestWithParam<std::string> {};

TEST_P(Isas, has_a_kernel_that_runs) {
  const IsaInfo* isa = find_isa(GetParam());
  ASSERT_NE(isa, nullptr);
  const auto belongs = [&](const KernelCase& each) {
    return each.kernel.find("." + isa->name + ".") != std::string::npos;
  };
  EXPECT_TRUE(std::any_of(kernel_cases().begin(), kernel_cases().end(), belongs))
      << "no row of the build is for " << isa->name;
  if (!isa->available) GTEST_SKIP() << isa->reason;
  for (const KernelCase& each : kernel_cases()) {
    if (!belongs(each)) continue;
    EXPECT_EQ(each.missing, "");
    PlanOptions options;
    options.kernel = each.kernel;
    const Evaluation run(AttentionFwd::dense(Layout::bshd, each.type, 1, 2, 1, 33, 65, 64), options);
    EXPECT_EQ(run.planned.kernel(), each.kernel);
    EXPECT_EQ(run.planned.isa(), isa->name);
    EXPECT_EQ(run.compare().first_failure, "");
  }
}

std::vector<std::string> isa_names() {
  std::vector<std::string> names;
  for (const IsaInfo& each : machine_info().isas) names.push_back(each.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(isa, Isas, ::testing::ValuesIn(isa_names()), [](const auto& tested) { return tested.param; });

TEST(isa, portable_one_is_always_there_and_comes_first) {
  ASSERT_FALSE(machine_info().isas.empty());
  EXPECT_EQ(machine_info().isas.front().name, "emu");
  EXPECT_TRUE(machine_info().isas.front().available);
}

/// ctest runs this program once more under each ATTEND_MAX_ISA.
TEST(isa, limit_of_the_environment_is_kept) {
  const char* limit = std::getenv("ATTEND_MAX_ISA");
  if (limit == nullptr) GTEST_SKIP() << "ATTEND_MAX_ISA is not set";
  ASSERT_NE(find_isa(limit), nullptr) << limit;
  bool beyond = false;
  for (const IsaInfo& each : machine_info().isas) {
    if (beyond) {
      EXPECT_FALSE(each.available) << each.name;
      EXPECT_NE(each.reason, "") << each.name;
    }
    beyond = beyond || each.name == limit;
  }
  const auto planned = plan(AttentionFwd::dense(Layout::bshd, DType::bf16, 1, 1, 1, 64, 64, 64));
  ASSERT_TRUE(planned.ok()) << planned.status().message();
  ASSERT_NE(find_isa(planned->isa()), nullptr);
  EXPECT_TRUE(find_isa(planned->isa())->available);
}

}  // namespace
}  // namespace attend::test
