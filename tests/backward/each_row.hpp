// SPDX-License-Identifier: Apache-2.0
// A test of the backward pass runs once for each row that the machine has.
#pragma once
#include <attend/attend.hpp>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "verify/gradients.hpp"

namespace attend::test {

/// Every row that this machine runs.
inline std::vector<std::string> backward_kernels() {
  std::vector<std::string> ids;
  const auto planned = plan(AttentionBwd::of(AttentionFwd::dense(Layout::bshd, DType::bf16, 1, 1, 1, 1, 1, 1)));
  if (!planned.ok()) throw std::runtime_error(planned.status().message());
  for (const Candidate& row : planned->candidates()) {
    PlanOptions options;
    options.kernel = row.kernel;
    if (plan(planned->problem(), options).ok()) ids.push_back(row.kernel);
  }
  return ids;
}

class Backward : public ::testing::TestWithParam<std::string> {
 protected:
  PlanOptions options(int threads = 1) const {
    PlanOptions options;
    options.kernel = GetParam();
    options.threads = threads;
    return options;
  }
  /// bf16 for the row that takes nothing else; gradients in f32, which shows more.
  AttentionBwd problem(const std::string& rest) const {
    const bool dot = GetParam().ends_with("bf16_dot");
    const auto parsed =
        AttentionBwd::parse("attention_bwd " + rest + (dot ? " dtype=bf16" : " dtype=f32") + " grad=f32");
    if (!parsed.ok()) throw std::runtime_error(parsed.status().message());
    return *parsed;
  }
  void expect_within_bound(const AttentionBwd& asked, int threads = 1, uint64_t seed = 1) const {
    verify::FillOptions fill;
    fill.seed = seed;
    const verify::CheckResult result = verify::check_problem(asked, fill, options(threads));
    EXPECT_TRUE(result.passed) << result.message;
  }
  AttentionBwdPlan planned(const AttentionBwd& asked, const PlanOptions& with) const {
    auto made = plan(asked, with);
    if (!made.ok()) throw std::runtime_error(made.status().message());
    return *made;
  }
  std::string bits(const AttentionBwd& asked, const PlanOptions& with) const {
    verify::GradientInputs inputs = verify::GradientInputs::make(asked);
    EXPECT_TRUE(planned(asked, with).run(inputs.args()).ok());
    return inputs.output_bytes();
  }
};

inline std::string backward_kernel_name(const ::testing::TestParamInfo<std::string>& tested) {
  std::string name = tested.param.substr(tested.param.find('.') + 1);
  name[name.find('.')] = '_';
  return name;
}

}  // namespace attend::test
