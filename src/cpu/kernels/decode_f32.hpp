// SPDX-License-Identifier: Apache-2.0
// Scores and weighted sums of values in f32: rows of the cache are widened where they are used, once for up to four
// query rows.
#pragma once
#include "cpu/kernels/decode_codec.hpp"
#include "cpu/kernels/decode_fetch.hpp"

namespace attend::cpu::ATTEND_TARGET {

/// In front of packed query rows. A score is unit * scale of the key * product + constant.
struct alignas(64) QHeader {
  float constant[kDecodeRows];  ///< q.mean
  float unit[kDecodeRows];      ///< of products of integers; else 1
};

/// One block under way.
struct DecodeFrame {
  DecodeFrame(const DecodeBlock& b, int64_t ticks) : block(b), fetch(Fetcher::of(b, ticks)) {}

  const DecodeBlock& block;
  Fetcher fetch;
  alignas(64) float probs[kDecodeRows][kDecodeKeys];  ///< first products q.k, then weights of values
  alignas(64) float k_scales[kDecodeKeys];
  alignas(64) float v_scales[kDecodeKeys];

  const char* q_row(int row, int64_t row_bytes) const {
    return static_cast<const char*>(block.q) + sizeof(QHeader) + row * row_bytes;
  }
};

template <class C>
struct ScoresF32 {
  static int64_t row_bytes(int d) { return int64_t{C::padded(d)} * 4; }

  /// `q`: d elements, multiplied by all factors.
  static void pack_row(QHeader& header, int row, char* packed, const float* q, int d) {
    header.unit[row] = 1;
    float* out = reinterpret_cast<float*>(packed);
    for (int at = 0; at < C::padded(d); ++at) out[at] = C::element(at) < d ? q[C::element(at)] : 0;
  }

  /// kWidth dot products: kWidth / Rows keys from `key` on, with `Rows` rows from `row` on. What lies past the end
  /// repeats the last key or row.
  template <int Rows>
  ATTEND_INLINE void tile(DecodeFrame& f, int row, int key) {
    constexpr int kKeys = kWidth / Rows;
    const DecodeBlock& b = f.block;
    const int steps = C::whole_steps(b.shape.d), left = C::left_over(b.shape.d);
    RowReader<C> k[kKeys];
    const float* q[Rows];
    Vec sum[kWidth];
    for (int t = 0; t < kKeys; ++t) k[t] = RowReader<C>::of(b.k, smaller(key + t, b.keys - 1));
    for (int r = 0; r < Rows; ++r)
      q[r] = reinterpret_cast<const float*>(f.q_row(smaller(row + r, b.rows - 1), row_bytes(b.shape.d)));
    Fetcher::Cursor cursor = f.fetch.cursor;
    for (int i = 0; i < kWidth; ++i) sum[i] = zero();
    for (int step = 0; step < steps; ++step)
#pragma GCC unroll 16
      for (int t = 0; t < kKeys; ++t) {
        Vec x, y;
        RowReader<C>::read(k[t], step, x, y);
        multiply<Rows>(sum + t, q, step, x, y);
        Fetcher::tick(f.fetch, cursor);
      }
    if (left > 0) {
#pragma GCC unroll 16
      for (int t = 0; t < kKeys; ++t) {
        Vec x, y;
        RowReader<C>::read_last(k[t], steps, left, x, y);
        multiply<Rows>(sum + t, q, steps, x, y);
      }
    }
    f.fetch.cursor = cursor;
    alignas(64) float lanes[kWidth];
    store(lanes, sums(sum));
    for (int r = 0; r < Rows; ++r) __builtin_memcpy(f.probs[row + r] + key, lanes + r * kKeys, kKeys * 4);
  }
  template <int Rows>
  ATTEND_INLINE void multiply(Vec* sum, const float* const* q, int step, Vec x, Vec y) {
    for (int r = 0; r < Rows; ++r) {
      Vec& to = sum[r * (kWidth / Rows)];
      to = fma(y, load(q[r] + step * kStep + kWidth), fma(x, load(q[r] + step * kStep), to));
    }
  }

  template <int Rows>
  ATTEND_INLINE void tiles(DecodeFrame& f, int row, int key, int end) {
    for (; key < end; key += kWidth / Rows) tile<Rows>(f, row, key);
  }

  static void run(DecodeFrame& f) {
    for (int key = 0; key < f.block.keys; key += kWidth)
      for (int row = 0; row < f.block.rows;) {
        const int end = smaller(key + kWidth, f.block.keys);
        switch (f.block.rows - row) {
          case 1:
            tiles<1>(f, row, key, end);
            row += 1;
            break;
          case 2:
            tiles<2>(f, row, key, end);
            row += 2;
            break;
          default:
            tiles<4>(f, row, key, end);
            row += 4;
            break;
        }
      }
  }
};

/// The keys that some rows see, in order.
struct KeyList {
  int count = 0;
  uint8_t key[kDecodeKeys];

  static KeyList of(uint64_t bits) {
    KeyList list;
    for (; bits != 0; bits &= bits - 1) list.key[list.count++] = static_cast<uint8_t>(__builtin_ctzll(bits));
    return list;
  }
};

ATTEND_INLINE uint64_t existing(int keys) { return ~uint64_t{0} >> (kDecodeKeys - keys); }

template <class C>
struct ValuesF32 {
  static constexpr int padded(int dv) { return C::padded(dv); }
  static constexpr int element(int at) { return C::element(at); }

  template <int Rows, int Steps, bool kLast>
  ATTEND_INLINE void tile(DecodeFrame& f, const KeyList& list, int row, int step) {
    const DecodeBlock& b = f.block;
    const int left = C::left_over(b.shape.dv);
    Fetcher::Cursor cursor = f.fetch.cursor;
    float* out = b.out + row * b.out_stride + int64_t{step} * kStep;
    Vec sum[Rows][2 * Steps];
    // From zero: a sum of the sums of blocks errs less than one long sum.
    for (int r = 0; r < Rows; ++r)
      for (int j = 0; j < 2 * Steps; ++j) sum[r][j] = zero();
    for (int i = 0; i < list.count; ++i) {
      const int key = list.key[i];
      const RowReader<C> v = RowReader<C>::of(b.v, key);
      Vec weight[Rows];
      for (int r = 0; r < Rows; ++r) weight[r] = set1(f.probs[row + r][key]);
      for (int j = 0; j < Steps; ++j) {
        Vec x, y;
        if constexpr (kLast) {
          RowReader<C>::read_last(v, step, left, x, y);
        } else {
          RowReader<C>::read(v, step + j, x, y);
        }
        for (int r = 0; r < Rows; ++r) {
          sum[r][2 * j] = fma(weight[r], x, sum[r][2 * j]);
          sum[r][2 * j + 1] = fma(weight[r], y, sum[r][2 * j + 1]);
        }
        Fetcher::tick(f.fetch, cursor);
      }
    }
    f.fetch.cursor = cursor;
    for (int r = 0; r < Rows; ++r)
      for (int j = 0; j < 2 * Steps; ++j) {
        float* to = out + r * b.out_stride + j * kWidth;
        store(to, add(load(to), sum[r][j]));
      }
  }

  /// All columns of `Rows` rows that see the same keys.
  template <int Rows>
  static void group(DecodeFrame& f, const KeyList& list, int row) {
    /// 16 accumulators in 32 registers, 8 in 16.
    constexpr int kSteps = Rows * 4 <= (kWidth == 16 ? 16 : 8) ? 2 : 1;
    const int steps = C::whole_steps(f.block.shape.dv);
    int step = 0;
    for (; step + kSteps <= steps; step += kSteps) tile<Rows, kSteps, false>(f, list, row, step);
    if constexpr (kSteps > 1) {
      if (step < steps) tile<Rows, 1, false>(f, list, row, step);
    }
    if (C::left_over(f.block.shape.dv) > 0) tile<Rows, 1, true>(f, list, row, steps);
  }

  static void run(DecodeFrame& f) {
    const DecodeBlock& b = f.block;
    const uint64_t all = existing(b.keys);
    KeyList list;
    for (int row = 0; row < b.rows;) {
      int rows = smaller(4, b.rows - row);
      // Rows that see different keys go alone: a product with 0 is no way to leave out NaN or infinity.
      const uint64_t bits = b.bits != nullptr ? b.bits[row] & all : all;
      for (int r = 1; b.bits != nullptr && r < rows; ++r)
        if ((b.bits[row + r] & all) != bits) rows = 1;
      if (row == 0 || b.bits != nullptr) list = KeyList::of(bits);
      switch (rows) {
        case 1: group<1>(f, list, row); break;
        case 2: group<2>(f, list, row); break;
        case 3: group<3>(f, list, row); break;
        default: group<4>(f, list, row); break;
      }
      row += rows;
    }
  }
};

}  // namespace attend::cpu::ATTEND_TARGET
