// SPDX-License-Identifier: Apache-2.0
// FlashAttention-2's backward loop (arXiv:2307.08691, algorithm 2, lines 11 to 15) on blocks of query rows: five
// products of register tiles, and between them P and dS of 96 rows by 128 keys, which stay in L1 and L2.
//
//   s = q.k - lse       A  q by tiles of rows      B  K transposed       accumulators start at -lse
//   t = dO.v - D        A  dO by tiles of rows     B  V transposed       accumulators start at -D
//   P = exp2(s), dS = P * t
//   dV += P^T.dO        A  columns of P            B  rows of dO         6 keys by 64 columns, summed over the rows
//   dK += dS^T.q        A  columns of dS           B  rows of q
//   dQ += dS.k          A  rows of dS              B  rows of K
#pragma once
#include "cpu/bwd_kernel.hpp"

namespace attend::cpu::ATTEND_TARGET {

template <class Pack, bool kRounds>
struct AttentionBwd {
  using Step = typename Pack::Step;
  static constexpr int kSteps = Step::kSteps;
  static constexpr int kScratchPanel = kBwdRows * kPanelKeys;
  static constexpr int kRestKeys = kPanelKeys % kTileRows;  ///< keys of a panel behind its last whole tile

  static constexpr int smaller_of(int a, int b) { return a < b ? a : b; }
  ATTEND_INLINE int vecs_of(const BwdPanel& panel) { return ceil_div(panel.keys, kWidth); }
  ATTEND_INLINE bool keeps_all(const BwdPanel& panel) { return panel.bits == nullptr; }
  /// 0 times NaN is NaN: where numbers are not finite, only kept pairs may be added.
  ATTEND_INLINE bool only_kept(const BwdBlock& b, const BwdPanel& panel) {
    return !keeps_all(panel) && (b.rows_nonfinite || panel.k_nonfinite);
  }

  // ---- s and t ----

  template <int Vecs>
  ATTEND_INLINE void score_tile(const float* a, const float* k, int steps, const float* start, float* out) {
    Tile<kTileRows, Vecs> t;
    Tile<kTileRows, Vecs>::fill(t, start);
    Tile<kTileRows, Vecs>::template multiply<Step>(t, a, 1, kTileRows, k, kTileKeys, steps);
    Tile<kTileRows, Vecs>::store_to(t, out, kPanelKeys);
  }

  /// out[row][key] = start[row] + a[row] . b[key] over `columns`.
  static void scores(const BwdPanel& panel, const void* packed_rows, const void* packed_keys, int columns,
                     const float* start, float* out) {
    const int steps = ceil_div(columns, kSteps), vecs = vecs_of(panel);
    const float* k = static_cast<const float*>(packed_keys);
    for (int vec = 0; vec < vecs; vec += kTileVecs, k += int64_t{steps} * kTileKeys)
      for (int row = panel.row_begin; row < panel.row_end; row += kTileRows) {
        const float* a = static_cast<const float*>(packed_rows) + int64_t{row} * steps;
        float* to = out + row * kPanelKeys + vec * kWidth;
        switch (smaller(kTileVecs, vecs - vec)) {
          case 1: score_tile<1>(a, k, steps, start + row, to); break;
          case 2: score_tile<2>(a, k, steps, start + row, to); break;
          case 3: score_tile<smaller_of(3, kTileVecs)>(a, k, steps, start + row, to); break;
          default: score_tile<kTileVecs>(a, k, steps, start + row, to); break;
        }
      }
  }

  // ---- P and dS ----

  struct Pair {
    Vec p, ds;
  };

  /// What P and dS of one row of one panel need.
  struct Row {
    const float *s, *t;
    const uint64_t* bits;
    Vec minus_lse, distance, minus_slope;
    const float* bias;
    float* dbias;
  };

  ATTEND_INLINE Row row_of(const BwdBlock& b, const BwdPanel& panel, int p, int row) {
    Row r{};
    r.s = b.probs + p * kScratchPanel + row * kPanelKeys;
    r.t = b.dscores + p * kScratchPanel + row * kPanelKeys;
    r.bits = keeps_all(panel) ? nullptr : panel.bits + row;
    r.minus_lse = set1(b.minus_lse[row]);
    if (b.dbias != nullptr) r.dbias = b.dbias[row] + panel.first_key;
    if (b.terms == nullptr) return r;
    const StripeTerms& terms = *b.terms;
    if (terms.bias != nullptr) r.bias = terms.bias[row] + panel.first_key;
    if (terms.slopes != nullptr) {
      // As in the forward pass: exact while below 2^24, rounded like the score beyond.
      r.distance = set1(static_cast<float>(panel.first_key - terms.key_positions[row]));
      r.minus_slope = set1(-terms.slopes[row]);
    }
    return r;
  }

  /// kWidth pairs from key j * kWidth on.
  template <bool kTerms>
  ATTEND_INLINE Pair pair_of(const BwdBlock& b, const BwdPanel& panel, const Row& r, int j) {
    Vec x = load(r.s + j * kWidth), slope = set1(1);
    if constexpr (kTerms) {
      const StripeTerms& terms = *b.terms;
      if constexpr (kRounds) x = mul(x, set1(b.score_scale));
      if (terms.softcap > 0) {
        const Vec t = tanh(x);
        slope = fma(mul(t, set1(-1)), t, slope);
        x = mul(t, set1(terms.softcap));
      }
      if (terms.slopes != nullptr)
        x = fma(abs(add(r.distance, add(iota(), set1(static_cast<float>(j * kWidth))))), r.minus_slope, x);
      if (r.bias != nullptr)
        x = add(x, load_elements<Element::f32>(r.bias, int64_t{j} * kWidth, panel.keys - j * kWidth));
      x = fma(x, set1(kLog2e), r.minus_lse);
    } else if constexpr (kRounds) {
      x = fma(x, set1(b.score_scale), r.minus_lse);
    }
    Pair pair;
    pair.p = exp2(x);
    pair.ds = mul(pair.p, load(r.t + j * kWidth));
    const bool partial = r.bits != nullptr;
    const uint64_t bits = partial ? *r.bits >> (j * kWidth) : 0;
    if (partial) {
      pair.p = keep_or_zero(bits, pair.p);
      pair.ds = keep_or_zero(bits, pair.ds);
    }
    if (r.dbias != nullptr) {
      const int count = smaller(kWidth, panel.keys - j * kWidth);
      const Vec old = load_elements<Element::f32>(r.dbias, int64_t{j} * kWidth, count);
      store_elements(r.dbias, Element::f32, int64_t{j} * kWidth, count, add(old, pair.ds));
    }
    if constexpr (kTerms) {
      if (b.terms->softcap > 0) {
        pair.ds = mul(pair.ds, slope);
        if (partial) pair.ds = keep_or_zero(bits, pair.ds);  // the slope of a masked pair may be NaN
      }
    }
    return pair;
  }

  template <bool kTerms>
  static void pairs_of_panel(const BwdBlock& b, int p) {
    const BwdPanel& panel = b.panel[p];
    const int vecs = vecs_of(panel);
    for (int row = panel.row_begin; row < panel.row_end; row += kSteps) {
      const Row first = row_of(b, panel, p, row);
      if constexpr (!kRounds) {
        float *probs = const_cast<float*>(first.s), *dscores = const_cast<float*>(first.t);
        for (int j = 0; j < vecs; ++j) {
          const Pair pair = pair_of<kTerms>(b, panel, first, j);
          store(probs + j * kWidth, pair.p);
          store(dscores + j * kWidth, pair.ds);
        }
        for (int j = vecs; j < kPanelKeys / kWidth; ++j) {  // tiles of keys may end beyond the last vector
          store(probs + j * kWidth, zero());
          store(dscores + j * kWidth, zero());
        }
      }
#ifdef __AVX512BF16__
      if constexpr (kRounds) {
        const bool both = row + 1 < panel.row_end;
        const Row second = both ? row_of(b, panel, p, row + 1) : first;
        const int64_t at = int64_t{p} * kScratchPanel + row * kPanelKeys;  // of elements of two bytes
        auto* probs = static_cast<uint16_t*>(b.probs_pairs) + at;
        auto* dscores = static_cast<uint16_t*>(b.dscores_pairs) + at;
        auto* rows = static_cast<uint16_t*>(b.dscores_rows) + at;
        for (int j = 0; j < kPanelKeys / kWidth; ++j) {
          Pair lo{zero(), zero()}, hi{zero(), zero()};
          if (j < vecs) lo = pair_of<kTerms>(b, panel, first, j);
          if (j < vecs && both) hi = pair_of<kTerms>(b, panel, second, j);
          store_bf16_interleaved(probs + j * kWidth * 2, lo.p, hi.p);
          store_bf16_interleaved(dscores + j * kWidth * 2, lo.ds, hi.ds);
          store_bf16_rounded(rows + j * kWidth, lo.ds);
          store_bf16_rounded(rows + kPanelKeys + j * kWidth, hi.ds);
        }
      }
#endif
    }
  }

  // ---- dV, dK and dQ ----

  ATTEND_INLINE const float* probs_by_keys(const BwdBlock& b, int p) {
    return (kRounds ? static_cast<const float*>(b.probs_pairs) : b.probs) + p * (kScratchPanel / kSteps);
  }
  ATTEND_INLINE const float* dscores_by_keys(const BwdBlock& b, int p) {
    return (kRounds ? static_cast<const float*>(b.dscores_pairs) : b.dscores) + p * (kScratchPanel / kSteps);
  }
  ATTEND_INLINE const float* dscores_by_rows(const BwdBlock& b, int p) {
    return (kRounds ? static_cast<const float*>(b.dscores_rows) : b.dscores) + p * (kScratchPanel / kSteps);
  }

  /// out[key][column] += sum over rows of a[row][key] * rows[row][column], for Keys keys and Vecs vectors of columns.
  template <int Keys, int Vecs>
  ATTEND_INLINE void key_tile(const float* a, const float* rows, int steps, float* out, int64_t stride) {
    Tile<Keys, Vecs> t;
    Tile<Keys, Vecs>::load_from(t, out, stride);
    Tile<Keys, Vecs>::template multiply<Step>(t, a, 1, kPanelKeys, rows, Vecs * kWidth, steps);
    Tile<Keys, Vecs>::store_to(t, out, stride);
  }

  template <int Vecs>
  ATTEND_INLINE void key_tiles(const BwdPanel& panel, const float* a, const float* packed, float* out, int64_t stride) {
    const int steps = ceil_div(panel.row_end - panel.row_begin, kSteps);
    const float* rows = packed + panel.row_begin / kSteps * Vecs * kWidth;
    a += panel.row_begin / kSteps * kPanelKeys;
    for (int key = 0; key < panel.keys; key += kTileRows) {
      if constexpr (kRestKeys > 0) {
        if (key + kTileRows > kPanelKeys) {
          key_tile<kRestKeys, Vecs>(a + key, rows, steps, out + key * stride, stride);
          break;
        }
      }
      key_tile<kTileRows, Vecs>(a + key, rows, steps, out + key * stride, stride);
    }
  }

  /// dV += P^T . dO, or dK += dS^T . q.
  template <class OutOf>
  ATTEND_INLINE void key_side(const BwdBlock& b, int columns, const void* packed_rows,
                              const float* (*a_of)(const BwdBlock&, int), OutOf out_of) {
    const Chunks chunks = Chunks::of(columns);
    const int64_t stride = out_stride(columns);
    for (int i = 0, column = 0; i < chunks.count; ++i) {
      const int vecs = Chunks::width(chunks, i);
      const float* rows = static_cast<const float*>(packed_rows) + kBwdRows / kSteps * column;
      for (int p = 0; p < b.panels; ++p) {
        if (only_kept(b, b.panel[p])) continue;
        float* out = out_of(b.panel[p]) + column;
        switch (vecs) {
          case 1: key_tiles<1>(b.panel[p], a_of(b, p), rows, out, stride); break;
          case 2: key_tiles<2>(b.panel[p], a_of(b, p), rows, out, stride); break;
          case 3: key_tiles<smaller_of(3, kTileVecs)>(b.panel[p], a_of(b, p), rows, out, stride); break;
          default: key_tiles<kTileVecs>(b.panel[p], a_of(b, p), rows, out, stride); break;
        }
      }
      column += vecs * kWidth;
    }
  }

  template <int Vecs>
  ATTEND_INLINE void query_tile(const BwdBlock& b, int row, int column, int64_t stride) {
    float* out = b.dq + row * stride + column;
    Tile<kTileRows, Vecs> t;
    Tile<kTileRows, Vecs>::load_from(t, out, stride);
    for (int p = 0; p < b.panels; ++p) {
      const BwdPanel& panel = b.panel[p];
      if (row < panel.row_begin || row >= panel.row_end || only_kept(b, panel)) continue;
      constexpr int64_t kRow = kPanelKeys / kSteps;
      Tile<kTileRows, Vecs>::template multiply<Step>(t, dscores_by_rows(b, p) + row * kRow, kRow, 1,
                                                     static_cast<const float*>(panel.k) + kRow * column, Vecs * kWidth,
                                                     ceil_div(panel.keys, kSteps));
    }
    Tile<kTileRows, Vecs>::store_to(t, out, stride);
  }

  /// dQ += dS . K.
  static void query_side(const BwdBlock& b) {
    int begin = b.rows, end = 0;
    for (int p = 0; p < b.panels; ++p) {
      begin = smaller(begin, b.panel[p].row_begin);
      end = end < b.panel[p].row_end ? b.panel[p].row_end : end;
    }
    const Chunks chunks = Chunks::of(b.d);
    const int64_t stride = out_stride(b.d);
    for (int i = 0, column = 0; i < chunks.count; ++i) {
      const int vecs = Chunks::width(chunks, i);
      for (int row = begin; row < end; row += kTileRows) {
        switch (vecs) {
          case 1: query_tile<1>(b, row, column, stride); break;
          case 2: query_tile<2>(b, row, column, stride); break;
          case 3: query_tile<smaller_of(3, kTileVecs)>(b, row, column, stride); break;
          default: query_tile<kTileVecs>(b, row, column, stride); break;
        }
      }
      column += vecs * kWidth;
    }
  }

  // ---- Where numbers are not finite ----

  /// out[c] += factor * packed[row][c], rounded as in a tile.
  static void add_row(float* out, float factor, const void* packed, int columns, int row, int capacity) {
    for (int c = 0; c < columns; c += kWidth) {
      float lanes[kWidth] = {};
      for (int j = 0; j < smaller(kWidth, columns - c); ++j)
        lanes[j] = Pack::v_at(packed, columns, row, c + j, capacity);
      store(out + c, fma(set1(factor), load(lanes), load(out + c)));
    }
  }

  static void add_kept(const BwdBlock& b, int p) {
    const BwdPanel& panel = b.panel[p];
    for (int row = panel.row_begin; row < panel.row_end; ++row)
      for (int key = 0; key < panel.keys; ++key) {
        if ((panel.bits[row] >> key & 1) == 0) continue;
        const int at = row / kSteps * kPanelKeys + key;
        const float prob = Pack::element_of_step(probs_by_keys(b, p) + at, row % kSteps);
        const float ds = Pack::element_of_step(dscores_by_keys(b, p) + at, row % kSteps);
        add_row(panel.dv + key * out_stride(b.dv), prob, b.dout_rows, b.dv, row, kBwdRows);
        add_row(panel.dk + key * out_stride(b.d), ds, b.q_rows, b.d, row, kBwdRows);
        add_row(b.dq + row * out_stride(b.d), ds, panel.k, b.d, key, kPanelKeys);
      }
  }

  static void run_block(const BwdBlock& b) {
    static constexpr float kZeros[kBwdRows] = {};
    const float* start = kRounds || b.terms != nullptr ? kZeros : b.minus_lse;
    for (int p = 0; p < b.panels; ++p) {
      const BwdPanel& panel = b.panel[p];
      scores(panel, b.q, panel.kt, b.d, start, b.probs + p * kScratchPanel);
      scores(panel, b.dout, panel.vt, b.dv, b.minus_delta, b.dscores + p * kScratchPanel);
      b.terms == nullptr ? pairs_of_panel<false>(b, p) : pairs_of_panel<true>(b, p);
    }
    key_side(b, b.dv, b.dout_rows, probs_by_keys, [](const BwdPanel& panel) { return panel.dv; });
    key_side(b, b.d, b.q_rows, dscores_by_keys, [](const BwdPanel& panel) { return panel.dk; });
    query_side(b);
    for (int p = 0; p < b.panels; ++p)
      if (only_kept(b, b.panel[p])) add_kept(b, p);
  }

  static int64_t out_stride(int32_t columns) { return int64_t{ceil_div(columns, kWidth)} * kWidth; }

  static float dot(const void* a, Element a_type, const void* b, Element b_type, int32_t count) {
    ATTEND_BY_ELEMENT(a_type, dot_of, a, b, b_type, count)
  }
  template <Element kA>
  static float dot_of(const void* a, const void* b, Element b_type, int32_t count) {
    switch (b_type) {
      case Element::f32: return dot_of_both<kA, Element::f32>(a, b, count);
      case Element::f16: return dot_of_both<kA, Element::f16>(a, b, count);
      default: return dot_of_both<kA, Element::bf16>(a, b, count);
    }
  }
  template <Element kA, Element kB>
  static float dot_of_both(const void* a, const void* b, int32_t count) {
    Vec sum = zero();
    for (int c = 0; c < count; c += kWidth)
      sum = fma(load_elements<kA>(a, c, count - c), load_elements<kB>(b, c, count - c), sum);
    float lanes[kWidth];
    store(lanes, sum);
    for (int half = kWidth / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
    return lanes[0];
  }

  static constexpr AttentionBwdKernel kernel(const AttentionFwdKernel* forward) {
    return {forward, Pack::rows_bytes, Pack::pack_rows, run_block, dot};
  }
};

}  // namespace attend::cpu::ATTEND_TARGET
