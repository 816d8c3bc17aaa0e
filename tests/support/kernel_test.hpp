// SPDX-License-Identifier: Apache-2.0
// What tests share that run a kernel: its rows as test parameters, one run as a value, and the largest error ratios.
#pragma once
#include <attend/attend.hpp>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "verify/verify.hpp"

namespace attend::test {

/// One kernel row and an element type that it takes.
struct KernelCase {
  std::string kernel;  ///< `attention_fwd.avx512.f32`
  DType type = DType::f32;
  std::string missing;  ///< why this machine cannot run it; empty when it can
};

/// Every row of the build with every element type that it takes for Q, K, V and O alike. A row that the machine cannot
/// run is there once.
const std::vector<KernelCase>& kernel_cases();
/// `avx512_f32_on_bf16`, for the name of a test.
std::string case_name(const KernelCase& each);
void PrintTo(const KernelCase& each, std::ostream* out);

/// The rows of masks.def.
const std::vector<MaskKind>& mask_kinds();
const char* mask_name(MaskKind kind);

/// Tests with this fixture run once for each kernel_cases() row and report rows that the machine lacks as skipped.
class KernelTest : public ::testing::TestWithParam<KernelCase> {
 protected:
  void SetUp() override {
    if (!GetParam().missing.empty()) GTEST_SKIP() << GetParam().kernel << ": " << GetParam().missing;
  }
  const std::string& kernel() const { return GetParam().kernel; }
  DType type() const { return GetParam().type; }
  /// Dense, in the row's element type; v has as many columns as q.
  AttentionFwd dense(int64_t b, int64_t hq, int64_t hk, int64_t sq, int64_t sk, int64_t d) const {
    return AttentionFwd::dense(Layout::bshd, type(), b, hq, hk, sq, sk, d);
  }
  PlanOptions options(int threads = 1) const {
    PlanOptions options;
    options.kernel = kernel();
    options.threads = threads;
    return options;
  }
  /// Whether the row takes the Problem.
  bool takes(const AttentionFwd& problem) const { return plan(problem, options()).ok(); }
};

#define ATTEND_FOR_EVERY_KERNEL(Suite)                                                         \
  INSTANTIATE_TEST_SUITE_P(kernel, Suite, ::testing::ValuesIn(::attend::test::kernel_cases()), \
                           [](const auto& tested) { return ::attend::test::case_name(tested.param); })

/// A Problem that was planned and run, with all its memory. Failures to plan or to run are failures of the test.
struct Evaluation {
  Evaluation(const AttentionFwd& problem, const PlanOptions& options, const verify::FillOptions& fill = {});
  /// Runs again on what the inputs hold now.
  void again();

  double o(int64_t n, int64_t head, int64_t row, int64_t c) const;
  double lse(int64_t n, int64_t head, int64_t row) const;
  /// Bytes of one output row, and of its lse when asked for.
  std::string row_bytes(int64_t n, int64_t head, int64_t row) const;
  Comparison compare() const;

  AttentionFwd problem;
  verify::Inputs inputs;
  AttentionFwdPlan planned;
};

/// Equal, or the place and values of the first difference of two row_bytes(); `type` is that of the output.
::testing::AssertionResult same_bytes(const std::string& found, const std::string& expected, DType type);

/// The Problem on poisoned inputs between guard pages, against the oracle. Returns whether the row takes it.
bool expect_within_bound(const AttentionFwd& problem, const PlanOptions& options, const verify::FillOptions& fill = {});

/// Remembers a ratio; the largest of each kernel is printed when the test program ends.
void record_ratio(const std::string& kernel, const Comparison& comparison);

}  // namespace attend::test
