// SPDX-License-Identifier: Apache-2.0
#include "matrix.hpp"

#include <cblas.h>

#include <thread>

namespace llm {

Matrix Matrix::decoded(const Tensor& tensor) {
  Matrix matrix{tensor.rows, tensor.columns, std::vector<float>(static_cast<size_t>(tensor.rows * tensor.columns))};
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < tensor.rows; ++row)
    dequantise(tensor.type, tensor.row(row), matrix.elements.data() + row * tensor.columns);
  return matrix;
}

void multiply(const float* x, int64_t count, const Matrix& weights, float* y) {
  const auto rows = static_cast<int>(weights.rows), columns = static_cast<int>(weights.columns);
  if (count == 1) {
    cblas_sgemv(CblasRowMajor, CblasNoTrans, rows, columns, 1, weights.elements.data(), columns, x, 1, 0, y, 1);
  } else {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(count), rows, columns, 1, x, columns,
                weights.elements.data(), columns, 0, y, rows);
  }
}

void set_matrix_threads(int threads) {
  openblas_set_num_threads(threads > 0 ? threads : static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace llm
