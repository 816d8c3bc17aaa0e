// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <bit>
#include <cstdint>

#include "sim/numeric/half.hpp"
#include "sim/numeric/matrix_product.hpp"

namespace ptxsim {

/// mma.m8n8k4 of f16: a warp multiplies four pairs of matrices, each by two quads of lanes, 4 q .. 4 q + 3 and those 16
/// above (PTX ISA, "Matrix Fragments for mma.m8n8k4 with .f16"). This is one of the four.
class QuadPair {
 public:
  /// Two registers with four elements: of the lane's row (or column) of A, of B.
  void set_a(uint32_t lane, bool column_major, std::array<uint32_t, 2> words) {
    for (uint32_t e = 0; e < 4; ++e) {
      const uint32_t row = column_major ? e + upper(lane) : member(lane);
      const uint32_t at = fragment_a_index(4, row, column_major ? lane % 4 : e);
      for (uint32_t t = 0; t < 4; ++t) a_[at + t] = element(words, e);
    }
  }
  void set_b(uint32_t lane, bool column_major, std::array<uint32_t, 2> words) {
    for (uint32_t e = 0; e < 4; ++e) {
      const uint32_t column = column_major ? member(lane) : e + upper(lane);
      b_[fragment_b_index(4, column_major ? e : lane % 4, column)] = element(words, e);
    }
  }
  /// Register `i` of C and of D: 4 of two f16, or 8 of f32.
  void set_c(uint32_t lane, bool half, uint32_t i, uint32_t word) {
    if (half) {
      at(member(lane), 2 * i) = f16_to_f32(low_half(word));
      at(member(lane), 2 * i + 1) = f16_to_f32(high_half(word));
    } else {
      at(wide_row(lane, i), wide_column(lane, i)) = std::bit_cast<float>(word);
    }
  }
  uint32_t d(uint32_t lane, bool half, uint32_t i) {
    if (!half) return std::bit_cast<uint32_t>(at(wide_row(lane, i), wide_column(lane, i)));
    return pack_halves(f32_to_f16(at(member(lane), 2 * i)), f32_to_f16(at(member(lane), 2 * i + 1)));
  }
  void multiply(ProductMode mode) { multiply_add({1, 8, 4, a_.data(), b_.data(), d_.data()}, mode); }

 private:
  static uint32_t upper(uint32_t lane) { return lane < 16 ? 0 : 4; }
  static uint32_t member(uint32_t lane) { return lane % 4 + upper(lane); }
  static uint32_t wide_row(uint32_t lane, uint32_t i) { return (lane & 1) + (i & 2) + upper(lane); }
  static uint32_t wide_column(uint32_t lane, uint32_t i) { return (i & 4) + (lane & 2) + (i & 1); }
  static float element(const std::array<uint32_t, 2>& words, uint32_t e) {
    return f16_to_f32(e % 2 == 0 ? low_half(words[e / 2]) : high_half(words[e / 2]));
  }
  /// Rows 0 to 7 of an accumulator of 16 rows.
  float& at(uint32_t row, uint32_t column) { return d_[column % 2 * 32 + row * 4 + column / 2]; }

  alignas(64) std::array<float, 4 * 64> a_{};
  alignas(64) std::array<float, 4 * 8> b_{};
  alignas(64) std::array<float, 4 * 32> d_{};
};

}  // namespace ptxsim
