// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>

#include "sim/numeric/format.hpp"

// e4m3 (bias 7, no infinity, one NaN per sign) and e5m2 (as IEEE 754 would have it).
namespace ptxsim {

template <class F>
constexpr std::array<float, 256> float8_table() {
  std::array<float, 256> table{};
  for (uint32_t bits = 0; bits < 256; ++bits) table[bits] = value_of<F>(bits);
  return table;
}
inline constexpr std::array<float, 256> kE4m3Values = float8_table<E4m3>();
inline constexpr std::array<float, 256> kE5m2Values = float8_table<E5m2>();

constexpr float e4m3_to_f32(uint8_t x) { return kE4m3Values[x]; }
constexpr float e5m2_to_f32(uint8_t x) { return kE5m2Values[x]; }

/// cvt.rn.satfinite: infinities and what is too large become the largest number, a NaN 0x7f.
constexpr uint8_t f32_to_e4m3(float x) { return static_cast<uint8_t>(round_to<E4m3>(double{x}, Round::rn, true)); }
constexpr uint8_t f32_to_e5m2(float x) { return static_cast<uint8_t>(round_to<E5m2>(double{x}, Round::rn, true)); }

}  // namespace ptxsim
