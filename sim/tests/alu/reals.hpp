// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <limits>

// Rounding done the slow way, for expected values: in extended precision, by the grid of the format.
namespace ptxsim::test {

constexpr int kNearest = FE_TONEAREST, kZero = FE_TOWARDZERO, kDown = FE_DOWNWARD, kUp = FE_UPWARD, kAway = -1;

/// A format by the exponents of its smallest normal number and its largest one, and its fraction bits.
struct Grid {
  int smallest, largest, fraction;
  bool has_infinity = true;
  double highest = 0;  ///< largest finite number where the format has no infinity
};
constexpr Grid kF32{-126, 127, 23}, kF16{-14, 15, 10}, kBf16{-126, 127, 7}, kTf32{-126, 127, 10}, kE5m2{-14, 15, 2};
constexpr Grid kE4m3{-6, 8, 3, false, 448};

inline long double largest_of(const Grid& grid) {
  return grid.has_infinity ? std::ldexp(2.0L - std::ldexp(1.0L, -grid.fraction), grid.largest) : grid.highest;
}

/// x on the grid; what overflows becomes an infinity or the largest number as the mode says.
inline long double on_grid(long double x, const Grid& grid, int mode, bool satfinite = false) {
  if (x == 0 || std::isnan(x)) return x;
  const long double sign = std::signbit(x) ? -1 : 1;
  if (std::isinf(x)) return satfinite ? sign * largest_of(grid) : x;
  const int exponent = std::max(std::ilogb(x), grid.smallest);
  const long double unit = std::ldexp(1.0L, exponent - grid.fraction);
  const long double steps = x / unit;  // exact: a power of two
  long double rounded = std::trunc(steps);
  const long double rest = std::fabs(steps - rounded);
  const bool away = mode == kNearest ? rest > 0.5L || (rest == 0.5L && std::fmod(rounded, 2.0L) != 0)
                    : mode == kAway  ? rest >= 0.5L
                    : mode == kZero  ? false
                    : mode == kUp    ? rest > 0 && sign > 0
                                     : rest > 0 && sign < 0;
  if (away) rounded += sign;
  const long double value = std::copysign(rounded * unit, x);
  if (std::fabs(value) <= largest_of(grid)) return value;
  const bool to_largest = satfinite || mode == kZero || (mode == kDown && sign > 0) || (mode == kUp && sign < 0);
  return sign * (to_largest ? largest_of(grid) : std::numeric_limits<long double>::infinity());
}

/// Bits of a number that is on the grid of a format with `bits` bits; NaN as given.
inline uint32_t bits_on_grid(long double x, const Grid& grid, uint32_t nan) {
  if (std::isnan(x)) return nan;
  const int fields = grid.largest - grid.smallest + (grid.has_infinity ? 2 : 1);
  const int width = std::ilogb(static_cast<double>(fields)) + 1;  // of the exponent field
  const uint32_t sign = std::signbit(x) ? 1u << (width + grid.fraction) : 0;
  if (std::isinf(x)) return sign | static_cast<uint32_t>(fields) << grid.fraction;
  if (x == 0) return sign;
  const int exponent = std::max(std::ilogb(x), grid.smallest);
  const auto steps = static_cast<uint64_t>(std::ldexp(std::fabs(x), grid.fraction - exponent));
  return sign | static_cast<uint32_t>((static_cast<uint64_t>(exponent - grid.smallest) << grid.fraction) + steps);
}

/// The value of bits of a format.
inline long double value_on_grid(uint32_t bits, const Grid& grid, int width) {
  const uint32_t fraction = bits & ((1u << grid.fraction) - 1);
  const int field = static_cast<int>(bits >> grid.fraction) & ((1 << width) - 1);
  const long double sign = (bits >> (grid.fraction + width) & 1) != 0 ? -1 : 1;
  const bool top = field == (1 << width) - 1;
  if (top && grid.has_infinity)
    return fraction != 0 ? std::nanl("") : sign * std::numeric_limits<long double>::infinity();
  if (top && fraction == (1u << grid.fraction) - 1) return std::nanl("");
  const long double steps = fraction + (field != 0 ? std::ldexp(1.0L, grid.fraction) : 0);
  return std::copysign(std::ldexp(steps, std::max(field, 1) - 1 + grid.smallest - grid.fraction), sign);
}

inline long double f16_value(uint64_t bits) { return value_on_grid(static_cast<uint16_t>(bits), kF16, 5); }
inline long double bf16_value(uint64_t bits) { return value_on_grid(static_cast<uint16_t>(bits), kBf16, 8); }
inline long double e4m3_value(uint64_t bits) { return value_on_grid(static_cast<uint8_t>(bits), kE4m3, 4); }
inline long double e5m2_value(uint64_t bits) { return value_on_grid(static_cast<uint8_t>(bits), kE5m2, 5); }

/// f() in the host's rounding mode `mode`.
template <class F>
auto in_mode(int mode, F f) {
  std::fesetround(mode);
  const auto result = f();
  std::fesetround(FE_TONEAREST);
  return result;
}

/// a * b + c with a last bit that is 1 when something was cut off, which later roundings to less precision then see.
inline long double fused(long double a, long double b, long double c) {
  volatile long double product = a * b;  // exact: operands have 24 bits at most
  volatile long double addend = c;
  std::feclearexcept(FE_INEXACT);
  std::fesetround(FE_TOWARDZERO);
  volatile long double sum = product + addend;
  std::fesetround(FE_TONEAREST);
  if (std::fetestexcept(FE_INEXACT) == 0 || std::isinf(sum)) {
    // An exact zero of opposite signs is +0 in round to nearest, as it is here.
    return sum;
  }
  const long double unit = std::ldexp(1.0L, std::ilogb(sum) - 63);
  const bool odd = std::fmod(std::fabs(sum) / unit, 2.0L) != 0;
  return odd ? sum : sum + std::copysign(unit, sum);
}

}  // namespace ptxsim::test
