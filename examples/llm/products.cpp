// SPDX-License-Identifier: Apache-2.0
#include "products.hpp"

#include <cblas.h>

#include <algorithm>
#include <thread>

#include "row_products.hpp"

namespace llm {

namespace {

/// Rows of x up to which weights are multiplied as they lie in the file; as many stay in the nearest cache meanwhile.
constexpr int64_t kFew = 8;
/// Of weights that are decoded at a time, so that they are still in a cache when OpenBLAS reads them. Whatever the
/// threads, panels are the same, and so are the results.
constexpr int64_t kPanelRows = 384;
/// Elements of weights that are worth a thread.
constexpr int64_t kThreadElements = 32768;

/// A line of memory holds up to 100 weights, and hardware fetches too few lines ahead to hide how long one takes: rows
/// are asked for by hand, this many bytes before they are read (2.4 times as fast on one core, with Q4_1).
constexpr int64_t kAhead = 2048;
constexpr int64_t kLine = 64;

/// Row `row` of the tensor; fetches what lies kAhead behind it, which may be outside.
std::span<const std::byte> fetched_row(const Tensor& weights, int64_t row) {
  const std::span<const std::byte> here = weights.row(row);
  const auto begin = reinterpret_cast<uintptr_t>(here.data()) + kAhead, end = begin + here.size();
  for (uintptr_t line = (begin + kLine - 1) / kLine; line < (end + kLine - 1) / kLine; ++line)
    __builtin_prefetch(reinterpret_cast<const void*>(line * kLine));
  return here;
}

}  // namespace

void Products::set_threads(int threads) {
  threads_ = threads > 0 ? threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  openblas_set_num_threads(threads_);  // of naive attention
}

void Products::multiply(const float* x, int64_t count, const Tensor& weights, float* y) {
  if (count == 0 || weights.rows == 0) return;
  if (count <= kFew) {
    multiply_alike(x, count, weights, y);
  } else {
    multiply_many(x, count, weights, y);
  }
}

void Products::multiply_alike(const float* x, int64_t count, const Tensor& weights, float* y) {
  const RowProducts& products = row_products();
  const int64_t columns = weights.columns;
  const auto threads =
      static_cast<int>(std::clamp<int64_t>(weights.rows * columns / kThreadElements, 1, int64_t{threads_}));
  room_.resize(std::max(room_.size(), static_cast<size_t>(threads * columns)));
#pragma omp parallel for schedule(static, 1) num_threads(threads)
  for (int share = 0; share < threads; ++share) {
    float* room = room_.data() + share * columns;
    for (int64_t begin = 0; begin < count; begin += kFew)
      for (int64_t row = weights.rows * share / threads; row < weights.rows * (share + 1) / threads; ++row) {
        const std::span<const std::byte> bytes = fetched_row(weights, row);
        const int64_t end = std::min(begin + kFew, count);
        for (int64_t first = begin; first < end; first += kMostProducts)
          products.multiply(weights.type, bytes, columns, x + first * columns,
                            static_cast<int>(std::min<int64_t>(end - first, kMostProducts)),
                            y + first * weights.rows + row, weights.rows, room);
      }
  }
}

void Products::multiply_many(const float* x, int64_t count, const Tensor& weights, float* y) {
  const RowProducts& products = row_products();
  const int64_t columns = weights.columns, panels = (weights.rows + kPanelRows - 1) / kPanelRows;
  const int threads = static_cast<int>(std::min<int64_t>(threads_, panels));
  const int64_t panel = (weights.rows + panels - 1) / panels;
  room_.resize(std::max(room_.size(), static_cast<size_t>(threads * panel * columns)));
  const int blas_threads = openblas_get_num_threads();
  openblas_set_num_threads(1);  // a panel is one thread's
#pragma omp parallel for schedule(static, 1) num_threads(threads)
  for (int share = 0; share < threads; ++share) {
    float* decoded = room_.data() + share * panel * columns;
    for (int64_t first = share * panel; first < weights.rows; first += threads * panel) {
      const int64_t rows = std::min(panel, weights.rows - first);
      for (int64_t i = 0; i < rows; ++i)
        products.decode(weights.type, fetched_row(weights, first + i), columns, decoded + i * columns);
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(count), static_cast<int>(rows),
                  static_cast<int>(columns), 1, x, static_cast<int>(columns), decoded, static_cast<int>(columns), 0,
                  y + first, static_cast<int>(weights.rows));
    }
  }
  openblas_set_num_threads(blas_threads);
}

}  // namespace llm
