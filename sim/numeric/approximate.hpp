// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

// The functions that PTX computes approximately. Their results here are exact but for the last rounding; on request
// they err by an amount within the documented bound, a fixed function of seed, function and operand.
namespace ptxsim {

enum class Approximate : uint8_t { rcp, sqrt, rsqrt, sin, cos, lg2, ex2, tanh, div };

template <Approximate f>
inline double exact_value(double x) {
  switch (f) {
    case Approximate::rcp: return 1 / x;
    case Approximate::sqrt: return std::sqrt(x);
    case Approximate::rsqrt: return 1 / std::sqrt(x);
    case Approximate::sin: return std::sin(x);
    case Approximate::cos: return std::cos(x);
    case Approximate::lg2: return std::log2(x);
    case Approximate::ex2: return std::exp2(x);
    case Approximate::tanh: return std::tanh(x);
    case Approximate::div: break;
  }
  return x;
}

/// How far a result may be from the exact one before it is rounded: the documented bound less half a unit in the last
/// place. Units are those of the result's format.
struct ErrorBudget {
  double units = 0, relative = 0, absolute = 0;
};

/// A number in [-1, 1].
inline double seeded_error(uint64_t seed, Approximate f, uint64_t operand) {
  uint64_t x = seed * 0x9e3779b97f4a7c15u + operand + (static_cast<uint64_t>(f) << 56);
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  x ^= x >> 31;
  return static_cast<double>(x >> 11) * 0x1p-52 - 1;
}

/// `exact` with the error of `seed`. Zeros, infinities and NaN are what the PTX tables of special values say.
inline double with_error(double exact, const ErrorBudget& budget, int fraction_bits, double error) {
  if (exact == 0 || !std::isfinite(exact)) return exact;
  // A power of two may stand for a number just below it, whose units are half as large.
  const double unit = std::ldexp(1, std::ilogb(exact * (1 - 0x1p-50)) - fraction_bits);
  return exact + error * (budget.units * unit + budget.relative * std::fabs(exact) + budget.absolute);
}

/// Of the f32 forms (PTX ISA 9.7.3).
template <Approximate f>
inline ErrorBudget f32_budget(double x) {
  switch (f) {
    case Approximate::rcp: return {.units = 0.5};
    case Approximate::div:
    case Approximate::ex2: return {.units = 1};  // of 2; rounding up to a power of two and beyond takes a whole one
    case Approximate::sqrt: return {.relative = 0x1p-24};
    case Approximate::rsqrt: return {.relative = 0x1.12p-23 - 0x1p-24};  // 2^-22.9
    case Approximate::sin:
    case Approximate::cos: return {.absolute = 0x1.6ap-21 - 0x1p-25};  // 2^-20.5
    case Approximate::lg2:
      return x > 0.5 && x < 2 ? ErrorBudget{.absolute = 0x1p-22 - 0x1p-25} : ErrorBudget{.relative = 0x1p-22 - 0x1p-24};
    case Approximate::tanh: return {.relative = 0x1p-11 - 0x1p-24};
  }
  return {};
}

/// Keeps what the function promises whatever the error: the special values at 0 and infinity, and its range.
template <Approximate f>
inline double in_range(double erring, double x) {
  switch (f) {
    case Approximate::sin:
    case Approximate::tanh: return x == 0 || std::isinf(x) ? exact_value<f>(x) : std::clamp(erring, -1.0, 1.0);
    case Approximate::cos: return x == 0 ? 1 : std::clamp(erring, -1.0, 1.0);
    case Approximate::ex2: return x == 0 ? 1 : erring;
    default: return erring;
  }
}

}  // namespace ptxsim
