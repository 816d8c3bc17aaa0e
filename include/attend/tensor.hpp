// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/dtype.hpp>
#include <cstdint>

namespace attend {

/// Distance in elements between neighbours along each dimension; columns are contiguous. 64-bit, may be 0 (broadcast)
/// for inputs.
struct Strides {
  int64_t batch = 0, row = 0, head = 0;
  bool operator==(const Strides&) const = default;
};

/// Orders of (batch, row, head, column) in memory that have a name; the last letter varies fastest.
enum class Layout : int32_t {
  bshd,  ///< [batch][row][head][column]
  bhsd,  ///< [batch][head][row][column]
  thd,   ///< [token][head][column]: sequences one after the other, no batch dimension
};

/// Dense strides of a tensor. `rows` is used by the layouts with a batch dimension only.
constexpr Strides dense_strides(Layout layout, int64_t rows, int64_t heads, int64_t cols) {
  switch (layout) {
    case Layout::bshd: return {rows * heads * cols, heads * cols, cols};
    case Layout::bhsd: return {heads * rows * cols, cols, rows * cols};
    case Layout::thd: return {0, heads * cols, cols};
  }
  return {};
}

/// A view of somebody else's memory, [batch, rows, heads, cols]; columns contiguous. T is `void` or `const void`.
template <class T>
struct BasicTensor {
  T* data = nullptr;
  DType dtype = DType::f32;
  int64_t batch = 0, rows = 0, heads = 0, cols = 0;
  Strides strides;

  BasicTensor() = default;
  BasicTensor(T* data_, DType dtype_, Layout layout, int64_t batch_, int64_t rows_, int64_t heads_, int64_t cols_)
      : data(data_),
        dtype(dtype_),
        batch(batch_),
        rows(rows_),
        heads(heads_),
        cols(cols_),
        strides(dense_strides(layout, rows_, heads_, cols_)) {}
  template <class U>
  BasicTensor(const BasicTensor<U>& other)  // NOLINT: a writable view is a readable one
      : data(other.data),
        dtype(other.dtype),
        batch(other.batch),
        rows(other.rows),
        heads(other.heads),
        cols(other.cols),
        strides(other.strides) {}
};

using Tensor = BasicTensor<void>;
using ConstTensor = BasicTensor<const void>;

}  // namespace attend
