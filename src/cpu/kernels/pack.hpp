// SPDX-License-Identifier: Apache-2.0
// Packed forms of Q, K and V, written once per key head (K, V) or once per row (Q) and then read by register tiles in
// order.
//
//   f32   K panel  [kPanelKeys / kTileKeys][d][kTileKeys]              V panel  [chunk][kPanelKeys][chunk columns]
//         Q        [tile][d][kTileRows]
//   bf16  the same with two neighbours along the summed index (d, or keys for V) side by side in each 32-bit element
//
// A chunk of V is at most kTileVecs vectors of columns, all chunks as equal as can be, so that dv = 80 is 48 + 32, not
// 64 + 16.
#pragma once
#include <type_traits>

#include "cpu/kernel.hpp"

namespace attend::cpu::ATTEND_TARGET {

constexpr int kTileKeys = kTileVecs * kWidth;

ATTEND_INLINE int ceil_div(int a, int b) { return (a + b - 1) / b; }
ATTEND_INLINE int smaller(int a, int b) { return a < b ? a : b; }

/// How the columns of V are cut.
struct Chunks {
  int count, vecs, wide;  ///< the first `wide` chunks have `vecs` vectors, the others one less
  ATTEND_INLINE Chunks of(int dv) {
    const int total = ceil_div(dv, kWidth), count = ceil_div(total, kTileVecs);
    const int vecs = ceil_div(total, count);
    return {count, vecs, total - (vecs - 1) * count};
  }
  ATTEND_INLINE int width(const Chunks& c, int i) { return i < c.wide ? c.vecs : c.vecs - 1; }
};

/// Reads kWidth elements.
template <Element kType>
ATTEND_INLINE Vec load_whole(const void* p, int64_t index) {
  if constexpr (kType == Element::f32) return load(static_cast<const float*>(p) + index);
  if constexpr (kType == Element::f16) return load_f16(static_cast<const uint16_t*>(p) + index);
  if constexpr (kType == Element::bf16) return load_bf16(static_cast<const uint16_t*>(p) + index);
}

/// Reads `count` elements, at most kWidth; the lanes after them are zero and not touched in memory.
template <Element kType>
ATTEND_INLINE Vec load_elements(const void* p, int64_t index, int count) {
  if (count >= kWidth) return load_whole<kType>(p, index);
  using Storage = std::conditional_t<kType == Element::f32, float, uint16_t>;
  alignas(64) Storage lanes[kWidth] = {};
  for (int i = 0; i < count; ++i) lanes[i] = static_cast<const Storage*>(p)[index + i];
  return load_whole<kType>(lanes, 0);
}

/// Calls f<type>() for the type.
#define ATTEND_BY_ELEMENT(type, f, ...)                     \
  switch (type) {                                           \
    case Element::f32: return f<Element::f32>(__VA_ARGS__); \
    case Element::f16: return f<Element::f16>(__VA_ARGS__); \
    default: return f<Element::bf16>(__VA_ARGS__);          \
  }

/// Writes the first `count` (at most kWidth) lanes, rounded to the type.
ATTEND_INLINE void store_elements(void* p, Element type, int64_t index, int count, Vec x) {
  if (type == Element::f32) {
    float* out = static_cast<float*>(p) + index;
    if (count >= kWidth) return store(out, x);
    alignas(64) float lanes[kWidth];
    store(lanes, x);
    for (int i = 0; i < count; ++i) out[i] = lanes[i];
    return;
  }
  uint16_t* out = static_cast<uint16_t*>(p) + index;
  alignas(64) uint16_t lanes[kWidth];
  uint16_t* to = count >= kWidth ? out : lanes;
  if (type == Element::f16) {
    store_f16(to, x);
  } else {
    store_bf16(to, x);
  }
  for (int i = 0; to == lanes && i < count; ++i) out[i] = lanes[i];
}

struct PackF32 {
  using Step = StepF32;

  static int64_t k_panel_bytes(int32_t d) { return int64_t{kPanelKeys} * d * 4; }
  static int64_t v_panel_bytes(int32_t dv) { return rows_bytes(kPanelKeys, dv); }
  static int64_t rows_bytes(int32_t capacity, int32_t columns) {
    return int64_t{capacity} * ceil_div(columns, kWidth) * kWidth * 4;
  }
  /// Room for the whole vectors that spill past the last tile while packing.
  static int64_t q_bytes(int32_t rows, int32_t d) {
    return (int64_t{ceil_div(rows, kTileRows)} * kTileRows * d + kWidth) * 4;
  }
  static int64_t q_row_bytes(int32_t row, int32_t d) { return int64_t{row} * d * 4; }

  static void pack_k(void* panel, const void* k, Element type, int64_t row_stride, int32_t keys, int32_t d) {
    ATTEND_BY_ELEMENT(type, pack_k_of, static_cast<float*>(panel), k, row_stride, keys, d)
  }

  template <Element kType>
  static void pack_k_of(float* out, const void* k, int64_t row_stride, int keys, int d) {
    for (int tile = 0; tile < kPanelKeys; tile += kTileKeys, out += int64_t{kTileKeys} * d)
      for (int vec = 0; vec < kTileVecs; ++vec) {
        const int first = tile + vec * kWidth;
        if (first >= keys) return;  // no one reads vectors without a key
        for (int c = 0; c < d; c += kWidth) {
          float* to = out + int64_t{c} * kTileKeys + vec * kWidth;
          Vec rows[kWidth];
          if (first + kWidth <= keys && c + kWidth <= d) {
#pragma GCC unroll 16
            for (int i = 0; i < kWidth; ++i) rows[i] = load_whole<kType>(k, (first + i) * row_stride + c);
            transpose(rows);
#pragma GCC unroll 16
            for (int i = 0; i < kWidth; ++i) store(to + int64_t{i} * kTileKeys, rows[i]);
            continue;
          }
          const int columns = smaller(kWidth, d - c);
          for (int i = 0; i < kWidth; ++i)
            rows[i] = first + i < keys ? load_elements<kType>(k, (first + i) * row_stride + c, columns) : zero();
          transpose(rows);
          for (int i = 0; i < columns; ++i) store(to + int64_t{i} * kTileKeys, rows[i]);
        }
      }
  }

  static bool pack_v(void* panel, const void* v, Element type, int64_t row_stride, int32_t keys, int32_t dv) {
    return pack_rows(panel, v, type, row_stride, keys, dv, kPanelKeys);
  }

  /// The form of a V panel, for any rows; each chunk has room for `capacity` of them.
  static bool pack_rows(void* packed, const void* rows, Element type, int64_t row_stride, int32_t count,
                        int32_t columns, int32_t capacity) {
    ATTEND_BY_ELEMENT(type, pack_rows_of, static_cast<float*>(packed), rows, row_stride, count, columns, capacity)
  }

  template <Element kType>
  static bool pack_rows_of(float* out, const void* rows, int64_t row_stride, int count, int columns, int capacity) {
    const Chunks chunks = Chunks::of(columns);
    // Sums of x * 0: NaN as soon as one x is NaN or infinite, else 0.
    Vec poison = zero();
    for (int i = 0, column = 0; i < chunks.count; ++i) {
      const int vecs = Chunks::width(chunks, i);
      for (int row = 0; row < count; ++row)
        for (int j = 0; j < vecs; ++j) {
          const int at = column + j * kWidth;
          const Vec x = load_elements<kType>(rows, row * row_stride + at, smaller(kWidth, columns - at));
          poison = fma(x, zero(), poison);
          store(out + (row * vecs + j) * kWidth, x);
        }
      out += int64_t{capacity} * vecs * kWidth;
      column += vecs * kWidth;
    }
    return any_above(poison, zero());
  }

  static void pack_q(void* packed, const void* const* rows, Element type, int32_t count, int32_t d, float factor) {
    ATTEND_BY_ELEMENT(type, pack_q_of, static_cast<float*>(packed), rows, count, d, factor)
  }

  /// Transposed vectors of kTileRows valid lanes are stored whole, each over the last one's spill.
  template <Element kType>
  static void pack_q_of(float* out, const void* const* rows, int count, int d, float factor) {
    for (int row = 0; row < count; row += kTileRows)
      for (int c = 0; c < d; c += kWidth) {
        Vec r[kWidth];
        if (row + kTileRows <= count && c + kWidth <= d) {
#pragma GCC unroll 16
          for (int i = 0; i < kWidth; ++i)
            r[i] =
                i < kTileRows ? mul(load_whole<kType>(rows[row + (i < kTileRows ? i : 0)], c), set1(factor)) : zero();
          transpose(r);
#pragma GCC unroll 16
          for (int i = 0; i < kWidth; ++i, out += kTileRows) store(out, r[i]);
          continue;
        }
        const int columns = smaller(kWidth, d - c);
        for (int i = 0; i < kWidth; ++i)
          r[i] = i < kTileRows && row + i < count ? mul(load_elements<kType>(rows[row + i], c, columns), set1(factor))
                                                  : zero();
        transpose(r);
        for (int i = 0; i < columns; ++i, out += kTileRows) store(out, r[i]);
      }
  }

  static float prob_at(const float* row, int key) { return row[key]; }

  /// Element `i` of the operand A of one step.
  static float element_of_step(const float* a, int) { return *a; }

  /// Number (row, column) of what pack_rows packed.
  static float v_at(const void* packed, int columns, int row, int column, int capacity = kPanelKeys) {
    const Chunks chunks = Chunks::of(columns);
    const float* p = static_cast<const float*>(packed);
    for (int i = 0;; ++i) {
      const int width = Chunks::width(chunks, i) * kWidth;
      if (column < width) return p[row * width + column];
      column -= width;
      p += int64_t{capacity} * width;
    }
  }
};

}  // namespace attend::cpu::ATTEND_TARGET
