// SPDX-License-Identifier: Apache-2.0
// Nothing to do, huge strides, large scores.
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "support/kernel_test.hpp"
#include "verify/element.hpp"
#include "verify/guarded_buffer.hpp"

namespace attend::test {
namespace {

class Extremes : public KernelTest {};
ATTEND_FOR_EVERY_KERNEL(Extremes);

TEST_P(Extremes, no_sequence_no_query) {
  for (const auto& [b, sq] : {std::pair<int64_t, int64_t>{0, 5}, {2, 0}}) {
    AttentionFwd problem = dense(b, 2, 1, sq, 7, 16);
    problem.lse = true;
    for (const bool ragged : {false, true}) {
      if (ragged) {
        if (b == 0) problem.sq = problem.sk = 0;
        problem.set_layout(Layout::thd);
        problem.cu_q = Array<int32_t>(std::vector<int32_t>(b + 1, 0));
        problem.cu_k = Array<int32_t>(b == 0 ? std::vector<int32_t>{0} : std::vector<int32_t>{0, 7, 7});
      }
      const auto planned = plan(problem, options(3));
      ASSERT_TRUE(planned.ok()) << planned.status().message();
      // Nothing is written, so nothing has to be there.
      EXPECT_TRUE(expect_within_bound(problem, options(3)));
    }
  }
}

TEST_P(Extremes, rows_without_a_key_are_zero) {
  AttentionFwd none = dense(2, 2, 1, 9, 0, 16);
  AttentionFwd padded = dense(2, 2, 1, 9, 100, 16);
  padded.mask = Padding{{}, std::vector<int64_t>{0, 0}};
  AttentionFwd before = dense(1, 2, 1, 40, 10, 16);  // causal: the first 30 rows see nothing
  before.mask = Mask::causal();
  for (AttentionFwd problem : {none, padded, before}) {
    problem.lse = true;
    const Evaluation run(problem, options());
    const int64_t rows = problem.sq == 40 ? 30 : 9;
    for (int64_t n = 0; n < problem.b; ++n) {
      for (int64_t row = 0; row < rows; ++row) {
        EXPECT_EQ(run.lse(n, 1, row), -std::numeric_limits<double>::infinity()) << problem.text();
        for (int64_t c = 0; c < problem.dv; ++c) EXPECT_EQ(run.o(n, 1, row, c), 0) << problem.text();
      }
    }
    problem.sink = true;
    if (!takes(problem)) continue;
    const Evaluation sunk(problem, options());
    for (int64_t row = 0; row < rows; ++row) {
      EXPECT_EQ(sunk.o(0, 1, row, 3), 0);
      EXPECT_NEAR(sunk.lse(0, 1, row), static_cast<double>(sunk.inputs.args().sink[1]), 1e-6);
    }
  }
}

TEST_P(Extremes, large_scores_neither_overflow_nor_lose_their_row) {
  for (const double magnitude : {30.0, 100.0}) {  // scores up to 1e4 and beyond
    for (const Mask& mask : {Mask(), Mask::causal()}) {
      AttentionFwd problem = dense(1, 2, 1, 70, 150, 64);
      problem.mask = mask;
      problem.lse = true;
      verify::FillOptions fill;
      fill.seed = 4;
      fill.magnitude = magnitude;
      EXPECT_TRUE(expect_within_bound(problem, options(), fill));
      fill.ties = true;
      EXPECT_TRUE(expect_within_bound(problem, options(), fill));
    }
  }
}

TEST_P(Extremes, one_dominant_key_copies_its_value) {
  AttentionFwd problem = dense(1, 1, 1, 20, 200, 32);
  problem.scale = 1;
  verify::FillOptions fill;
  fill.poison = false;
  Evaluation run(problem, options(), fill);
  const int64_t chosen = 137;
  for (int64_t c = 0; c < 32; ++c) {
    for (int64_t key = 0; key < 200; ++key) {
      verify::store_element(type(), run.inputs.data(1), problem.k_offset(0, key, 0) + c, key == chosen ? 16 : -16);
    }
    for (int64_t row = 0; row < 20; ++row)
      verify::store_element(type(), run.inputs.data(0), problem.q_offset(0, row, 0) + c, 16);
  }
  run.again();
  for (int64_t row = 0; row < 20; ++row) {
    for (int64_t c = 0; c < 32; ++c) {
      const double value = verify::load_element(type(), run.inputs.data(2), problem.v_offset(0, chosen, 0) + c);
      EXPECT_NEAR(run.o(0, 0, row, c), value, 2 * unit_roundoff(type()) * std::fabs(value));
    }
  }
}

TEST_P(Extremes, order_of_maxima_does_not_matter) {
  // A maximum that rises with every key, one that never does, and equal ones: each rescales in its own way.
  for (const int direction : {-1, 0, 1}) {
    AttentionFwd problem = dense(1, 1, 1, 13, 700, 16);
    problem.lse = true;
    problem.scale = 1;
    verify::FillOptions fill;
    fill.poison = false;
    Evaluation run(problem, options(), fill);
    for (int64_t key = 0; key < 700; ++key) {
      for (int64_t c = 0; c < 16; ++c) {
        const double level = direction == 0 ? 1 : static_cast<double>(direction > 0 ? key : 699 - key) / 50;
        verify::store_element(type(), run.inputs.data(1), problem.k_offset(0, key, 0) + c, level);
      }
    }
    run.again();
    EXPECT_EQ(run.compare().first_failure, "") << "direction " << direction;
  }
}

TEST_P(Extremes, a_huge_negative_bias_first_does_not_blur_later_keys) {
  // -1e9 is how many callers mask. The first keys alone give a reference maximum at which s - m would lose s.
  for (const float level : {-100.0F, -3e4F, -1e9F, -3e38F}) {
    AttentionFwd problem = dense(1, 1, 1, 20, 700, 16);
    problem.lse = true;
    problem.bias = BiasShape{};
    verify::FillOptions fill;
    fill.poison = false;
    Evaluation run(problem, options(), fill);
    auto* bias = static_cast<float*>(run.inputs.data(6));
    for (int64_t key = 0; key < 320; ++key) bias[key] = level;
    run.again();
    EXPECT_EQ(run.compare().first_failure, "") << "bias " << level;
  }
  // The same without a bias: the first panel's products are near -30000.
  AttentionFwd problem = dense(1, 1, 1, 20, 700, 16);
  problem.scale = 1;
  problem.lse = true;
  verify::FillOptions fill;
  fill.poison = false;
  Evaluation run(problem, options(), fill);
  for (int64_t row = 0; row < 20; ++row)
    for (int64_t c = 0; c < 16; ++c)
      verify::store_element(type(), run.inputs.data(0), problem.q_offset(0, row, 0) + c, c == 0 ? 1 : 0.25);
  for (int64_t key = 0; key < 64; ++key)
    verify::store_element(type(), run.inputs.data(1), problem.k_offset(0, key, 0), -30000);
  run.again();
  EXPECT_EQ(run.compare().first_failure, "");
}

TEST_P(Extremes, strides_beyond_32_bits) {
  // Sequences, then heads, then rows lie more than 2^32 elements apart in a region of which only the rows exist.
  constexpr int64_t kFar = (int64_t{1} << 32) + 64;
  AttentionFwd sequences = dense(2, 2, 1, 5, 9, 16);
  sequences.q_strides.batch = sequences.k_strides.batch = sequences.v_strides.batch = sequences.o_strides.batch = kFar;
  AttentionFwd heads = dense(1, 2, 2, 5, 9, 16);
  heads.q_strides.head = heads.k_strides.head = heads.v_strides.head = heads.o_strides.head = kFar;
  AttentionFwd rows = dense(1, 1, 1, 3, 3, 16);
  rows.q_strides.row = rows.k_strides.row = rows.v_strides.row = rows.o_strides.row = kFar / 2 + 1;
  for (AttentionFwd problem : {sequences, heads, rows}) {
    problem.mask = Mask::causal();
    ASSERT_TRUE(problem.check().ok()) << problem.check().message();
    EXPECT_TRUE(expect_within_bound(problem, options(2))) << problem.text();
  }
}

}  // namespace
}  // namespace attend::test
