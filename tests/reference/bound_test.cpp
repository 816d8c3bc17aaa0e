// SPDX-License-Identifier: Apache-2.0
#include "reference/bound.hpp"

#include <cmath>
#include <functional>

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace attend {
namespace {

/// For random operands within their errors, the result stays within the error of the result.
void expect_holds(const std::function<Bound(Bound, Bound)>& f, const std::function<double(double, double)>& exact,
                  bool positive) {
  Rng rng(4);
  for (int i = 0; i < 20000; ++i) {
    const auto draw = [&] { return positive ? 0.5 + 3 * rng.uniform() : 2 * rng.normal(); };
    const Bound a{draw(), 0.2 * rng.uniform()}, b{draw(), 0.2 * rng.uniform()};
    const Bound result = f(a, b);
    EXPECT_DOUBLE_EQ(result.value, exact(a.value, b.value));
    // Errors are largest at the ends.
    for (const double x : {a.value - a.error, a.value, a.value + a.error}) {
      for (const double y : {b.value - b.error, b.value, b.value + b.error}) {
        ASSERT_LE(std::abs(exact(x, y) - result.value), result.error + 1e-14 * (1 + std::abs(result.value)))
            << a.value << " " << b.value;
      }
    }
  }
}

TEST(bound_arithmetic, covers_operands_at_the_ends_of_their_errors) {
  expect_holds([](Bound a, Bound b) { return a + b; }, [](double a, double b) { return a + b; }, false);
  expect_holds([](Bound a, Bound b) { return a - b; }, [](double a, double b) { return a - b; }, false);
  expect_holds([](Bound a, Bound b) { return a * b; }, [](double a, double b) { return a * b; }, false);
  expect_holds([](Bound a, Bound b) { return a / b; }, [](double a, double b) { return a / b; }, true);
  expect_holds([](Bound a, Bound) { return exp(a); }, [](double a, double) { return std::exp(a); }, false);
  expect_holds([](Bound a, Bound) { return tanh(a); }, [](double a, double) { return std::tanh(a); }, false);
  expect_holds([](Bound a, Bound) { return log(a); }, [](double a, double) { return std::log(a); }, true);
}

TEST(bound_arithmetic, says_infinite_where_it_knows_nothing) {
  EXPECT_TRUE(std::isinf((Bound{1, 0} / Bound{1, 2}).error));
  EXPECT_TRUE(std::isinf(log(Bound{1, 1}).error));
  EXPECT_FALSE(std::isfinite(exp(Bound{-1e9, INFINITY}).error));
}

TEST(bound_arithmetic, sums_know_their_magnitude) {
  Sum<Bound> sum;
  sum.add({3, 0.1}, -2);
  sum.add({-1, 0.2}, -5);
  EXPECT_DOUBLE_EQ(sum.total, -1);
  EXPECT_DOUBLE_EQ(sum.error, 0.2 + 1);
  EXPECT_DOUBLE_EQ(sum.magnitude, 11);
}

}  // namespace
}  // namespace attend
