// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>

#include "sim/ptxsim.hpp"

namespace ptxsim {

/// Operands of D += A * B, arranged as the accumulator lies in the registers of warps: lane l = 4 g + t of a block of
/// 16 rows holds in register i row g + 8 * (i / 2 % 2), column 8 * (i / 4) + 2 t + i % 2 (PTX ISA, "Register
/// Fragments" of wgmma with f32; mma.m16n8 is the same). So neighbouring lanes are neighbours in memory, and no
/// element of D moves.
struct FragmentProduct {
  uint32_t row_blocks = 1;  ///< of 16 rows
  uint32_t n = 8;           ///< multiple of 8
  uint32_t k = 16;
  /// [row_blocks][k][2][32]: A[16 * block + 8 * half + g][k], the same in the four lanes of g.
  const float* a = nullptr;
  /// [n / 8][k][2][4]: B[k][8 * j + 2 * t + e] at [j][k][e][t].
  const float* b = nullptr;
  /// [row_blocks][n / 2][32].
  float* d = nullptr;
};

/// Where B[k][n] lies in FragmentProduct::b of `depth` rows.
constexpr uint32_t fragment_b_index(uint32_t depth, uint32_t k, uint32_t n) {
  return ((n / 8) * depth + k) * 8 + n % 2 * 4 + n % 8 / 2;
}
/// Where A[row][k] begins in FragmentProduct::a: the first of four equal floats.
constexpr uint32_t fragment_a_index(uint32_t depth, uint32_t row, uint32_t k) {
  return ((row / 16 * depth + k) * 2 + row % 16 / 8) * 32 + row % 8 * 4;
}

/// How a sum of products is formed.
enum class ProductMode : uint8_t {
  f32,    ///< one fma per k, ascending
  f64,    ///< in double, rounded to f32 at the end
  trunc,  ///< terms, D among them, cut to 13 fraction bits below the largest one, then added exactly
};

/// D += A * B. A NaN in D is the canonical one afterwards (0x7fffffff). Every path gives the same bits.
void multiply_add(const FragmentProduct& product, ProductMode mode = ProductMode::f32);

/// One way to compute ProductMode::f32; those that the processor can run, the fastest first, the portable one last.
struct ProductPath {
  const char* name;
  void (*run)(const FragmentProduct&);
};
std::span<const ProductPath> product_paths();

/// The mode that a schedule asks for: `trunc` is a model of 8-bit floats alone.
constexpr ProductMode product_mode(Accumulate accumulate, bool float8) {
  if (accumulate == Accumulate::f64) return ProductMode::f64;
  return accumulate == Accumulate::trunc && float8 ? ProductMode::trunc : ProductMode::f32;
}

}  // namespace ptxsim
