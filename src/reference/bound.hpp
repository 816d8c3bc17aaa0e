// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cmath>
#include <limits>

namespace attend {

/// A number and how far what a kernel computed in its place may be from it. The arithmetic carries the error of the
/// operands along; what an operation itself rounds is added where it happens (rounding.hpp).
struct Bound {
  double value = 0, error = 0;

  Bound() = default;
  Bound(double value_, double error_ = 0) : value(value_), error(error_) {}  // NOLINT: an exact number is a Bound
};

inline Bound operator+(Bound a, Bound b) { return {a.value + b.value, a.error + b.error}; }
inline Bound operator-(Bound a, Bound b) { return {a.value - b.value, a.error + b.error}; }
inline Bound operator*(Bound a, Bound b) {
  return {a.value * b.value, std::abs(a.value) * b.error + (std::abs(b.value) + b.error) * a.error};
}
inline Bound operator/(Bound a, Bound b) {
  const double value = a.value / b.value, rest = std::abs(b.value) - b.error;
  return {value, rest > 0 ? (a.error + std::abs(value) * b.error) / rest : std::numeric_limits<double>::infinity()};
}
/// |exp(x + e) - exp(x)| <= exp(x) * (exp(|e|) - 1).
inline Bound exp(Bound x) {
  const double value = std::exp(x.value);
  return {value, value == 0 && std::isfinite(x.error) ? 0 : value * std::expm1(x.error)};
}
inline Bound log(Bound x) {
  const double rest = x.value - x.error;
  return {std::log(x.value), rest > 0 ? x.error / rest : std::numeric_limits<double>::infinity()};
}
/// Slope 1 - tanh^2, curvature below 0.77.
inline Bound tanh(Bound x) {
  const double value = std::tanh(x.value), first = (1 - value * value) * x.error;
  return {value, std::fmin(x.error, std::fmin(2, first + 0.385 * x.error * x.error))};
}

inline double value_of(double x) { return x; }
inline double value_of(Bound x) { return x.value; }

/// Sum of products; the second factor of each is exact.
template <class Scalar>
struct Sum;

template <>
struct Sum<double> {
  double total = 0;
  void add(double a, double b) { total += a * b; }
};

template <>
struct Sum<Bound> {
  double total = 0, error = 0;
  double magnitude = 0;  ///< sum of the products' absolute values: what rounding errors of partial sums are relative to
  void add(Bound a, double b) {
    const double product = a.value * b, size = std::abs(b);
    total += product;
    error += a.error * size;
    magnitude += std::abs(product);
  }
};

}  // namespace attend
