// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>

// Rounding of real numbers to the binary formats of the PTX ISA, on integers.
namespace ptxsim {

/// Decode::rounding() returns the first four in this order; rna (ties away from zero) exists for tf32 alone.
enum class Round : uint8_t { rn, rz, rm, rp, rna };

/// A format by its fields. Magnitudes, without the sign bit: `largest` finite one, `overflow` what lies above it (the
/// infinity, or the NaN of a format without one), `nan` the canonical NaN.
struct F32 {
  static constexpr int kExponentBits = 8, kFractionBits = 23;
  static constexpr uint32_t kLargest = 0x7f7fffff, kOverflow = 0x7f800000, kNan = 0x7fffffff;
};
struct Tf32 {  // 19 bits, stored in the upper part of 32
  static constexpr int kExponentBits = 8, kFractionBits = 10;
  static constexpr uint32_t kLargest = 0x3fbff, kOverflow = 0x3fc00, kNan = 0x3ffff;
};
struct F16 {
  static constexpr int kExponentBits = 5, kFractionBits = 10;
  static constexpr uint32_t kLargest = 0x7bff, kOverflow = 0x7c00, kNan = 0x7fff;
};
struct Bf16 {
  static constexpr int kExponentBits = 8, kFractionBits = 7;
  static constexpr uint32_t kLargest = 0x7f7f, kOverflow = 0x7f80, kNan = 0x7fff;
};
struct E4m3 {
  static constexpr int kExponentBits = 4, kFractionBits = 3;
  static constexpr uint32_t kLargest = 0x7e, kOverflow = 0x7f, kNan = 0x7f;
};
struct E5m2 {
  static constexpr int kExponentBits = 5, kFractionBits = 2;
  static constexpr uint32_t kLargest = 0x7b, kOverflow = 0x7c, kNan = 0x7f;
};

template <class F>
inline constexpr uint32_t kSignBit = 1u << (F::kExponentBits + F::kFractionBits);

/// A number (-1)^negative * significand * 2^exponent.
struct Exact {
  bool negative = false;
  uint64_t significand = 0;
  int exponent = 0;
  bool sticky = false;  ///< a little more than that, by less than 2^exponent
};

/// The number in format F. With `satfinite` what overflows becomes the largest finite number.
template <class F>
constexpr uint32_t round_to(const Exact& x, Round mode, bool satfinite = false) {
  const uint32_t sign = x.negative ? kSignBit<F> : 0;
  if (x.significand == 0) return sign;
  constexpr int kMinExponent = 2 - (1 << (F::kExponentBits - 1));
  const int leading = x.exponent + 63 - std::countl_zero(x.significand);
  const int exponent = std::max(leading, kMinExponent);
  const int shift = exponent - F::kFractionBits - x.exponent;  // bits that the format has no place for
  uint64_t kept = 0;
  bool half = false, rest = x.sticky;
  if (shift <= 0) {
    kept = x.significand << -shift;
  } else if (shift <= 64) {
    const uint64_t below = x.significand << (64 - shift);
    kept = shift == 64 ? 0 : x.significand >> shift;
    half = (below >> 63) != 0;
    rest = rest || (below << 1) != 0;
  } else {
    rest = true;
  }
  bool up = false;
  switch (mode) {
    case Round::rn: up = half && (rest || (kept & 1) != 0); break;
    case Round::rna: up = half; break;
    case Round::rz: break;
    case Round::rm: up = x.negative && (half || rest); break;
    case Round::rp: up = !x.negative && (half || rest); break;
  }
  // The hidden bit of `kept` raises the exponent field by one; so does a carry out of the fraction.
  const uint64_t magnitude =
      (static_cast<uint64_t>(exponent - kMinExponent) << F::kFractionBits) + kept + (up ? 1u : 0u);
  if (magnitude <= F::kLargest) return sign | static_cast<uint32_t>(magnitude);
  const bool toward_zero = mode == Round::rz || (mode == Round::rm && !x.negative) || (mode == Round::rp && x.negative);
  return sign | (satfinite || toward_zero ? F::kLargest : F::kOverflow);
}

constexpr Exact exact(uint64_t magnitude, bool negative) { return {negative, magnitude, 0, false}; }

/// Of a finite double.
constexpr Exact exact(double x) {
  const uint64_t bits = std::bit_cast<uint64_t>(x);
  const int field = static_cast<int>(bits >> 52 & 0x7ff);
  const uint64_t fraction = bits & ((uint64_t{1} << 52) - 1);
  return {bits >> 63 != 0, field == 0 ? fraction : fraction | uint64_t{1} << 52, std::max(field, 1) - 1075, false};
}

/// A double, infinities and NaN too, in format F. A NaN becomes the canonical one; without an infinity in the format,
/// or with `satfinite`, an infinity becomes the largest number.
template <class F>
constexpr uint32_t round_to(double x, Round mode, bool satfinite = false) {
  if (x != x) return F::kNan;
  const uint64_t bits = std::bit_cast<uint64_t>(x);
  if ((bits << 1) == uint64_t{0x7ff} << 53)
    return (bits >> 63 != 0 ? kSignBit<F> : 0) | (satfinite ? F::kLargest : F::kOverflow);
  return round_to<F>(exact(x), mode, satfinite);
}

/// The value of bits of a format narrower than 32 bits. E4m3's one NaN has the place of an infinity.
template <class F>
constexpr float value_of(uint32_t bits) {
  constexpr int kBias = (1 << (F::kExponentBits - 1)) - 1;
  const uint32_t sign = (bits & kSignBit<F>) != 0 ? 0x80000000u : 0;
  const uint32_t magnitude = bits & (kSignBit<F> - 1);
  constexpr int kShift = 23 - F::kFractionBits;
  if (magnitude > F::kLargest) {
    const bool infinite = magnitude == F::kOverflow && F::kOverflow != F::kNan;
    return std::bit_cast<float>(sign | (infinite ? 0x7f800000u : 0x7fc00000u | magnitude << kShift));
  }
  const uint32_t field = magnitude >> F::kFractionBits;
  const uint32_t fraction = magnitude & ((1u << F::kFractionBits) - 1);
  if constexpr (F::kExponentBits == 8) return std::bit_cast<float>(sign | magnitude << kShift);
  constexpr uint32_t kRebias = static_cast<uint32_t>(127 - kBias) << 23;
  if (field != 0) return std::bit_cast<float>(sign | ((magnitude << kShift) + kRebias));
  // A subnormal: the same fraction behind the hidden one of the smallest normal number, less that one.
  constexpr uint32_t kOne = static_cast<uint32_t>(128 - kBias) << 23;
  const float value = std::bit_cast<float>(kOne | fraction << kShift) - std::bit_cast<float>(kOne);
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(value));
}

}  // namespace ptxsim
