// SPDX-License-Identifier: Apache-2.0
// Linear layers: the only place that knows how their products are computed. Few rows are multiplied with weights as the
// file has them, which memory gives faster than f32 (row_products.hpp); many by OpenBLAS, with panels decoded to f32.
#pragma once
#include <cstdint>
#include <vector>

#include "gguf.hpp"

namespace llm {

/// Multiplies with weights [rows][columns] of a mapped file.
class Products {
 public:
  /// 0: one for each core. No result depends on how many there are as long as x has few rows.
  void set_threads(int threads);
  /// y [count][rows] = x [count][columns] . weights^T
  void multiply(const float* x, int64_t count, const Tensor& weights, float* y);
  /// The same product by the few rows' way: slower for many, but each row of y has the same bits whatever the others
  /// are, however many, and whatever the threads. OpenBLAS promises none of that.
  void multiply_alike(const float* x, int64_t count, const Tensor& weights, float* y);

 private:
  void multiply_many(const float* x, int64_t count, const Tensor& weights, float* y);

  int threads_ = 1;
  std::vector<float> room_;  ///< a decoded panel, or a row for each thread
};

}  // namespace llm
