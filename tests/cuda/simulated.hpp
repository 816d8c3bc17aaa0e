// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gtest/gtest.h>

#include <string>

#include "cuda/images.hpp"
#include "sim/launch/simulated_device.hpp"
#include "verify/device_run.hpp"
#include "verify/verify.hpp"

// What tests of the backend share: Problems on a simulated device, against the oracle.
namespace attend::cuda {

class CudaTest : public testing::Test {
 protected:
  void SetUp() override {
    if (find_image("attention_fwd_simple") == nullptr) GTEST_SKIP() << "built without nvcc";
  }
};

inline AttentionFwd problem_of(const std::string& line) {
  Result<AttentionFwd> problem = AttentionFwd::parse(line);
  EXPECT_TRUE(problem.ok()) << line << ": " << problem.status().message();
  return problem.ok() ? std::move(problem).value() : AttentionFwd();
}

/// The Problem under the schedule, on inputs of the seed. An empty kernel is the plan's own choice. With
/// `poison`, slots that no row uses hold NaN.
inline void expect_right(const AttentionFwd& problem, const ptxsim::Schedule& schedule, uint64_t seed, bool poison,
                         int multiprocessors, const std::string& kernel) {
  PlanOptions options;
  options.device = ptxsim::simulated_device(schedule, {}, multiprocessors);
  options.kernel = kernel;
  verify::FillOptions fill;
  fill.seed = seed;
  fill.ties = seed % 5 == 4;
  fill.poison = poison;
  const verify::CheckResult result = verify::check_problem(problem, fill, options);
  EXPECT_TRUE(result.passed) << schedule.text() << "\n" << result.message;
}
/// Under the seed's own schedule.
inline void expect_right(const AttentionFwd& problem, uint64_t seed, bool poison = true, int multiprocessors = 3,
                         const std::string& kernel = {}) {
  expect_right(problem, ptxsim::drawn_schedule(seed), seed, poison, multiprocessors, kernel);
}

}  // namespace attend::cuda
