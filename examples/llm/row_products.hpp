// SPDX-License-Identifier: Apache-2.0
// What is done to rows of weights as a file has them: decoded to f32, or decoded in registers and multiplied there, so
// that few tokens cost the bytes of the file and no more. For the formats of which the instruction sets know how;
// others are decoded by dequantise() first.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "gguf.hpp"

namespace llm {

/// Most rows of x that are multiplied with one row of weights while it is in registers.
constexpr int kMostProducts = 4;

/// One instruction set's functions. `row` is what Tensor::row() says, with its `columns`; `count` is 1 to
/// kMostProducts.
struct RowProducts {
  const char* name;
  /// The decoded row, the very numbers of dequantise().
  void (*decode)(TensorType type, std::span<const std::byte> row, int64_t columns, float* out);
  /// y[i * y_stride] = row . x[i * columns ...], i < count. Products and sums in f32, in an order that is the same in
  /// every call. `room` holds `columns` numbers.
  void (*multiply)(TensorType type, std::span<const std::byte> row, int64_t columns, const float* x, int count,
                   float* y, int64_t y_stride, float* room);
};

/// Those of the best instruction set that this CPU has.
const RowProducts& row_products();
/// All that this CPU has, the best one first.
std::span<const RowProducts* const> all_row_products();

}  // namespace llm
