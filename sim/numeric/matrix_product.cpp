// SPDX-License-Identifier: Apache-2.0
#include "sim/numeric/matrix_product.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ptxsim {
namespace {

constexpr uint32_t kCanonicalNan = 0x7fffffff;

float canonical(float x) { return x == x ? x : std::bit_cast<float>(kCanonicalNan); }

/// Calls f(d, a, b) for every element of D: a steps by 64 and b by 8 per k.
template <class F>
void for_elements(const FragmentProduct& p, F f) {
  const uint32_t registers = p.n / 2;
  for (uint32_t block = 0; block < p.row_blocks; ++block)
    for (uint32_t i = 0; i < registers; ++i)
      for (uint32_t lane = 0; lane < 32; ++lane)
        f(p.d[(size_t{block} * registers + i) * 32 + lane], p.a + (size_t{block} * p.k * 2 + i / 2 % 2) * 32 + lane,
          p.b + size_t{i / 4} * p.k * 8 + i % 2 * 4 + lane % 4);
}

void portable(const FragmentProduct& p) {
  for_elements(p, [&](float& d, const float* a, const float* b) {
    float sum = d;
    for (uint32_t k = 0; k < p.k; ++k) sum = std::fma(a[size_t{k} * 64], b[size_t{k} * 8], sum);
    d = canonical(sum);
  });
}

void in_double(const FragmentProduct& p) {
  for_elements(p, [&](float& d, const float* a, const float* b) {
    double sum = d;
    for (uint32_t k = 0; k < p.k; ++k) sum = std::fma(double{a[size_t{k} * 64]}, double{b[size_t{k} * 8]}, sum);
    d = canonical(static_cast<float>(sum));
  });
}

/// The exponent of a number's leading bit; far below all others for zero.
int leading_exponent(double x) { return x == 0 ? std::numeric_limits<int>::min() / 2 : std::ilogb(x); }

void truncated(const FragmentProduct& p) {
  constexpr int kFractionBits = 13;
  for_elements(p, [&](float& d, const float* a, const float* b) {
    double plain = d;
    int largest = leading_exponent(d);
    for (uint32_t k = 0; k < p.k; ++k) {
      const double term = double{a[size_t{k} * 64]} * double{b[size_t{k} * 8]};
      plain += term;
      if (std::isfinite(term)) largest = std::max(largest, leading_exponent(term));
    }
    if (!std::isfinite(plain) || plain == 0) {  // infinities and NaN do not depend on the window
      d = canonical(static_cast<float>(plain));
      if (plain != 0) return;
    }
    const double unit = std::ldexp(1.0, std::max(largest - kFractionBits, -1000));
    double sum = std::trunc(d / unit);
    for (uint32_t k = 0; k < p.k; ++k) sum += std::trunc(double{a[size_t{k} * 64]} * double{b[size_t{k} * 8]} / unit);
    d = static_cast<float>(sum * unit);
  });
}

#if defined(__x86_64__)

// GCC keeps an array of vectors in registers only where the loops over it are unrolled, which it does when told to.
#if defined(__clang__)
#define PTXSIM_UNROLL
#else
#define PTXSIM_UNROLL _Pragma("GCC unroll 8")
#endif

/// Two groups of 8 columns at a time (one, with `Groups` 1): 16 accumulators of 16 lanes, 4 + 4 loads per 16 fma.
template <uint32_t Groups>
__attribute__((target("avx512f"))) void columns_avx512(const float* a, const float* b, float* d, uint32_t depth) {
  __m512 sum[Groups * 4][2];
  PTXSIM_UNROLL for (uint32_t i = 0; i < Groups * 4; ++i) {
    PTXSIM_UNROLL for (uint32_t v = 0; v < 2; ++v) sum[i][v] = _mm512_loadu_ps(d + i * 32 + v * 16);
  }
  for (uint32_t k = 0; k < depth; ++k) {
    __m512 rows[4], columns[Groups * 2];
    PTXSIM_UNROLL for (uint32_t v = 0; v < 4; ++v) rows[v] = _mm512_loadu_ps(a + k * 64 + v * 16);
    PTXSIM_UNROLL for (uint32_t c = 0; c < Groups * 2; ++c) {
      columns[c] = _mm512_maskz_broadcast_f32x4(0xffff, _mm_loadu_ps(b + (c / 2 * depth + k) * 8 + c % 2 * 4));
    }
    PTXSIM_UNROLL for (uint32_t i = 0; i < Groups * 4; ++i) {
      PTXSIM_UNROLL for (uint32_t v = 0; v < 2; ++v) {
        sum[i][v] = _mm512_fmadd_ps(rows[i / 2 % 2 * 2 + v], columns[i / 4 * 2 + i % 2], sum[i][v]);
      }
    }
  }
  const __m512 nan = _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(kCanonicalNan)));
  PTXSIM_UNROLL for (uint32_t i = 0; i < Groups * 4; ++i) {
    PTXSIM_UNROLL for (uint32_t v = 0; v < 2; ++v) {
      const __mmask16 invalid = _mm512_cmp_ps_mask(sum[i][v], sum[i][v], _CMP_UNORD_Q);
      _mm512_storeu_ps(d + i * 32 + v * 16, _mm512_mask_mov_ps(sum[i][v], invalid, nan));
    }
  }
}

/// One group of 8 columns and 8 of the 16 rows: 8 accumulators of 8 lanes.
__attribute__((target("avx2,fma"))) void columns_avx2(const float* a, const float* b, float* d, uint32_t depth) {
  __m256 sum[2][4];
  PTXSIM_UNROLL for (uint32_t e = 0; e < 2; ++e) {
    PTXSIM_UNROLL for (uint32_t v = 0; v < 4; ++v) sum[e][v] = _mm256_loadu_ps(d + e * 32 + v * 8);
  }
  for (uint32_t k = 0; k < depth; ++k) {
    __m256 columns[2];
    PTXSIM_UNROLL for (uint32_t e = 0; e < 2; ++e) {
      const __m128 four = _mm_loadu_ps(b + k * 8 + e * 4);
      columns[e] = _mm256_insertf128_ps(_mm256_castps128_ps256(four), four, 1);
    }
    PTXSIM_UNROLL for (uint32_t v = 0; v < 4; ++v) {
      const __m256 rows = _mm256_loadu_ps(a + k * 64 + v * 8);
      PTXSIM_UNROLL for (uint32_t e = 0; e < 2; ++e) sum[e][v] = _mm256_fmadd_ps(rows, columns[e], sum[e][v]);
    }
  }
  const __m256 nan = _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int>(kCanonicalNan)));
  PTXSIM_UNROLL for (uint32_t e = 0; e < 2; ++e) {
    PTXSIM_UNROLL for (uint32_t v = 0; v < 4; ++v) {
      const __m256 invalid = _mm256_cmp_ps(sum[e][v], sum[e][v], _CMP_UNORD_Q);
      _mm256_storeu_ps(d + e * 32 + v * 8, _mm256_blendv_ps(sum[e][v], nan, invalid));
    }
  }
}

#undef PTXSIM_UNROLL

void avx512(const FragmentProduct& p) {
  const size_t registers = p.n / 2;
  for (uint32_t block = 0; block < p.row_blocks; ++block) {
    const float* a = p.a + size_t{block} * p.k * 64;
    float* d = p.d + block * registers * 32;
    uint32_t group = 0;
    for (; group + 2 <= p.n / 8; group += 2)
      columns_avx512<2>(a, p.b + size_t{group} * p.k * 8, d + size_t{group} * 128, p.k);
    if (group < p.n / 8) columns_avx512<1>(a, p.b + size_t{group} * p.k * 8, d + size_t{group} * 128, p.k);
  }
}

void avx2(const FragmentProduct& p) {
  const size_t registers = p.n / 2;
  for (uint32_t block = 0; block < p.row_blocks; ++block)
    for (uint32_t group = 0; group < p.n / 8; ++group)
      for (uint32_t half = 0; half < 2; ++half)
        columns_avx2(p.a + size_t{block} * p.k * 64 + half * 32, p.b + size_t{group} * p.k * 8,
                     p.d + (block * registers + group * 4 + half * 2) * 32, p.k);
}

#endif

std::vector<ProductPath> find_paths() {
  std::vector<ProductPath> paths;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) paths.push_back({"avx512", &avx512});
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) paths.push_back({"avx2", &avx2});
#endif
  paths.push_back({"portable", &portable});
  return paths;
}

}  // namespace

std::span<const ProductPath> product_paths() {
  static const std::vector<ProductPath> paths = find_paths();
  return paths;
}

void multiply_add(const FragmentProduct& product, ProductMode mode) {
  static const auto fastest = product_paths().front().run;
  switch (mode) {
    case ProductMode::f32: fastest(product); break;
    case ProductMode::f64: in_double(product); break;
    case ProductMode::trunc: truncated(product); break;
  }
}

}  // namespace ptxsim
