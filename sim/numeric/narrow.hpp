// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <bit>
#include <cstdint>

#include "sim/numeric/float_lanes.hpp"
#include "sim/numeric/format.hpp"

// Rounding to 16 and 8 bits, to integers, and exact enough sums, without branches: loops over them are vectorised.
namespace ptxsim {

/// x, a float or a double, in format F, to nearest even; canonical NaN. With `satfinite` what is above the largest
/// number becomes it. A double may be the result of a rounding to odd.
template <class F, bool satfinite = false, class T>
constexpr auto narrow(T x) {
  using B = RealBits<T>;
  using Bits = typename B::type;
  constexpr int kFraction = std::countr_zero(B::kSmallestNormal);
  constexpr int kDropped = kFraction - F::kFractionBits;
  constexpr Bits kBiasStep = (Bits{1} << (sizeof(T) == 8 ? 10 : 7)) - (Bits{1} << (F::kExponentBits - 1));
  constexpr Bits kInfinity = B::kSign - B::kSmallestNormal;
  constexpr Bits kSmallest = (kBiasStep + 1) << kFraction;
  // A number whose last place is the spacing of the format's subnormals: adding it rounds to that spacing.
  constexpr Bits kSpacing = (kBiasStep + 1 + kDropped) << kFraction;
  constexpr Bits kLimit = satfinite ? F::kLargest : F::kOverflow;
  const Bits bits = std::bit_cast<Bits>(x);
  const Bits magnitude = bits & ~B::kSign;
  const Bits normal = ((magnitude + ((Bits{1} << (kDropped - 1)) - 1) + (magnitude >> kDropped & 1)) >> kDropped) -
                      (kBiasStep << F::kFractionBits);
  const Bits small = magnitude < kSmallest ? magnitude : 0;
  const Bits subnormal = std::bit_cast<Bits>(std::bit_cast<T>(small) + std::bit_cast<T>(kSpacing)) - kSpacing;
  const Bits finite = magnitude < kSmallest ? subnormal : normal < kLimit ? normal : kLimit;
  const Bits sign = (bits & B::kSign) != 0 ? kSignBit<F> : 0;
  const Bits result = magnitude > kInfinity ? F::kNan : finite | sign;
  if constexpr (kSignBit<F> == 0x80)
    return static_cast<uint8_t>(result);
  else
    return static_cast<uint16_t>(result);
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

/// x rounded to an integer; keeps the sign of zero, infinities and NaN.
template <Round mode>
constexpr double integral(double x) {
  constexpr uint64_t kSign = RealBits<double>::kSign;
  const uint64_t sign = std::bit_cast<uint64_t>(x) & kSign;
  const double magnitude = std::bit_cast<double>(std::bit_cast<uint64_t>(x) & ~kSign);
  // 2^52 has a last place of 1; larger numbers are integers.
  const double nearest = magnitude < 0x1p52 ? (magnitude + 0x1p52) - 0x1p52 : magnitude;
  const bool up = mode == Round::rp ? sign == 0 : mode == Round::rm && sign != 0;
  double rounded = nearest;
  if constexpr (mode != Round::rn) {
    if (up)
      rounded = nearest < magnitude ? nearest + 1 : nearest;
    else
      rounded = nearest > magnitude ? nearest - 1 : nearest;
  }
  return std::bit_cast<double>(std::bit_cast<uint64_t>(rounded) | sign);
}

}  // namespace ptxsim
