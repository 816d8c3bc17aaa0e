// SPDX-License-Identifier: Apache-2.0
// Register tiles: C[rows x vecs] += A[rows x n] * B[n x vecs], A broadcast from memory, B packed. All the arithmetic of
// attention that is not softmax happens here.
#pragma once

namespace attend::cpu::ATTEND_TARGET {

/// One step multiplies one 32-bit element of A, broadcast, with vectors of B.
struct StepF32 {
  static constexpr int kSteps = 1;  ///< columns of A that one step consumes
  ATTEND_INLINE Vec step(Vec acc, Vec a, Vec b) { return fma(a, b, acc); }
};

#ifdef __AVX512BF16__
/// The same with pairs of bf16 in each 32-bit element.
struct StepBf16 {
  static constexpr int kSteps = 2;
  ATTEND_INLINE Vec step(Vec acc, Vec a, Vec b) { return dot_bf16(acc, a, b); }
};
#endif

template <int Rows, int Vecs>
struct Tile {
  Vec c[Rows][Vecs];

  ATTEND_INLINE void fill(Tile& t, const float* row_value) {
    for (int i = 0; i < Rows; ++i)
      for (int j = 0; j < Vecs; ++j) t.c[i][j] = set1(row_value[i]);
  }
  ATTEND_INLINE void load_from(Tile& t, const float* p, int64_t stride) {
    for (int i = 0; i < Rows; ++i)
      for (int j = 0; j < Vecs; ++j) t.c[i][j] = load(p + i * stride + j * kWidth);
  }
  ATTEND_INLINE void store_to(const Tile& t, float* p, int64_t stride) {
    for (int i = 0; i < Rows; ++i)
      for (int j = 0; j < Vecs; ++j) store(p + i * stride + j * kWidth, t.c[i][j]);
  }

  /// a[i * row_stride + k * step_stride], in units of 32 bits; b[k * b_stride + ...] likewise.
  template <class Step>
  ATTEND_INLINE void multiply(Tile& t, const float* a, int64_t row_stride, int64_t step_stride, const float* b,
                              int64_t b_stride, int steps) {
    for (int k = 0; k < steps; ++k) {
      Vec bv[Vecs];
      for (int j = 0; j < Vecs; ++j) bv[j] = load(b + k * b_stride + j * kWidth);
      for (int i = 0; i < Rows; ++i) {
        const Vec av = set1(a[i * row_stride + k * step_stride]);
        for (int j = 0; j < Vecs; ++j) t.c[i][j] = Step::step(t.c[i][j], av, bv[j]);
      }
    }
  }
};

}  // namespace attend::cpu::ATTEND_TARGET
