// SPDX-License-Identifier: Apache-2.0
// Norms, gates and comparisons of predictions against fp64, for odd sizes and extreme numbers.
#include "examples/llm/elementwise.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace {

std::vector<float> draw(size_t count, float scale, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> x(count);
  for (float& each : x) each = normal(random);
  return x;
}

double exact_log_sum_exp(const std::vector<float>& x) {
  const double largest = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (const double each : x) sum += std::exp(each - largest);
  return largest + std::log(sum);
}

TEST(Elementwise, norms_are_those_of_fp64) {
  for (const size_t width : {1, 7, 64, 577}) {
    const std::vector<float> x = draw(31 * width, 3, 1), gain = draw(width, 1, 2);
    std::vector<float> y;
    llm::normalise(x, gain, 1e-5, y, 2);
    for (size_t row = 0; row < 31; ++row) {
      double squares = 0;
      for (size_t c = 0; c < width; ++c) squares += std::pow(double{x[row * width + c]}, 2);
      const double r = 1 / std::sqrt(squares / static_cast<double>(width) + 1e-5);
      for (size_t c = 0; c < width; ++c) {
        const double exact = gain[c] * x[row * width + c] * r;
        ASSERT_NEAR(y[row * width + c], exact, 3e-7 * std::abs(exact));
      }
    }
  }
}

TEST(Elementwise, gates_are_those_of_fp64) {
  for (const llm::Gate kind : {llm::Gate::silu, llm::Gate::gelu}) {
    std::vector<float> gate = draw(40001, 5, 3);
    gate[0] = 0;
    gate[1] = 200;
    gate[2] = -200;
    const std::vector<float> up = draw(gate.size(), 2, 4), before = gate;
    std::vector<float> one_thread = gate;
    llm::open_gate(kind, gate, up, 2);
    llm::open_gate(kind, one_thread, up, 1);
    for (size_t i = 0; i < gate.size(); ++i) {
      const double x = before[i],
                   z = kind == llm::Gate::silu ? x : 2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
      const double exact = x * up[i] / (1 + std::exp(-z));
      // The exponent's own rounding counts |z| times; below -87 the gate is e^-87 of its size instead of even less.
      ASSERT_NEAR(gate[i], exact, (1e-6 + 3e-7 * std::abs(z)) * std::abs(exact) + 1e-34) << x;
      ASSERT_EQ(gate[i], one_thread[i]);
    }
    gate[5] = std::numeric_limits<float>::quiet_NaN();
    llm::open_gate(kind, gate, up, 1);
    EXPECT_TRUE(std::isnan(gate[5]));
  }
}

TEST(Elementwise, predictions_are_compared_as_in_fp64) {
  for (const size_t count : {1, 15, 1000, 49152}) {
    const std::vector<float> expected = draw(count, 4, 5);
    std::vector<float> found = expected;
    const std::vector<float> noise = draw(count, 0.05F, 6);
    for (size_t i = 0; i < count; ++i) found[i] += noise[i];
    double divergence = 0;
    const double exact_found = exact_log_sum_exp(found), exact_expected = exact_log_sum_exp(expected);
    for (size_t i = 0; i < count; ++i)
      divergence +=
          std::exp(expected[i] - exact_expected) * ((expected[i] - exact_expected) - (found[i] - exact_found));
    const llm::Comparison both = llm::compare(found, expected);
    EXPECT_NEAR(both.log_sum_exp_found, exact_found, 1e-6);
    EXPECT_NEAR(both.log_sum_exp_expected, exact_expected, 1e-6);
    EXPECT_NEAR(both.divergence, divergence, 1e-6);
    EXPECT_NEAR(llm::log_sum_exp(found), exact_found, 1e-6);
    EXPECT_EQ(both.same_choice, std::max_element(found.begin(), found.end()) - found.begin() ==
                                    std::max_element(expected.begin(), expected.end()) - expected.begin());
    EXPECT_EQ(llm::compare(expected, expected).divergence, 0);
    EXPECT_TRUE(llm::compare(expected, expected).same_choice);
  }
}

}  // namespace
