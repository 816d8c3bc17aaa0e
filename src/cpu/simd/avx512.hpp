// SPDX-License-Identifier: Apache-2.0
// The vector vocabulary on AVX-512 (F, BW, DQ, VL). Included inside the target's own namespace.
#pragma once
#include <immintrin.h>

#include <cstdint>

namespace attend::cpu::ATTEND_TARGET {

using Vec = __m512;
constexpr int kWidth = 16;
/// Register tile: 6 rows x 4 vectors leave 24 accumulators, 4 vectors of B and a broadcast in 32 registers.
constexpr int kTileRows = 6;
constexpr int kTileVecs = 4;

#define ATTEND_INLINE static inline __attribute__((always_inline))

ATTEND_INLINE Vec zero() { return _mm512_setzero_ps(); }
ATTEND_INLINE Vec set1(float x) { return _mm512_set1_ps(x); }
ATTEND_INLINE Vec load(const float* p) { return _mm512_loadu_ps(p); }
ATTEND_INLINE void store(float* p, Vec x) { _mm512_storeu_ps(p, x); }
ATTEND_INLINE Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
ATTEND_INLINE Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
ATTEND_INLINE Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
ATTEND_INLINE Vec div(Vec a, Vec b) { return _mm512_div_ps(a, b); }
ATTEND_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
ATTEND_INLINE Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
ATTEND_INLINE Vec abs(Vec a) { return _mm512_abs_ps(a); }
/// a < b ? x : y, lane by lane; y where a or b is NaN.
ATTEND_INLINE Vec select_less(Vec a, Vec b, Vec x, Vec y) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}
/// Whether any lane is above the limit or NaN.
ATTEND_INLINE bool any_above(Vec a, Vec limit) { return _mm512_cmp_ps_mask(a, limit, _CMP_NLE_UQ) != 0; }
/// Whether any lane is NaN or infinite.
ATTEND_INLINE bool any_nonfinite(Vec a) { return _mm512_fpclass_ps_mask(a, 0x99) != 0; }
/// Lanes whose bit is clear become -inf.
ATTEND_INLINE Vec keep_bits(uint64_t bits, Vec x) {
  return _mm512_mask_blend_ps(static_cast<__mmask16>(bits), _mm512_set1_ps(-__builtin_inff()), x);
}
ATTEND_INLINE float reduce_max(Vec a) { return _mm512_reduce_max_ps(a); }
/// Lane indices 0, 1, ... as floats.
ATTEND_INLINE Vec iota() { return _mm512_set_ps(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0); }

/// 2^x. f = x - floor(x) by one vreduceps, a degree-5 polynomial on [0, 1), 1 at 0 and otherwise minimax (relative
/// error 8.2e-8), and vscalefps, which floors its second operand itself. 2^-inf = 0, 2^inf = inf, NaN stays; subnormal
/// results are exact roundings.
ATTEND_INLINE Vec exp2(Vec x) {
  const Vec f = _mm512_reduce_ps(x, 1);
  Vec p = set1(0x1.e974bap-10f);
  p = fma(p, f, set1(0x1.277866p-7f));
  p = fma(p, f, set1(0x1.c91ce4p-5f));
  p = fma(p, f, set1(0x1.ebdb58p-3f));
  p = fma(p, f, set1(0x1.62e4bap-1f));
  p = fma(p, f, set1(0x1.0p+0f));
  return _mm512_scalef_ps(p, x);
}

ATTEND_INLINE Vec load_f16(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
ATTEND_INLINE Vec load_bf16(const uint16_t* p) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
ATTEND_INLINE void store_f16(uint16_t* p, Vec x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}
/// Round to nearest even on the integer image: vcvtneps2bf16 would flush subnormals.
ATTEND_INLINE void store_bf16(uint16_t* p, Vec x) {
  const __m512i u = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  __m512i r = _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  r = _mm512_mask_or_epi32(r, nan, _mm512_srli_epi32(u, 16), _mm512_set1_epi32(0x40));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(r));
}

/// Elements 0, 2, ... and elements 1, 3, ... of 2 * kWidth bf16, widened without a shuffle.
ATTEND_INLINE void load_bf16_split(const void* p, Vec& even, Vec& odd) {
  const __m512i x = _mm512_loadu_si512(p);
  even = _mm512_castsi512_ps(_mm512_slli_epi32(x, 16));
  odd = _mm512_castsi512_ps(_mm512_and_si512(x, _mm512_set1_epi32(static_cast<int>(0xffff0000U))));
}
/// kWidth signed bytes.
ATTEND_INLINE Vec load_int8(const void* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))));
}
/// The low halves of kWidth bytes, less 8, and the high halves, less 8.
ATTEND_INLINE void load_int4(const void* p, Vec& low, Vec& high) {
  const __m512i x = _mm512_cvtepu8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)));
  // vpermps looks at the low four bits of its index alone.
  const Vec value = _mm512_set_ps(7, 6, 5, 4, 3, 2, 1, 0, -1, -2, -3, -4, -5, -6, -7, -8);
  low = _mm512_permutexvar_ps(x, value);
  high = _mm512_permutexvar_ps(_mm512_srli_epi32(x, 4), value);
}
/// 2 * kWidth floats of 4 exponent and 3 fraction bits. Shifted by 7 they are f16 with an exponent 8 too small. Adding
/// one to the fraction reaches bit 14 for 0x7f and 0xff alone, which makes them NaN.
ATTEND_INLINE void load_e4m3(const void* p, Vec& first, Vec& second) {
  const __m512i wide = _mm512_cvtepi8_epi16(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
  const __m512i f16 = _mm512_and_si512(_mm512_slli_epi16(wide, 7), _mm512_set1_epi16(static_cast<int16_t>(0xbf80)));
  const __m512i next = _mm512_and_si512(_mm512_add_epi16(f16, _mm512_set1_epi16(0x80)), _mm512_set1_epi16(0x4000));
  const __m512i x = _mm512_or_si512(f16, next);
  first = mul(_mm512_cvtph_ps(_mm512_castsi512_si256(x)), set1(256));
  second = mul(_mm512_cvtph_ps(_mm512_extracti64x4_epi64(x, 1)), set1(256));
}
/// Lanes whose bit is clear become 0.
ATTEND_INLINE Vec keep_or_zero(uint64_t bits, Vec x) { return _mm512_maskz_mov_ps(static_cast<__mmask16>(bits), x); }
/// Lane i: the sum of the lanes of r[i]. The additions of a sum are the same wherever it stands.
ATTEND_INLINE Vec sums(const Vec* r) {
  Vec t[8], u[4];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i)
    t[i] = add(_mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]), _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]));
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512d a = _mm512_castps_pd(t[2 * i]), b = _mm512_castps_pd(t[2 * i + 1]);
    u[i] = add(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
  }
  const Vec a = add(_mm512_shuffle_f32x4(u[0], u[1], 0x88), _mm512_shuffle_f32x4(u[0], u[1], 0xdd));
  const Vec b = add(_mm512_shuffle_f32x4(u[2], u[3], 0x88), _mm512_shuffle_f32x4(u[2], u[3], 0xdd));
  return add(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}

/// Transposes kWidth rows of kWidth lanes: 64 shuffles. Unrolled by request, else the array would live in memory.
ATTEND_INLINE void transpose(Vec* r) {
  Vec t[16], u[16];
#pragma GCC unroll 16
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 4; ++i) {
    u[4 * i] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
    u[4 * i + 1] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
    u[4 * i + 2] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
    u[4 * i + 3] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 4; ++i) {
    const Vec a = _mm512_shuffle_f32x4(u[i], u[4 + i], 0x88), b = _mm512_shuffle_f32x4(u[i], u[4 + i], 0xdd);
    const Vec c = _mm512_shuffle_f32x4(u[8 + i], u[12 + i], 0x88), d = _mm512_shuffle_f32x4(u[8 + i], u[12 + i], 0xdd);
    r[i] = _mm512_shuffle_f32x4(a, c, 0x88);
    r[4 + i] = _mm512_shuffle_f32x4(b, d, 0x88);
    r[8 + i] = _mm512_shuffle_f32x4(a, c, 0xdd);
    r[12 + i] = _mm512_shuffle_f32x4(b, d, 0xdd);
  }
}

/// Keeps the compiler from folding a loop whose result it can foresee.
ATTEND_INLINE void opaque(Vec& x) { asm volatile("" : "+v"(x)); }

#ifdef __AVX512BF16__
/// Sums of pairwise bf16 products: acc + a.lo * b.lo + a.hi * b.hi in each 32-bit lane; subnormals count as zero.
ATTEND_INLINE Vec dot_bf16(Vec acc, Vec a, Vec b) { return _mm512_dpbf16_ps(acc, (__m512bh)a, (__m512bh)b); }
/// Two vectors rounded to bf16, side by side in order.
ATTEND_INLINE void store_bf16_pair(void* p, Vec lo, Vec hi) {
  _mm512_storeu_si512(p, (__m512i)_mm512_cvtne2ps_pbh(hi, lo));
}
/// One vector rounded to bf16.
ATTEND_INLINE void store_bf16_rounded(void* p, Vec x) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), (__m256i)_mm512_cvtneps_pbh(x));
}
/// Two vectors rounded to bf16, lane by lane side by side: lo[0], hi[0], lo[1], ...
ATTEND_INLINE void store_bf16_interleaved(void* p, Vec lo, Vec hi) {
  const __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(lo));
  const __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(hi));
  _mm512_storeu_si512(p, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
}
#endif

}  // namespace attend::cpu::ATTEND_TARGET
