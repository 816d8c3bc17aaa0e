// SPDX-License-Identifier: Apache-2.0
// The vector vocabulary in portable C++ (four lanes, GNU vector arithmetic): runs everywhere, proves the algorithm
// without intrinsics. What each function does is said in avx512.hpp.
#pragma once
#include <cstdint>

#include "base/float16.hpp"

namespace attend::cpu::ATTEND_TARGET {

typedef float Vec __attribute__((vector_size(16)));
constexpr int kWidth = 4;
constexpr int kTileRows = 4;
constexpr int kTileVecs = 2;

#define ATTEND_INLINE static inline __attribute__((always_inline))

ATTEND_INLINE Vec set1(float x) { return Vec{x, x, x, x}; }
ATTEND_INLINE Vec zero() { return set1(0); }
ATTEND_INLINE Vec load(const float* p) { return Vec{p[0], p[1], p[2], p[3]}; }
ATTEND_INLINE void store(float* p, Vec x) {
  for (int i = 0; i < kWidth; ++i) p[i] = x[i];
}
ATTEND_INLINE Vec add(Vec a, Vec b) { return a + b; }
ATTEND_INLINE Vec sub(Vec a, Vec b) { return a - b; }
ATTEND_INLINE Vec mul(Vec a, Vec b) { return a * b; }
ATTEND_INLINE Vec div(Vec a, Vec b) { return a / b; }
ATTEND_INLINE Vec fma(Vec a, Vec b, Vec c) { return a * b + c; }
ATTEND_INLINE Vec select_less(Vec a, Vec b, Vec x, Vec y) {
  Vec r = y;
  for (int i = 0; i < kWidth; ++i) r[i] = a[i] < b[i] ? x[i] : y[i];
  return r;
}
ATTEND_INLINE Vec max(Vec a, Vec b) { return select_less(b, a, a, b); }
ATTEND_INLINE Vec abs(Vec a) {
  for (int i = 0; i < kWidth; ++i) a[i] = __builtin_fabsf(a[i]);
  return a;
}
ATTEND_INLINE bool any_above(Vec a, Vec limit) {
  bool any = false;
  for (int i = 0; i < kWidth; ++i) any |= !(a[i] <= limit[i]);
  return any;
}
ATTEND_INLINE bool any_nonfinite(Vec a) { return any_above(abs(a), set1(__FLT_MAX__)); }
ATTEND_INLINE Vec keep_bits(uint64_t bits, Vec x) {
  for (int i = 0; i < kWidth; ++i) x[i] = (bits >> i) & 1 ? x[i] : -__builtin_inff();
  return x;
}
ATTEND_INLINE float reduce_max(Vec a) {
  float m = a[0];
  for (int i = 1; i < kWidth; ++i) m = a[i] > m ? a[i] : m;
  return m;
}
ATTEND_INLINE Vec iota() { return Vec{0, 1, 2, 3}; }

/// 2^x as in avx512.hpp; results below 2^-126 are 0.
ATTEND_INLINE Vec exp2(Vec x) {
  for (int i = 0; i < kWidth; ++i) {
    const float clamped = x[i] < -126.0F ? -126.0F : x[i] < 128.0F ? x[i] : 0.0F;
    const int down = static_cast<int>(clamped);
    const int whole = down - (static_cast<float>(down) > clamped ? 1 : 0);
    const float f = clamped - static_cast<float>(whole);
    float p = 0x1.e974bap-10F;
    p = p * f + 0x1.277866p-7F;
    p = p * f + 0x1.c91ce4p-5F;
    p = p * f + 0x1.ebdb58p-3F;
    p = p * f + 0x1.62e4bap-1F;
    p = p * f + 0x1.0p+0F;
    const float power = __builtin_bit_cast(float, (whole + 127) << 23);
    // Comparisons are false for NaN, which therefore comes out as itself.
    x[i] = x[i] < -126.0F ? 0.0F : x[i] < 128.0F ? p * power : x[i] + __builtin_inff();
  }
  return x;
}

ATTEND_INLINE Vec load_f16(const uint16_t* p) {
  Vec x = zero();
  for (int i = 0; i < kWidth; ++i) x[i] = f16_to_f32(p[i]);
  return x;
}
ATTEND_INLINE Vec load_bf16(const uint16_t* p) {
  Vec x = zero();
  for (int i = 0; i < kWidth; ++i) x[i] = bf16_to_f32(p[i]);
  return x;
}
ATTEND_INLINE void store_f16(uint16_t* p, Vec x) {
  for (int i = 0; i < kWidth; ++i) p[i] = f32_to_f16(x[i]);
}
ATTEND_INLINE void store_bf16(uint16_t* p, Vec x) {
  for (int i = 0; i < kWidth; ++i) p[i] = f32_to_bf16(x[i]);
}

ATTEND_INLINE void load_bf16_split(const void* p, Vec& even, Vec& odd) {
  const auto* x = static_cast<const uint16_t*>(p);
  for (int i = 0; i < kWidth; ++i) {
    even[i] = bf16_to_f32(x[2 * i]);
    odd[i] = bf16_to_f32(x[2 * i + 1]);
  }
}
ATTEND_INLINE Vec load_int8(const void* p) {
  Vec x = zero();
  for (int i = 0; i < kWidth; ++i) x[i] = static_cast<const int8_t*>(p)[i];
  return x;
}
ATTEND_INLINE void load_int4(const void* p, Vec& low, Vec& high) {
  const auto* x = static_cast<const uint8_t*>(p);
  for (int i = 0; i < kWidth; ++i) {
    low[i] = static_cast<float>((x[i] & 15) - 8);
    high[i] = static_cast<float>((x[i] >> 4) - 8);
  }
}
ATTEND_INLINE void load_e4m3(const void* p, Vec& first, Vec& second) {
  const auto* x = static_cast<const uint8_t*>(p);
  const auto widen = [](uint8_t code) {
    const uint32_t sign = static_cast<uint32_t>(code & 0x80U) << 24, magnitude = code & 0x7fU;
    if (magnitude == 0x7f) return __builtin_bit_cast(float, sign | 0x7fc00000U);
    return __builtin_bit_cast(float, sign | magnitude << 20) * 0x1p120F;
  };
  for (int i = 0; i < kWidth; ++i) {
    first[i] = widen(x[i]);
    second[i] = widen(x[kWidth + i]);
  }
}
ATTEND_INLINE Vec keep_or_zero(uint64_t bits, Vec x) {
  for (int i = 0; i < kWidth; ++i) x[i] = (bits >> i) & 1 ? x[i] : 0.0F;
  return x;
}
ATTEND_INLINE Vec sums(const Vec* r) {
  Vec x = zero();
  for (int i = 0; i < kWidth; ++i) x[i] = (r[i][0] + r[i][1]) + (r[i][2] + r[i][3]);
  return x;
}

ATTEND_INLINE void transpose(Vec* r) {
  for (int i = 0; i < kWidth; ++i)
    for (int j = i + 1; j < kWidth; ++j) {
      const float x = r[i][j];
      r[i][j] = r[j][i];
      r[j][i] = x;
    }
}

ATTEND_INLINE void opaque(Vec& x) { asm volatile("" : "+m"(x)); }

}  // namespace attend::cpu::ATTEND_TARGET
