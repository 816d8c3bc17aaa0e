// SPDX-License-Identifier: Apache-2.0
// FlashAttention-2's inner loop (arXiv:2307.08691, algorithm 1) on stripes of a few query rows: the scores of 12 rows
// against 512 keys never leave L1, and nothing is rescaled unless a maximum really grows.
//
// The reference maximum `m` of a row is the maximum over the first panel in which it keeps a key. From then on register
// tiles start at -m instead of 0, so that they end at s - m without a subtraction, and no maximum is taken: a row's sum
// of exp2(s - m) tells whether m still serves. Above 2^20 (or NaN) the group is computed again with its true maximum,
// and sum and output are rescaled: exact, and in practice rare.
#pragma once
#include "cpu/kernel.hpp"
#include "cpu/kernels/score_terms.hpp"

namespace attend::cpu::ATTEND_TARGET {

constexpr float kSumLimit = 0x1p20F;
constexpr int kPanelVecs = kPanelKeys / kWidth;
/// Panels of V that a register tile of the output takes at once: two of 16 KiB stay in L1 for the stripe's next rows,
/// and the tile is loaded and stored half as often. One, three and four are slower by 1 to 2 %.
constexpr int kPairedPanels = 2;

template <class Pack, bool kRoundsProbs>
struct AttentionFwd {
  using Step = typename Pack::Step;

  ATTEND_INLINE float* scores_of(const Stripe& s, int panel, int row) {
    return s.scores + (int64_t{panel} * kStripeRows + row) * kPanelKeys;
  }
  ATTEND_INLINE int vecs_of(const StripePanel& panel) { return ceil_div(panel.keys, kWidth); }

  /// Scores of one register tile of rows against up to kTileKeys keys, from `start` on.
  template <int Vecs>
  ATTEND_INLINE void score_tile(const float* q, const float* k, int steps, const float* start, float* out) {
    Tile<kTileRows, Vecs> t;
    Tile<kTileRows, Vecs>::fill(t, start);
    Tile<kTileRows, Vecs>::template multiply<Step>(t, q, 1, kTileRows, k, kTileKeys, steps);
    Tile<kTileRows, Vecs>::store_to(t, out, kPanelKeys);
  }

  static void score_panel(const Stripe& s, int p, const float* start) {
    const StripePanel& panel = s.panel[p];
    const int steps = ceil_div(s.d, Step::kSteps), vecs = vecs_of(panel);
    const float* k = static_cast<const float*>(panel.k);
    for (int vec = 0; vec < vecs; vec += kTileVecs, k += int64_t{steps} * kTileKeys)
      for (int row = 0; row < s.rows; row += kTileRows) {
        const float* q = static_cast<const float*>(s.q) + int64_t{row} * steps;
        float* out = scores_of(s, p, row) + vec * kWidth;
        switch (smaller(kTileVecs, vecs - vec)) {
          case 1: score_tile<1>(q, k, steps, start + row, out); break;
          case 2: score_tile<2>(q, k, steps, start + row, out); break;
          case 3: score_tile<smaller_of(3, kTileVecs)>(q, k, steps, start + row, out); break;
          default: score_tile<kTileVecs>(q, k, steps, start + row, out); break;
        }
      }
  }
  static constexpr int smaller_of(int a, int b) { return a < b ? a : b; }

  /// softcap, ALiBi and bias on one row of one panel; in: s / softcap or s; out: s * log2(e) - m.
  static void apply_terms(const Stripe& s, int p, int row, float m) {
    const StripeTerms& terms = *s.terms;
    const StripePanel& panel = s.panel[p];
    float* x = scores_of(s, p, row);
    for (int j = 0; j < vecs_of(panel); ++j, x += kWidth) {
      Vec v = load(x);
      if constexpr (kRoundsProbs) v = mul(v, set1(s.score_scale));
      v = add_terms(v, terms, row, panel.first_key, j * kWidth, panel.keys - j * kWidth);
      store(x, fma(v, set1(kLog2e), set1(-m)));
    }
  }

  ATTEND_INLINE float row_max(const Stripe& s, int p, int row) {
    const float* x = scores_of(s, p, row);
    Vec m = load(x);
    for (int j = 1; j < vecs_of(s.panel[p]); ++j) m = max(m, load(x + j * kWidth));
    return reduce_max(m);
  }

  ATTEND_INLINE void shift_row(const Stripe& s, int p, int row, float by) {
    float* x = scores_of(s, p, row);
    for (int j = 0; j < vecs_of(s.panel[p]); ++j) store(x + j * kWidth, sub(load(x + j * kWidth), set1(by)));
  }

  /// Whether scores in scratch still lack the scale: bf16 products are scaled inside the exponential.
  static bool raw_scores(const Stripe& s) { return kRoundsProbs && s.terms == nullptr; }

  /// Leaves s - m in log2 units (or raw products, see raw_scores) in scratch, masked keys at -inf. Rows with `whole`
  /// get s itself and keep their m: it may be so far off that s - m would lose s.
  static void score_group(const Stripe& s, const bool* whole) {
    const bool raw = raw_scores(s), from_zero = raw || s.terms != nullptr;
    float start[kStripeRows] = {};
    for (int i = 0; i < s.rows && !from_zero; ++i)
      if (!whole[i] && s.max[i] != -__builtin_inff()) start[i] = -s.max[i];
    for (int p = 0; p < s.panels; ++p) {
      score_panel(s, p, start);
      const uint64_t* bits = s.panel[p].bits;
      for (int i = 0; i < s.rows; ++i) {
        const bool open = s.max[i] == -__builtin_inff() && !whole[i];
        if (s.terms != nullptr) apply_terms(s, p, i, open || whole[i] ? 0 : s.max[i]);
        if (bits != nullptr && ~bits[i] != 0) {
          float* x = scores_of(s, p, i);
          for (int j = 0; j < vecs_of(s.panel[p]); ++j)
            store(x + j * kWidth, keep_bits(bits[i] >> (j * kWidth), load(x + j * kWidth)));
        }
        if (!open) continue;
        const float m = row_max(s, p, i);
        if (m == -__builtin_inff()) continue;
        s.max[i] = raw ? m * s.score_scale : m;
        if (!raw) shift_row(s, p, i, m);
        if (!from_zero) start[i] = -m;
      }
    }
  }

  /// After score_group(): raises m of the rows with `whole` to their true maximum, rescales what they summed so far and
  /// makes s into s - m; raw products of all rows get their scale.
  static void raise_maxima(const Stripe& s, const bool* whole) {
    for (int i = 0; i < s.rows; ++i) {
      if (raw_scores(s)) {
        const float m = whole[i] || s.max[i] == -__builtin_inff() ? 0 : s.max[i];
        for (int p = 0; p < s.panels; ++p) {
          float* x = scores_of(s, p, i);
          for (int j = 0; j < vecs_of(s.panel[p]); ++j)
            store(x + j * kWidth, fma(load(x + j * kWidth), set1(s.score_scale), set1(-m)));
        }
      }
      if (!whole[i]) continue;
      const float old = s.max[i];
      float m = old;
      for (int p = 0; p < s.panels; ++p) {
        const float panel_max = row_max(s, p, i);
        m = m != m || panel_max <= m ? m : panel_max;
      }
      for (int p = 0; p < s.panels; ++p) shift_row(s, p, i, m);
      if (m == old || old == -__builtin_inff()) {
        s.max[i] = m;
        continue;
      }
      s.max[i] = m;
      const Vec factor = exp2(set1(old - m));
      float* sum = s.sum + int64_t{i} * kMaxLanes;
      store(sum, mul(load(sum), factor));
      float* out = s.out + i * s.out_stride;
      for (int64_t j = 0; j < s.out_stride; j += kWidth) store(out + j, mul(load(out + j), factor));
    }
  }

  /// exp2 of one row over the group, in place or into `probs`; returns the lanes' sums.
  template <bool kRaw>
  ATTEND_INLINE Vec exponentiate_row(const Stripe& s, int row) {
    Vec sum[4] = {zero(), zero(), zero(), zero()};
    const Vec scale = set1(s.score_scale), minus_m = set1(s.max[row] > -__builtin_inff() ? -s.max[row] : 0);
    for (int p = 0; p < s.panels; ++p) {
      float* x = scores_of(s, p, row);
      const auto one = [&](int j) __attribute__((always_inline)) {
        Vec v = load(x + j * kWidth);
        if constexpr (kRaw) v = fma(v, scale, minus_m);
        v = exp2(v);
        sum[j % 4] = add(sum[j % 4], v);
        return v;
      };
#ifdef __AVX512BF16__
      if constexpr (kRoundsProbs) {
        char* out = static_cast<char*>(s.probs) + (int64_t{p} * kStripeRows + row) * kPanelKeys * 2;
        const int vecs = vecs_of(s.panel[p]);
        for (int j = 0; j < vecs; j += 2) {
          const Vec lo = one(j);
          store_bf16_pair(out + j * kWidth * 2, lo, j + 1 < vecs ? one(j + 1) : zero());
        }
        continue;
      }
#endif
      if (s.panel[p].keys == kPanelKeys) {
        for (int j = 0; j < kPanelVecs; ++j) store(x + j * kWidth, one(j));
      } else {
        for (int j = 0; j < vecs_of(s.panel[p]); ++j) store(x + j * kWidth, one(j));
      }
    }
    return add(add(sum[0], sum[1]), add(sum[2], sum[3]));
  }

  /// Probabilities of the group into scratch. False, and no sum changed, when the reference maximum of some row does
  /// not serve; `again` tells of which. Null: it is known to serve.
  static bool exponentiate(const Stripe& s, bool raw, bool* again) {
    Vec sums[kStripeRows];
    bool all_serve = true;
    for (int i = 0; i < s.rows; ++i) {
      if constexpr (kRoundsProbs) {
        sums[i] = raw ? exponentiate_row<true>(s, i) : exponentiate_row<false>(s, i);
      } else {
        sums[i] = exponentiate_row<false>(s, i);
      }
      if (again == nullptr) continue;
      again[i] = any_above(sums[i], set1(kSumLimit));
      all_serve &= !again[i];
    }
    if (!all_serve) return false;
    for (int i = 0; i < s.rows; ++i) {
      float* sum = s.sum + int64_t{i} * kMaxLanes;
      store(sum, add(load(sum), sums[i]));
    }
    return true;
  }

  template <int Vecs>
  ATTEND_INLINE void value_tile(const Stripe& s, int p, int end, int row, int column) {
    constexpr int64_t kProbStride = kPanelKeys / Step::kSteps;
    float* out = s.out + row * s.out_stride + column;
    Tile<kTileRows, Vecs> t;
    Tile<kTileRows, Vecs>::load_from(t, out, s.out_stride);
    for (; p < end; ++p) {
      const StripePanel& panel = s.panel[p];
      if (panel.v_nonfinite && panel.bits != nullptr) continue;
      Tile<kTileRows, Vecs>::template multiply<Step>(t, probs_of(s, p, row), kProbStride, 1,
                                                     static_cast<const float*>(panel.v) + kProbStride * column,
                                                     Vecs * kWidth, ceil_div(panel.keys, Step::kSteps));
    }
    Tile<kTileRows, Vecs>::store_to(t, out, s.out_stride);
  }

  ATTEND_INLINE const float* probs_of(const Stripe& s, int p, int row) {
    if constexpr (!kRoundsProbs) return scores_of(s, p, row);
    return static_cast<const float*>(s.probs) + (int64_t{p} * kStripeRows + row) * (kPanelKeys / 2);
  }

  static void accumulate(const Stripe& s) {
    const Chunks chunks = Chunks::of(s.dv);
    for (int i = 0, column = 0; i < chunks.count; ++i) {
      const int vecs = Chunks::width(chunks, i);
      for (int p = 0; p < s.panels; p += kPairedPanels) {
        const int end = smaller(p + kPairedPanels, s.panels);
        for (int row = 0; row < s.rows; row += kTileRows) {
          switch (vecs) {
            case 1: value_tile<1>(s, p, end, row, column); break;
            case 2: value_tile<2>(s, p, end, row, column); break;
            case 3: value_tile<smaller_of(3, kTileVecs)>(s, p, end, row, column); break;
            default: value_tile<kTileVecs>(s, p, end, row, column); break;
          }
        }
      }
      column += vecs * kWidth;
    }
    for (int p = 0; p < s.panels; ++p)
      if (s.panel[p].v_nonfinite && s.panel[p].bits != nullptr) accumulate_kept(s, p);
  }

  /// A partly masked panel with NaN or infinite values: 0 * v would carry them into rows that do not see them, so only
  /// kept keys are summed, one by one.
  static void accumulate_kept(const Stripe& s, int p) {
    const StripePanel& panel = s.panel[p];
    for (int i = 0; i < s.rows; ++i)
      for (int key = 0; key < panel.keys; ++key) {
        if ((panel.bits[i] >> key & 1) == 0) continue;
        const float prob = Pack::prob_at(probs_of(s, p, i), key);
        for (int c = 0; c < s.dv; c += kWidth) {
          float lanes[kWidth] = {};
          for (int j = 0; j < smaller(kWidth, s.dv - c); ++j) lanes[j] = Pack::v_at(panel.v, s.dv, key, c + j);
          float* out = s.out + i * s.out_stride + c;
          store(out, fma(set1(prob), load(lanes), load(out)));  // rounded as in a tile, whatever the compiler contracts
        }
      }
  }

  /// Rows do not see each other: when one is computed again, the others get the bits that they would have had anyway.
  static void run_stripe(const Stripe& s) {
    float before[kStripeRows];
    bool again[kStripeRows] = {};
    for (int i = 0; i < s.rows; ++i) before[i] = s.max[i];
    score_group(s, again);
    if (!exponentiate(s, raw_scores(s), again)) {
      for (int i = 0; i < s.rows; ++i) s.max[i] = before[i];
      score_group(s, again);
      raise_maxima(s, again);
      exponentiate(s, false, nullptr);
    }
    accumulate(s);
  }

  static int64_t out_stride(int32_t dv) { return int64_t{ceil_div(dv, kWidth)} * kWidth; }

  static void store_row(void* o, Element type, const float* out, int32_t dv, float factor) {
    for (int c = 0; c < dv; c += kWidth)
      store_elements(o, type, c, smaller(kWidth, dv - c), mul(load(out + c), set1(factor)));
  }

  static constexpr AttentionFwdKernel kernel() {
    return {kTileRows,    Pack::k_panel_bytes, Pack::v_panel_bytes, Pack::q_bytes, out_stride, Pack::pack_k,
            Pack::pack_v, Pack::pack_q,        Pack::q_row_bytes,   run_stripe,    store_row};
  }
};

}  // namespace attend::cpu::ATTEND_TARGET
