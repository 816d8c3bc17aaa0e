// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <bit>
#include <cstdint>

#include "sim/numeric/format.hpp"

// Rounding of doubles to 16 bits and exact enough sums, without branches: loops over them are vectorised.
namespace ptxsim {

/// To nearest even, of a double whose own rounding, if any, was to odd. F: F16 or Bf16.
template <class F>
constexpr uint16_t narrow(double x) {
  constexpr int kDropped = 52 - F::kFractionBits;
  constexpr int kBias = (1 << (F::kExponentBits - 1)) - 1;
  constexpr uint64_t kRebias = static_cast<uint64_t>(1023 - kBias) << F::kFractionBits;
  constexpr uint64_t kSmallestNormal = static_cast<uint64_t>(1024 - kBias) << 52;
  constexpr uint64_t kInfinity = uint64_t{0x7ff} << 52;
  // A number whose last place is the spacing of the format's subnormals: adding it rounds to that spacing.
  constexpr uint64_t kSpacing = static_cast<uint64_t>(1024 - kBias - F::kFractionBits + 52) << 52;
  const uint64_t bits = std::bit_cast<uint64_t>(x);
  const uint64_t magnitude = bits & ~(uint64_t{1} << 63);
  const uint64_t normal =
      ((magnitude + ((uint64_t{1} << (kDropped - 1)) - 1) + (magnitude >> kDropped & 1)) >> kDropped) - kRebias;
  const uint64_t small = magnitude < kSmallestNormal ? magnitude : 0;
  const uint64_t subnormal =
      std::bit_cast<uint64_t>(std::bit_cast<double>(small) + std::bit_cast<double>(kSpacing)) - kSpacing;
  const uint64_t finite = magnitude < kSmallestNormal ? subnormal : normal < F::kOverflow ? normal : F::kOverflow;
  return static_cast<uint16_t>(magnitude > kInfinity ? F::kNan : finite | bits >> 63 << 15);
}

/// x + y rounded to odd: when it is not exact the last bit is 1, so that a later rounding to fewer bits is right.
constexpr double add_to_odd(double x, double y) {
  const double sum = x + y;
  const double part = sum - x;
  const double error = (x - (sum - part)) + (y - part);
  const uint64_t bits = std::bit_cast<uint64_t>(sum);
  const bool inexact = error < 0 || error > 0;  // false when the sum is infinite or a NaN
  const uint64_t outward = (error < 0) == (sum < 0) ? uint64_t{1} : ~uint64_t{0};
  return std::bit_cast<double>(inexact && (bits & 1) == 0 ? bits + outward : bits);
}

}  // namespace ptxsim
