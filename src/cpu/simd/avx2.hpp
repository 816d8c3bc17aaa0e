// SPDX-License-Identifier: Apache-2.0
// The vector vocabulary on AVX2, FMA and F16C. What each function does is said in avx512.hpp.
#pragma once
#include <immintrin.h>

#include <cstdint>

namespace attend::cpu::ATTEND_TARGET {

using Vec = __m256;
constexpr int kWidth = 8;
/// 12 accumulators, 2 vectors of B and a broadcast in 16 registers.
constexpr int kTileRows = 6;
constexpr int kTileVecs = 2;

#define ATTEND_INLINE static inline __attribute__((always_inline))

ATTEND_INLINE Vec zero() { return _mm256_setzero_ps(); }
ATTEND_INLINE Vec set1(float x) { return _mm256_set1_ps(x); }
ATTEND_INLINE Vec load(const float* p) { return _mm256_loadu_ps(p); }
ATTEND_INLINE void store(float* p, Vec x) { _mm256_storeu_ps(p, x); }
ATTEND_INLINE Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
ATTEND_INLINE Vec sub(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
ATTEND_INLINE Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
ATTEND_INLINE Vec div(Vec a, Vec b) { return _mm256_div_ps(a, b); }
ATTEND_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
ATTEND_INLINE Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
ATTEND_INLINE Vec abs(Vec a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), a); }
ATTEND_INLINE Vec select_less(Vec a, Vec b, Vec x, Vec y) {
  return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
ATTEND_INLINE bool any_above(Vec a, Vec limit) { return _mm256_movemask_ps(_mm256_cmp_ps(a, limit, _CMP_NLE_UQ)) != 0; }
ATTEND_INLINE bool any_nonfinite(Vec a) {
  return _mm256_movemask_ps(_mm256_cmp_ps(abs(a), _mm256_set1_ps(__FLT_MAX__), _CMP_NLE_UQ)) != 0;
}
ATTEND_INLINE Vec keep_bits(uint64_t bits, Vec x) {
  const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i set = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(bits & 0xff)), lane);
  const __m256i keep = _mm256_cmpeq_epi32(set, lane);
  return _mm256_blendv_ps(_mm256_set1_ps(-__builtin_inff()), x, _mm256_castsi256_ps(keep));
}
ATTEND_INLINE float reduce_max(Vec a) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}
ATTEND_INLINE Vec iota() { return _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7); }

/// 2^x. Adding 1.5 * 2^23 + 127 rounds x to an integer n and leaves n + 127, the exponent field of 2^n, in the low
/// bits; a degree-5 polynomial on [-0.5, 0.5], 1 at 0 and otherwise minimax (relative error 9.2e-8) does the rest. n =
/// -127 makes the factor 0, n = 128 infinity, so that results below 2^-126 are 0, and from 2^127.5 on infinite; NaN
/// stays, because min and max return their second operand then.
ATTEND_INLINE Vec exp2(Vec x) {
  const Vec magic = set1(0x1.8p23F + 127.0F);
  x = _mm256_min_ps(set1(128.0F), _mm256_max_ps(set1(-127.0F), x));
  const Vec shifted = _mm256_add_ps(x, magic);
  const Vec f = _mm256_sub_ps(x, _mm256_sub_ps(shifted, magic));
  Vec p = set1(0x1.5bb9f4p-10F);
  p = fma(p, f, set1(0x1.3cea84p-7F));
  p = fma(p, f, set1(0x1.c6b754p-5F));
  p = fma(p, f, set1(0x1.ebf9bcp-3F));
  p = fma(p, f, set1(0x1.62e42ap-1F));
  p = fma(p, f, set1(0x1.0p+0F));
  return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(shifted), 23)));
}

ATTEND_INLINE Vec load_f16(const uint16_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
ATTEND_INLINE Vec load_bf16(const uint16_t* p) {
  const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
ATTEND_INLINE void store_f16(uint16_t* p, Vec x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}
ATTEND_INLINE void store_bf16(uint16_t* p, Vec x) {
  const __m256i u = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
  const __m256i r = _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd), 16);
  const __m256i quiet = _mm256_or_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(0x40));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  const __m256i v = _mm256_blendv_epi8(r, quiet, nan);
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(v, v), 0x08);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(packed));
}

ATTEND_INLINE void load_bf16_split(const void* p, Vec& even, Vec& odd) {
  const __m256i x = _mm256_loadu_si256(static_cast<const __m256i*>(p));
  even = _mm256_castsi256_ps(_mm256_slli_epi32(x, 16));
  odd = _mm256_castsi256_ps(_mm256_and_si256(x, _mm256_set1_epi32(static_cast<int>(0xffff0000U))));
}
ATTEND_INLINE Vec load_int8(const void* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p))));
}
ATTEND_INLINE void load_int4(const void* p, Vec& low, Vec& high) {
  const __m256i x = _mm256_cvtepu8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p)));
  low = _mm256_sub_ps(_mm256_cvtepi32_ps(_mm256_and_si256(x, _mm256_set1_epi32(15))), set1(8));
  high = _mm256_sub_ps(_mm256_cvtepi32_ps(_mm256_srli_epi32(x, 4)), set1(8));
}
ATTEND_INLINE void load_e4m3(const void* p, Vec& first, Vec& second) {
  const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128(static_cast<const __m128i*>(p)));
  const __m256i f16 = _mm256_and_si256(_mm256_slli_epi16(wide, 7), _mm256_set1_epi16(static_cast<int16_t>(0xbf80)));
  const __m256i next = _mm256_and_si256(_mm256_add_epi16(f16, _mm256_set1_epi16(0x80)), _mm256_set1_epi16(0x4000));
  const __m256i x = _mm256_or_si256(f16, next);
  first = mul(_mm256_cvtph_ps(_mm256_castsi256_si128(x)), set1(256));
  second = mul(_mm256_cvtph_ps(_mm256_extracti128_si256(x, 1)), set1(256));
}
ATTEND_INLINE Vec keep_or_zero(uint64_t bits, Vec x) {
  const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i set = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(bits & 0xff)), lane);
  return _mm256_and_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(set, lane)), x);
}
ATTEND_INLINE Vec sums(const Vec* r) {
  Vec t[4], u[2];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) t[i] = _mm256_hadd_ps(r[2 * i], r[2 * i + 1]);
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) u[i] = _mm256_hadd_ps(t[2 * i], t[2 * i + 1]);
  return add(_mm256_permute2f128_ps(u[0], u[1], 0x20), _mm256_permute2f128_ps(u[0], u[1], 0x31));
}

ATTEND_INLINE void transpose(Vec* r) {
  Vec t[8], u[8];
#pragma GCC unroll 8
  for (int i = 0; i < 4; ++i) {
    t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 2; ++i) {
    u[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
    u[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
    u[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
    u[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm256_permute2f128_ps(u[i], u[4 + i], 0x20);
    r[4 + i] = _mm256_permute2f128_ps(u[i], u[4 + i], 0x31);
  }
}

ATTEND_INLINE void opaque(Vec& x) { asm volatile("" : "+x"(x)); }

}  // namespace attend::cpu::ATTEND_TARGET
