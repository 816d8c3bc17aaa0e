// SPDX-License-Identifier: Apache-2.0
// How rows of a cache become vectors: a row is read in steps of 2 * kWidth elements, each two vectors whose lanes stand
// in the order that unpacks fastest. Q is packed and the output kept in that order.
#pragma once
#include "cpu/decode_kernel.hpp"

namespace attend::cpu::ATTEND_TARGET {

constexpr int kStep = 2 * kWidth;

/// Elements whose place in a row is their place in memory, kBytes each.
template <int kBytes>
struct PlainOrder {
  static constexpr int kGroup = 0;  ///< elements that share a scale within a row; 0: no such scales
  static constexpr int64_t kStepBytes = int64_t{kStep} * kBytes;
  static constexpr int padded(int columns) { return (columns + kStep - 1) / kStep * kStep; }
  static constexpr int whole_steps(int columns) { return columns / kStep; }
  static constexpr int left_over(int columns) { return columns % kStep; }
  /// Which element of a row lane `at` of its vectors is.
  static constexpr int element(int at) { return at; }
  /// Where a row's last, incomplete step can be read as a whole: a copy, with zeros after its `count` elements.
  ATTEND_INLINE const char* last_step(char* copy, const char* p, int count) {
    __builtin_memset(copy, 0, kStepBytes);
    __builtin_memcpy(copy, p, static_cast<uint64_t>(count) * kBytes);
    return copy;
  }
};

template <DecodeFormat kFormat>
struct Codec;

template <>
struct Codec<DecodeFormat::f32> : PlainOrder<4> {
  ATTEND_INLINE void load_step(const char* p, Vec& a, Vec& b) {
    a = load(reinterpret_cast<const float*>(p));
    b = load(reinterpret_cast<const float*>(p) + kWidth);
  }
};

template <>
struct Codec<DecodeFormat::f16> : PlainOrder<2> {
  ATTEND_INLINE void load_step(const char* p, Vec& a, Vec& b) {
    a = load_f16(reinterpret_cast<const uint16_t*>(p));
    b = load_f16(reinterpret_cast<const uint16_t*>(p) + kWidth);
  }
};

/// Neighbours lie in the halves of 32 bits: one vector of each half.
template <>
struct Codec<DecodeFormat::bf16> : PlainOrder<2> {
  static constexpr int element(int at) {
    const int in_step = at % kStep;
    return at - in_step + (in_step < kWidth ? 2 * in_step : 2 * (in_step - kWidth) + 1);
  }
  ATTEND_INLINE void load_step(const char* p, Vec& a, Vec& b) { load_bf16_split(p, a, b); }
};

template <>
struct Codec<DecodeFormat::int8> : PlainOrder<1> {
  ATTEND_INLINE void load_step(const char* p, Vec& a, Vec& b) {
    a = load_int8(p);
    b = load_int8(p + kWidth);
  }
};

template <>
struct Codec<DecodeFormat::e4m3> : PlainOrder<1> {
  ATTEND_INLINE void load_step(const char* p, Vec& a, Vec& b) { load_e4m3(p, a, b); }
};

/// A step is kWidth bytes: low halves, then high halves, kSize / 2 elements apart. Rows are whole groups.
template <int kSize>
struct Int4Codec {
  static constexpr int kGroup = kSize;
  static constexpr int64_t kStepBytes = kWidth;
  static constexpr int padded(int columns) { return (columns + kSize - 1) / kSize * kSize; }
  static constexpr int whole_steps(int columns) { return padded(columns) / kStep; }
  static constexpr int left_over(int) { return 0; }
  static constexpr int element(int at) {
    const int byte = at / kStep * kWidth + at % kWidth;
    return byte / (kSize / 2) * kSize + byte % (kSize / 2) + (at % kStep < kWidth ? 0 : kSize / 2);
  }
  ATTEND_INLINE const char* last_step(char*, const char* p, int) { return p; }
  ATTEND_INLINE void load_step(const char* p, Vec& a, Vec& b) { load_int4(p, a, b); }
};

template <>
struct Codec<DecodeFormat::int4_32> : Int4Codec<32> {};
template <>
struct Codec<DecodeFormat::int4_64> : Int4Codec<64> {};

/// Calls f.operator()<format>().
template <class F>
static inline auto by_format(DecodeFormat format, const F& f) {
  switch (format) {
#define ATTEND_DECODE_FORMAT(name, row) \
  case DecodeFormat::name:              \
    return f.template operator()<DecodeFormat::name>();
#include "cpu/decode_formats.def"
#undef ATTEND_DECODE_FORMAT
  }
  __builtin_unreachable();
}

ATTEND_INLINE const char* row_of(const DecodeSide& side, int key) {
  return static_cast<const char*>(side.rows[key]) + side.offset;
}
ATTEND_INLINE const char* scales_of(const DecodeSide& side, int key) {
  return static_cast<const char*>(side.scales[key]) + side.scale_offset;
}

/// One key's row of K or V, step by step.
template <class C>
struct RowReader {
  const char* row;
  const char* scales;

  ATTEND_INLINE RowReader of(const DecodeSide& side, int key) {
    return {row_of(side, key), C::kGroup > 0 ? scales_of(side, key) : nullptr};
  }
  ATTEND_INLINE void read(const RowReader& r, int step, Vec& a, Vec& b) {
    decode(r, step, r.row + step * C::kStepBytes, a, b);
  }
  /// The same for the last step of a row of which `count` elements exist.
  ATTEND_INLINE void read_last(const RowReader& r, int step, int count, Vec& a, Vec& b) {
    alignas(64) char copy[C::kStepBytes];
    decode(r, step, C::last_step(copy, r.row + step * C::kStepBytes, count), a, b);
  }
  ATTEND_INLINE void decode(const RowReader& r, int step, const char* p, Vec& a, Vec& b) {
    C::load_step(p, a, b);
    if constexpr (C::kGroup > 0) {
      uint16_t bits;
      __builtin_memcpy(&bits, r.scales + step * kStep / C::kGroup * 2, 2);
      // A code of 4 bits times 8 significant bits: exact.
      const Vec scale = set1(__builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16));
      a = mul(a, scale);
      b = mul(b, scale);
    }
  }
};

}  // namespace attend::cpu::ATTEND_TARGET
