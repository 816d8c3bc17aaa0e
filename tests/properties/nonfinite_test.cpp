// SPDX-License-Identifier: Apache-2.0
// NaN and infinities in inputs that a row uses reach that row, and no other.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/kernel_test.hpp"
#include "verify/element.hpp"

namespace attend::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
enum Buffer { kQ, kK, kV, kO, kLse, kAlibi, kBias, kSink };

verify::FillOptions plain_values() {
  verify::FillOptions fill;
  fill.seed = 21;
  fill.poison = false;
  return fill;
}

class Nonfinite : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    problem_ = dense(1, 4, 2, 60, 80, 40);
    problem_.lse = true;
  }
  void plant(Evaluation& run, Buffer buffer, int64_t at, double value) const {
    verify::store_element(buffer <= kO ? type() : DType::f32, run.inputs.data(buffer), at, value);
  }
  /// Every row that `touched` does not name has the bits of a run on clean inputs, and the others agree with the oracle
  /// about what is finite.
  template <class F>
  void expect_others_untouched(const Evaluation& run, F touched) const {
    const Evaluation clean(run.problem, options(), plain_values());
    for (int64_t head = 0; head < run.problem.hq; ++head) {
      for (int64_t row = 0; row < run.problem.sq; ++row) {
        if (touched(head, row)) continue;
        EXPECT_TRUE(same_bytes(run.row_bytes(0, head, row), clean.row_bytes(0, head, row), type()))
            << run.problem.text() << ", head " << head << ", row " << row;
      }
    }
    EXPECT_EQ(run.compare().first_failure, "") << run.problem.text();
  }
  AttentionFwd problem_;
};
ATTEND_FOR_EVERY_KERNEL(Nonfinite);

TEST_P(Nonfinite, nan_in_a_query_fills_its_row) {
  for (const Mask& mask : {Mask(), Mask::causal(), Mask::window(7, 2)}) {
    problem_.mask = mask;
    Evaluation run(problem_, options(), plain_values());
    plant(run, kQ, problem_.q_offset(0, 31, 2) + 39, kNaN);
    run.again();
    for (int64_t c = 0; c < problem_.dv; ++c) EXPECT_TRUE(std::isnan(run.o(0, 2, 31, c))) << problem_.text();
    EXPECT_TRUE(std::isnan(run.lse(0, 2, 31)));
    expect_others_untouched(run, [](int64_t head, int64_t row) { return head == 2 && row == 31; });
  }
}

TEST_P(Nonfinite, nan_in_a_key_fills_the_rows_that_see_it) {
  for (const Mask& mask : {Mask(), Mask::causal(), Mask::window(7, 2)}) {
    problem_.mask = mask;
    Evaluation run(problem_, options(), plain_values());
    plant(run, kK, problem_.k_offset(0, 45, 1), kNaN);
    run.again();
    const auto sees = [&](int64_t head, int64_t row) {
      return head / 2 == 1 && mask.keep(problem_.frame(0, head), row, 45);
    };
    for (int64_t row = 0; row < problem_.sq; ++row)
      EXPECT_EQ(std::isnan(run.o(0, 3, row, 0)), sees(3, row)) << problem_.text();
    expect_others_untouched(run, sees);
  }
}

TEST_P(Nonfinite, odd_values_stay_in_their_column) {
  for (const double odd : {kNaN, kInfinity, -kInfinity}) {
    problem_.mask = Mask::causal();
    Evaluation run(problem_, options(), plain_values());
    const Evaluation clean(problem_, options(), plain_values());
    plant(run, kV, problem_.v_offset(0, 30, 0) + 5, odd);
    run.again();
    const auto sees = [&](int64_t head, int64_t row) {
      return head < 2 && problem_.mask.keep(problem_.frame(0, head), row, 30);
    };
    for (int64_t row = 0; row < problem_.sq; ++row) {
      EXPECT_EQ(std::isfinite(run.o(0, 1, row, 5)), !sees(1, row)) << odd << " in row " << row;
      for (const int64_t c : {4, 6, 39}) {
        EXPECT_TRUE(std::isfinite(run.o(0, 1, row, c))) << odd << " reached column " << c << " of row " << row;
      }
      EXPECT_EQ(run.lse(0, 1, row), clean.lse(0, 1, row));
    }
    expect_others_untouched(run, sees);
  }
}

TEST_P(Nonfinite, infinite_queries_and_keys_follow_the_oracle) {
  for (const double odd : {kInfinity, -kInfinity}) {
    for (const Buffer buffer : {kQ, kK}) {
      Evaluation run(problem_, options(), plain_values());
      plant(run, buffer, (buffer == kQ ? problem_.q_offset(0, 10, 0) : problem_.k_offset(0, 10, 0)) + 3, odd);
      run.again();
      expect_others_untouched(
          run, [&](int64_t head, int64_t row) { return buffer == kQ ? head == 0 && row == 10 : head < 2; });
    }
  }
}

TEST_P(Nonfinite, nan_in_a_bias_reaches_only_rows_that_see_its_key) {
  problem_.bias = BiasShape{};  // one row of biases for everybody
  problem_.mask = Mask::window(5, 5);
  if (!takes(problem_)) GTEST_SKIP() << kernel() << " takes no bias";
  Evaluation run(problem_, options(), plain_values());
  plant(run, kBias, 50, kNaN);
  run.again();
  const auto sees = [&](int64_t head, int64_t row) { return problem_.mask.keep(problem_.frame(0, head), row, 50); };
  for (int64_t row = 0; row < problem_.sq; ++row)
    EXPECT_EQ(std::isnan(run.o(0, 0, row, 0)), sees(0, row)) << "row " << row;
  expect_others_untouched(run, sees);
}

TEST_P(Nonfinite, bias_of_minus_infinity_is_a_mask) {
  problem_.bias = BiasShape{false, false, true};
  if (!takes(problem_)) GTEST_SKIP() << kernel() << " takes no bias";
  AttentionFwd causal = problem_;
  causal.bias.reset();
  causal.mask = CausalTopLeft{};
  Evaluation run(problem_, options(), plain_values());
  for (int64_t row = 0; row < problem_.sq; ++row) {
    for (int64_t key = 0; key < problem_.sk; ++key)
      plant(run, kBias, row * problem_.sk + key, key <= row ? 0 : -kInfinity);
  }
  run.again();
  EXPECT_EQ(run.compare().first_failure, "");
  const Evaluation masked(causal, options(), plain_values());
  for (int64_t row = 0; row < problem_.sq; ++row) {
    const ReferenceRow exact = reference_row(causal, masked.inputs.args(), masked.planned.arithmetic(), 0, 3, row);
    EXPECT_LE(std::fabs(run.lse(0, 3, row) - masked.lse(0, 3, row)), 3 * exact.lse_bound);
    for (int64_t c = 0; c < problem_.dv; ++c) {
      EXPECT_LE(std::fabs(run.o(0, 3, row, c) - masked.o(0, 3, row, c)), 3 * exact.o_bound[c]) << "row " << row;
    }
  }
}

TEST_P(Nonfinite, a_bias_of_minus_infinity_everywhere_follows_the_oracle) {
  problem_.bias = BiasShape{false, false, true};
  if (!takes(problem_)) GTEST_SKIP() << kernel() << " takes no bias";
  Evaluation run(problem_, options(), plain_values());
  for (int64_t key = 0; key < problem_.sk; ++key) plant(run, kBias, 7 * problem_.sk + key, -kInfinity);
  run.again();
  expect_others_untouched(run, [](int64_t, int64_t row) { return row == 7; });
}

TEST_P(Nonfinite, infinite_sinks_follow_the_oracle) {
  problem_.sink = true;
  problem_.mask = Mask::window(3, 0);
  if (!takes(problem_)) GTEST_SKIP() << kernel() << " takes no sink";
  for (const double odd : {kNaN, kInfinity, -kInfinity}) {
    Evaluation run(problem_, options(), plain_values());
    plant(run, kSink, 1, odd);
    run.again();
    expect_others_untouched(run, [](int64_t head, int64_t) { return head == 1; });
  }
}

}  // namespace
}  // namespace attend::test
