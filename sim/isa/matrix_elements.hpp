// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>

#include "sim/isa/program.hpp"
#include "sim/isa/type.hpp"
#include "sim/numeric/matrix_product.hpp"

// Elements of matrix operands, from where the program keeps them to the arrangement of FragmentProduct.
namespace ptxsim {

/// An operand in registers of one warp: its 32-bit registers, in order. With e elements per register, lane 4 g + t
/// holds in part h of register j
///   of A  row g + 8 (j % 2), k = 4 e (j / 2) + e t + h; without the second rows (m8) row g, k = 4 e j + e t + h
///   of B  column g, k = 4 e j + e t + h
/// (PTX ISA, the fragments of mma.m16n8 and of wgmma.)
struct RegisterMatrix {
  const std::byte* file = nullptr;
  const Operand* registers = nullptr;
  uint32_t count = 0;
  uint32_t rows = 16;  ///< of A: 8 or 16
  uint32_t k = 16;
};

/// An operand fetched from shared memory, without gaps: rows of `k` elements, or k rows of `extent` elements
/// (mn_major).
struct DenseMatrix {
  const std::byte* bytes = nullptr;
  bool mn_major = false;
  uint32_t extent = 64;  ///< m or n
  uint32_t k = 16;
};

/// What an element type does: one row per type of matrix_elements.cpp. `scale` is 1 or -1.
struct MatrixElement {
  uint32_t bytes;
  void (*a_from_registers)(const RegisterMatrix& from, float scale, float* a);
  void (*b_from_registers)(const RegisterMatrix& from, float* b);
  void (*a_from_memory)(const DenseMatrix& from, float scale, float* a);
  void (*b_from_memory)(const DenseMatrix& from, float* b);
};
/// Of f16, bf16, tf32, e4m3, e5m2, s8, u8.
const MatrixElement& matrix_element(Type type);
constexpr bool is_float8(Type type) { return type == Type::e4m3 || type == Type::e5m2; }

/// D += A * B where D is an image of accumulator registers, [row_blocks][registers][32] words of `type`: f32 or s32
/// (n / 2 registers), or f16 (n / 4 registers, two neighbouring columns in each). Integers wrap, or saturate once per
/// instruction. `product.d` is ignored.
void accumulate(FragmentProduct product, Type type, bool satfinite, ProductMode mode, float* image);

/// Words of D of a warp: registers of 32 lanes.
constexpr uint32_t accumulator_registers(Type type, uint32_t n) { return type == Type::f16 ? n / 4 : n / 2; }

}  // namespace ptxsim
