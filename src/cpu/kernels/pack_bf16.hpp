// SPDX-License-Identifier: Apache-2.0
// Packed forms for bf16 dot products: like pack.hpp with pairs of bf16 in each 32-bit element. Inputs are bf16 already;
// nothing is rounded here.
#pragma once
#include "cpu/kernel.hpp"

namespace attend::cpu::ATTEND_TARGET {

struct PackBf16 {
  using Step = StepBf16;

  static int64_t k_panel_bytes(int32_t d) { return int64_t{kPanelKeys} * ceil_div(d, 2) * 4; }
  static int64_t v_panel_bytes(int32_t dv) { return rows_bytes(kPanelKeys, dv); }
  static int64_t rows_bytes(int32_t capacity, int32_t columns) {
    return int64_t{capacity} * ceil_div(columns, kWidth) * kWidth * 2;
  }
  static int64_t q_bytes(int32_t rows, int32_t d) {
    return (int64_t{ceil_div(rows, kTileRows)} * kTileRows * ceil_div(d, 2) + kWidth) * 4;
  }
  static int64_t q_row_bytes(int32_t row, int32_t d) { return int64_t{row} * ceil_div(d, 2) * 4; }

  /// kWidth pairs; elements from `count` on are zero and not touched in memory.
  ATTEND_INLINE Vec load_pairs(const uint16_t* p, int count) {
    if (count >= 2 * kWidth) return load(reinterpret_cast<const float*>(p));
    alignas(64) uint16_t lanes[2 * kWidth] = {};
    for (int i = 0; i < count; ++i) lanes[i] = p[i];
    return load(reinterpret_cast<const float*>(lanes));
  }

  static void pack_k(void* panel, const void* k, Element, int64_t row_stride, int32_t keys, int32_t d) {
    const uint16_t* in = static_cast<const uint16_t*>(k);
    const int pairs = ceil_div(d, 2);
    float* out = static_cast<float*>(panel);
    for (int tile = 0; tile < kPanelKeys; tile += kTileKeys, out += int64_t{kTileKeys} * pairs)
      for (int vec = 0; vec < kTileVecs; ++vec) {
        if (tile + vec * kWidth >= keys) return;  // no one reads vectors without a key
        for (int c = 0; c < pairs; c += kWidth) {
          Vec rows[kWidth];
          for (int i = 0; i < kWidth; ++i) {
            const int key = tile + vec * kWidth + i;
            rows[i] = key < keys ? load_pairs(in + key * row_stride + 2 * c, d - 2 * c) : zero();
          }
          transpose(rows);
          for (int i = 0; i < smaller(kWidth, pairs - c); ++i)
            store(out + int64_t{c + i} * kTileKeys + vec * kWidth, rows[i]);
        }
      }
  }

  /// kWidth values of one key as 32-bit integers; lanes from `count` on are zero.
  ATTEND_INLINE __m512i load_values(const uint16_t* p, int count) {
    alignas(64) uint16_t lanes[kWidth] = {};
    for (int i = 0; count < kWidth && i < count; ++i) lanes[i] = p[i];
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(count < kWidth ? lanes : p)));
  }

  static bool pack_v(void* panel, const void* v, Element type, int64_t row_stride, int32_t keys, int32_t dv) {
    return pack_rows(panel, v, type, row_stride, keys, dv, kPanelKeys);
  }

  /// The form of a V panel, for any rows; each chunk has room for `capacity` of them, an even number.
  static bool pack_rows(void* packed, const void* rows, Element, int64_t row_stride, int32_t count, int32_t columns,
                        int32_t capacity) {
    const uint16_t* in = static_cast<const uint16_t*>(rows);
    float* out = static_cast<float*>(packed);
    const Chunks chunks = Chunks::of(columns);
    bool nonfinite = false;
    for (int i = 0, column = 0; i < chunks.count; ++i) {
      const int vecs = Chunks::width(chunks, i);
      for (int row = 0; row < count; row += 2)
        for (int j = 0; j < vecs; ++j) {
          const int at = column + j * kWidth;
          const __m512i lo = load_values(in + row * row_stride + at, columns - at);
          const __m512i hi =
              row + 1 < count ? load_values(in + (row + 1) * row_stride + at, columns - at) : _mm512_setzero_si512();
          const __m512i high = _mm512_slli_epi32(hi, 16);
          nonfinite |=
              any_nonfinite(_mm512_castsi512_ps(_mm512_slli_epi32(lo, 16))) || any_nonfinite(_mm512_castsi512_ps(high));
          store(out + (row / 2 * vecs + j) * kWidth, _mm512_castsi512_ps(_mm512_or_si512(lo, high)));
        }
      out += int64_t{capacity / 2} * vecs * kWidth;
      column += vecs * kWidth;
    }
    return nonfinite;
  }

  /// `factor` is a sign or 0: the scale itself is applied to the products, in f32.
  static void pack_q(void* packed, const void* const* rows, Element, int32_t count, int32_t d, float factor) {
    const int pairs = ceil_div(d, 2);
    float* out = static_cast<float*>(packed);
    const __m512i sign = _mm512_set1_epi32(factor < 0 ? static_cast<int>(0x80008000U) : 0);
    for (int row = 0; row < count; row += kTileRows)
      for (int c = 0; c < pairs; c += kWidth) {
        Vec r[kWidth];
        for (int i = 0; i < kWidth; ++i) {
          const bool present = factor != 0 && i < kTileRows && row + i < count;
          const Vec x = present ? load_pairs(static_cast<const uint16_t*>(rows[row + i]) + 2 * c, d - 2 * c) : zero();
          r[i] = _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(x), sign));
        }
        transpose(r);
        for (int i = 0; i < smaller(kWidth, pairs - c); ++i, out += kTileRows) store(out, r[i]);
      }
  }

  ATTEND_INLINE float widen(uint16_t bits) { return __builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16); }

  static float prob_at(const float* row, int key) { return widen(reinterpret_cast<const uint16_t*>(row)[key]); }

  /// Element `i` of the operand A of one step.
  static float element_of_step(const float* a, int i) { return widen(reinterpret_cast<const uint16_t*>(a)[i]); }

  /// Number (row, column) of what pack_rows packed.
  static float v_at(const void* packed, int columns, int row, int column, int capacity = kPanelKeys) {
    const Chunks chunks = Chunks::of(columns);
    const uint16_t* p = static_cast<const uint16_t*>(packed);
    for (int i = 0;; ++i) {
      const int width = Chunks::width(chunks, i) * kWidth;
      if (column < width) return widen(p[(int64_t{row / 2} * width + column) * 2 + row % 2]);
      column -= width;
      p += int64_t{capacity} * width;
    }
  }
};

}  // namespace attend::cpu::ATTEND_TARGET
