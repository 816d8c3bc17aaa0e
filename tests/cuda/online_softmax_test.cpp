// SPDX-License-Identifier: Apache-2.0
// The algorithm layer of the device kernels, on the host: rows in tiles, spread over threads, against fp64.
#include "cuda/algo/online_softmax.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace attend::cuda::algo {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Result {
  double output = 0, lse = 0;
  int rescaled = 0;  ///< tiles whose factor was not 1
};

/// One row: scores (in units of log2), a value for each, in tiles of `keys`, shared out over `threads`.
Result in_tiles(const std::vector<float>& scores, const std::vector<float>& values, size_t keys, size_t threads,
                const float* sink = nullptr) {
  std::vector<SoftmaxRow> rows(threads, SoftmaxRow::empty());
  double output = 0;
  Result result;
  for (size_t begin = 0; begin < scores.size(); begin += keys) {
    const size_t end = std::min(scores.size(), begin + keys);
    const float largest =
        *std::max_element(scores.begin() + static_cast<ptrdiff_t>(begin), scores.begin() + static_cast<ptrdiff_t>(end));
    float factor = 1;
    for (SoftmaxRow& row : rows) factor = row.raise(largest);
    result.rescaled += factor != 1 ? 1 : 0;
    output *= factor;
    for (size_t i = begin; i < end; ++i) {
      SoftmaxRow& row = rows[i % threads];
      const float p = exp2_fast(scores[i] - row.base());
      row.sum += p;
      output += static_cast<double>(p) * values[i];
    }
  }
  SoftmaxRow whole = rows[0];
  for (size_t i = 1; i < threads; ++i) {
    EXPECT_EQ(rows[i].reference, whole.reference);
    whole.sum += rows[i].sum;
  }
  if (sink != nullptr) output *= whole.add_sink(*sink);
  result.output = output * whole.output_factor();
  result.lse = whole.lse();
  return result;
}

Result exact(const std::vector<float>& scores, const std::vector<float>& values, const float* sink = nullptr) {
  double m = sink != nullptr ? *sink : -kInfinity, sum = 0, output = 0;
  for (const float s : scores) m = std::max(m, static_cast<double>(s));
  if (m == -kInfinity) return {0, -kInfinity};
  for (size_t i = 0; i < scores.size(); ++i) {
    sum += std::exp2(scores[i] - m);
    output += std::exp2(scores[i] - m) * values[i];
  }
  if (sink != nullptr) sum += std::exp2(*sink - m);
  return {output / sum, (m + std::log2(sum)) * std::log(2.0)};
}

TEST(OnlineSoftmax, any_tiles_and_threads_give_the_softmax) {
  std::mt19937 random(5);
  for (const float spread : {1.0f, 20.0f, 200.0f}) {
    std::normal_distribution<float> draw(0, spread);
    for (const size_t count : {1u, 7u, 64u, 301u}) {
      std::vector<float> scores(count), values(count);
      for (size_t i = 0; i < count; ++i) {
        scores[i] = draw(random);
        values[i] = static_cast<float>(random() % 1000) / 500 - 1;
      }
      const Result expected = exact(scores, values);
      for (const size_t keys : {1u, 16u, 128u})
        for (const size_t threads : {1u, 4u}) {
          const Result found = in_tiles(scores, values, keys, threads);
          EXPECT_NEAR(found.output, expected.output, 1e-4);
          EXPECT_NEAR(found.lse, expected.lse, 1e-5 * std::max(1.0, std::abs(expected.lse)));
        }
    }
  }
}

TEST(OnlineSoftmax, rescales_when_the_maximum_leaves_the_slack_alone) {
  const std::vector<float> values(6, 1);
  EXPECT_EQ(in_tiles({0, 1, 2, 5, 7, 8}, values, 1, 1).rescaled, 1) << "the first score alone";
  EXPECT_EQ(in_tiles({0, 9, 9, 17, 17.5f, 18}, values, 1, 1).rescaled, 3);
  EXPECT_NEAR(in_tiles({0, 1, 2, 5, 7, 8}, values, 1, 1).output, 1, 1e-6);
}

TEST(OnlineSoftmax, rows_without_weight_are_zero) {
  const Result empty = in_tiles({}, {}, 16, 4);
  EXPECT_EQ(empty.output, 0);
  EXPECT_EQ(empty.lse, -kInfinity);
  const std::vector<float> masked(20, -kInfinity), values(20, 3);
  EXPECT_EQ(in_tiles(masked, values, 8, 2).output, 0);
  EXPECT_EQ(in_tiles(masked, values, 8, 2).lse, -kInfinity);
}

TEST(OnlineSoftmax, masked_tiles_before_the_first_key_do_no_harm) {
  std::vector<float> scores(40, -kInfinity), values(40, 2);
  scores[33] = -3;
  values[33] = 5;
  const Result found = in_tiles(scores, values, 16, 4);
  EXPECT_FLOAT_EQ(static_cast<float>(found.output), 5);
  EXPECT_NEAR(found.lse, -3 * std::log(2.0), 1e-6);
}

TEST(OnlineSoftmax, a_sink_is_one_key_more) {
  const std::vector<float> scores = {1, -2, 4, 0.5f}, values = {1, 2, 3, 4};
  for (const float sink : {-30.0f, 0.0f, 4.0f, 40.0f, -kInfinity}) {
    const Result found = in_tiles(scores, values, 2, 1, &sink), expected = exact(scores, values, &sink);
    EXPECT_NEAR(found.output, expected.output, 1e-5) << sink;
    EXPECT_NEAR(found.lse, expected.lse, 1e-4) << sink;
  }
  const float sink = 2;
  const Result alone = in_tiles({}, {}, 2, 1, &sink);
  EXPECT_EQ(alone.output, 0);
  EXPECT_NEAR(alone.lse, 2 * std::log(2.0), 1e-6);
}

TEST(OnlineSoftmax, what_is_not_a_number_reaches_the_row) {
  const Result found = in_tiles({1, std::nanf(""), 2}, {1, 1, 1}, 1, 1);
  EXPECT_TRUE(std::isnan(found.output));
  EXPECT_TRUE(std::isnan(in_tiles({1, kInfinity, 2}, {1, 1, 1}, 1, 1).output));
}

}  // namespace
}  // namespace attend::cuda::algo
