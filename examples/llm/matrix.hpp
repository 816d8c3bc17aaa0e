// SPDX-License-Identifier: Apache-2.0
// Linear layers: the only place that knows how their products are computed (OpenBLAS, on f32 weights).
#pragma once
#include <cstdint>
#include <vector>

#include "gguf.hpp"

namespace llm {

/// Weights of a linear layer, [rows][columns], decoded to f32.
struct Matrix {
  int64_t rows = 0, columns = 0;
  std::vector<float> elements;

  static Matrix decoded(const Tensor& tensor);
  const float* row(int64_t index) const { return elements.data() + index * columns; }
};

/// y [count][rows] = x [count][columns] . weights^T
void multiply(const float* x, int64_t count, const Matrix& weights, float* y);

/// Threads of multiply(); 0: one for each core.
void set_matrix_threads(int threads);

}  // namespace llm
