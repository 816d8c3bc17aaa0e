// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <bit>
#include <cstdint>

// The 8-bit float of 1 sign, 4 exponent (bias 7) and 3 fraction bits, without infinities: 0x7f and 0xff are NaN
// (OCP 8-bit floating point, "E4M3").
namespace attend {

inline constexpr float kE4m3Largest = 448;

constexpr float e4m3_to_f32(uint8_t x) {
  const uint32_t sign = static_cast<uint32_t>(x & 0x80u) << 24, magnitude = x & 0x7fu;
  if (magnitude == 0x7f) return std::bit_cast<float>(sign | 0x7fc00000u);
  // Bits of the f32 with the same fields, 2^(127 - 7) too small; a subnormal becomes one, so the product is exact.
  return std::bit_cast<float>(sign | magnitude << 20) * 0x1p120F;
}

/// Rounds to nearest, ties to even; beyond 448 to 448; NaN stays NaN.
constexpr uint8_t f32_to_e4m3(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x), sign = bits >> 24 & 0x80u;
  const float magnitude = std::bit_cast<float>(bits & 0x7fffffffu);
  if (x != x) return static_cast<uint8_t>(sign | 0x7fu);
  if (magnitude >= kE4m3Largest) return static_cast<uint8_t>(sign | 0x7eu);
  // Below 2^-6 numbers are multiples of 2^-9: adding 1.5 * 2^14 leaves such a multiple in the last bits.
  if (magnitude < 0x1p-6F)
    return static_cast<uint8_t>(sign | (std::bit_cast<uint32_t>(magnitude + 0x1.8p14F) - 0x46c00000u));
  const uint32_t m = bits & 0x7fffffffu;
  return static_cast<uint8_t>(sign | ((m + 0x7ffffu + (m >> 20 & 1u) - (120u << 23)) >> 20));
}

}  // namespace attend
