// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <bit>
#include <cstdint>

#include "sim/numeric/format.hpp"

// f16 and bf16 to f32 and back to nearest even, without branches: loops over them are vectorised.
namespace ptxsim {

constexpr float bf16_to_f32(uint16_t x) { return std::bit_cast<float>(static_cast<uint32_t>(x) << 16); }

constexpr float f16_to_f32(uint16_t x) {
  const uint32_t magnitude = static_cast<uint32_t>(x & 0x7fff) << 13;
  const uint32_t sign = static_cast<uint32_t>(x & 0x8000) << 16;
  constexpr uint32_t kSmallest = 113u << 23;  // 2^-14, the smallest normal f16
  const uint32_t normal = magnitude + (112u << 23);
  const uint32_t subnormal =
      std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude + kSmallest) - std::bit_cast<float>(kSmallest));
  const uint32_t special = magnitude | 0x7f800000u;
  const uint32_t finite = magnitude < (1u << 23) ? subnormal : normal;
  return std::bit_cast<float>(sign | (magnitude < (31u << 23) ? finite : special));
}

/// A NaN becomes the canonical one, 0x7fff, without a sign.
constexpr uint16_t f32_to_bf16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  return static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fffu : rounded);
}

constexpr uint16_t f32_to_f16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t sign = bits >> 16 & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  // Above 65520 the sum below runs past infinity; larger numbers are cut first so that it cannot wrap.
  const uint32_t cut = magnitude < 0x47800000u ? magnitude : 0x47800000u;
  const uint32_t normal = (cut - (112u << 23) + 0xfffu + (cut >> 13 & 1u)) >> 13;
  // The fraction of 0.5 + x counts units of 2^-24, the spacing of subnormals; the addition rounds to nearest even.
  const uint32_t small = magnitude < 0x38800000u ? magnitude : 0;
  const uint32_t subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(small) + 0.5f) - 0x3f000000u;
  const uint32_t finite = magnitude < 0x38800000u ? subnormal : normal;
  return static_cast<uint16_t>(magnitude > 0x7f800000u ? 0x7fffu : sign | finite);
}

/// Of a packed pair: the lower and the upper half.
constexpr uint16_t low_half(uint32_t x) { return static_cast<uint16_t>(x); }
constexpr uint16_t high_half(uint32_t x) { return static_cast<uint16_t>(x >> 16); }
constexpr uint32_t pack_halves(uint16_t low, uint16_t high) { return static_cast<uint32_t>(high) << 16 | low; }

}  // namespace ptxsim
