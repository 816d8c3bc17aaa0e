// SPDX-License-Identifier: Apache-2.0
// Compiled once per instruction set, with ATTEND_SOFTMAX_NAME the function's name. No inline function of the standard
// library may be used here: its copy with wide instructions could be the one that the linker keeps.
#include "unfused_softmax.hpp"

namespace attend::bench {
namespace {

/// e^x for x <= 0: 2^n * 2^f with |f| <= 1/2 and a Taylor polynomial of degree 7 in f * ln 2 (relative error below
/// 1e-7). Vectorises: no branch, no call. Below -87 the result is about 1e-38, which no sum notices.
inline float exp_of_negative(float x) {
  x = x > -87.0f ? x : -87.0f;
  constexpr float kShift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float n = (x * 1.44269504f + kShift) - kShift;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts, so that r is exact enough
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  return p * __builtin_bit_cast(float, bits);
}

}  // namespace

void ATTEND_SOFTMAX_NAME(float* s, int64_t ld, const int64_t* visible, int64_t rows, int64_t keys) {
  for (int64_t i = 0; i < rows; ++i) {
    float* row = s + i * ld;
    const int64_t n = visible[i];
    if (n > 0) {
      float top = row[0];
#pragma omp simd reduction(max : top)
      for (int64_t j = 0; j < n; ++j) top = row[j] > top ? row[j] : top;
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t j = 0; j < n; ++j) {
        row[j] = exp_of_negative(row[j] - top);
        sum += row[j];
      }
      const float inverse = 1.0f / sum;
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) row[j] *= inverse;
    }
    for (int64_t j = n; j < keys; ++j) row[j] = 0;
  }
}

}  // namespace attend::bench
