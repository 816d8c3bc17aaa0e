// SPDX-License-Identifier: Apache-2.0
// One block of flash decoding: the query rows that share a key head against up to 64 keys, K and V read once where they
// lie, maximum, sum and output of each row updated (FlashAttention-2, arXiv:2307.08691, algorithm 1, lines 8 to 10).
#pragma once
#include "cpu/decode_kernel.hpp"
#include "cpu/kernels/decode_f32.hpp"
#include "cpu/kernels/score_terms.hpp"

namespace attend::cpu::ATTEND_TARGET {

/// Which code computes with which format.
struct DecodeF32 {
  template <DecodeFormat kFormat>
  using Scores = ScoresF32<Codec<kFormat>>;
  template <DecodeFormat kFormat>
  using Values = ValuesF32<Codec<kFormat>>;
};

template <class Arithmetic>
struct Decode {
  static int64_t q_row_bytes(const DecodeShape& shape) {
    return by_format(shape.k_format,
                     [&]<DecodeFormat f>() { return Arithmetic::template Scores<f>::row_bytes(shape.d); });
  }
  static int64_t q_bytes(const DecodeShape& shape, int32_t rows) {
    return static_cast<int64_t>(sizeof(QHeader)) + rows * q_row_bytes(shape);
  }

  static void pack_q(const DecodeShape& shape, void* packed, const void* const* rows, Element type, int32_t count,
                     float factor, const float* k_scales, const float* k_mean) {
    auto& header = *static_cast<QHeader*>(packed);
    char* out = static_cast<char*>(packed) + sizeof(QHeader);
    for (int row = 0; row < count; ++row, out += q_row_bytes(shape)) {
      float q[kDecodeColumns];
      double constant = 0;
      widen_row(q, rows[row], type, shape.d);
      for (int c = 0; c < shape.d; ++c) {
        q[c] *= factor;
        if (k_mean != nullptr) constant += static_cast<double>(q[c]) * static_cast<double>(k_mean[c]);
        if (k_scales != nullptr) q[c] *= k_scales[c];
      }
      header.constant[row] = static_cast<float>(constant);
      by_format(shape.k_format,
                [&]<DecodeFormat f>() { Arithmetic::template Scores<f>::pack_row(header, row, out, q, shape.d); });
    }
  }
  static void widen_row(float* to, const void* row, Element type, int d) {
    switch (type) {
      case Element::f32: return widen_row_of<Element::f32>(to, row, d);
      case Element::f16: return widen_row_of<Element::f16>(to, row, d);
      default: return widen_row_of<Element::bf16>(to, row, d);
    }
  }
  template <Element kType>
  static void widen_row_of(float* to, const void* row, int d) {
    for (int c = 0; c < d; c += kWidth) store(to + c, load_elements<kType>(row, c, d - c));
  }

  static int64_t out_stride(const DecodeShape& shape) {
    return by_format(shape.v_format, [&]<DecodeFormat f>() {
      return int64_t{ceil_div(Arithmetic::template Values<f>::padded(shape.dv), kMaxLanes)} * kMaxLanes;
    });
  }

  static void store_row(const DecodeShape& shape, void* o, Element type, const float* out, float factor,
                        const float* v_scales) {
    float x[kDecodeColumns];
    by_format(shape.v_format, [&]<DecodeFormat f>() {
      using Values = typename Arithmetic::template Values<f>;
      for (int at = 0; at < Values::padded(shape.dv); ++at) x[Values::element(at)] = out[at] * factor;
    });
    for (int c = 0; v_scales != nullptr && c < shape.dv; ++c) x[c] *= v_scales[c];
    for (int c = 0; c < shape.dv; c += kWidth) store_elements(o, type, c, smaller(kWidth, shape.dv - c), load(x + c));
  }

  /// Scales of the block's keys side by side, 0 for keys that do not exist. False: there are none.
  static bool gather_scales(float* to, const DecodeSide& side, DecodeFormat format, int keys) {
    if (side.scales == nullptr || (format != DecodeFormat::int8 && format != DecodeFormat::e4m3)) return false;
    for (int key = 0; key < keys; ++key) __builtin_memcpy(to + key, scales_of(side, key), 4);
    for (int key = keys; key % kWidth != 0; ++key) to[key] = 0;
    return true;
  }

  /// Products of one row become weights of its values; maximum and sum are updated, the output rescaled.
  static void soften(DecodeFrame& f, int row, const float* k_scales, const float* v_scales) {
    const DecodeBlock& b = f.block;
    const auto& header = *static_cast<const QHeader*>(b.q);
    const Vec unit = set1(header.unit[row]), constant = set1(header.constant[row]);
    const uint64_t bits = existing(b.keys) & (b.bits != nullptr ? b.bits[row] : ~uint64_t{0});
    const int vecs = ceil_div(b.keys, kWidth);
    float* x = f.probs[row];
    Vec top = set1(-__builtin_inff());
    Fetcher::Cursor cursor = f.fetch.cursor;
    for (int j = 0; j < vecs; ++j) {
      Vec s = load(x + j * kWidth);
      if (k_scales != nullptr) s = mul(s, load(k_scales + j * kWidth));
      s = fma(s, unit, constant);
      if (b.terms != nullptr)
        s = mul(add_terms(s, *b.terms, row, b.first_key, j * kWidth, b.keys - j * kWidth), set1(kLog2e));
      s = keep_bits(bits >> (j * kWidth), s);
      store(x + j * kWidth, s);
      top = max(s, top);
      Fetcher::tick(f.fetch, cursor);
    }
    const float old = b.max[row], block_max = reduce_max(top), m = block_max > old ? block_max : old;
    float* sum = b.sum + int64_t{row} * kMaxLanes;
    if (m > old && old > -__builtin_inff()) {
      const Vec down = exp2(set1(old - m));
      float* out = b.out + row * b.out_stride;
      store(sum, mul(load(sum), down));
      for (int64_t c = 0; c < b.out_stride; c += kWidth) store(out + c, mul(load(out + c), down));
    }
    b.max[row] = m;
    // Without a kept key so far every score is -inf, whatever it is compared with.
    const Vec reference = set1(m > -__builtin_inff() ? m : 0);
    Vec lanes = zero();
    for (int j = 0; j < vecs; ++j) {
      Vec p = exp2(sub(load(x + j * kWidth), reference));
      lanes = add(lanes, p);
      if (v_scales != nullptr) p = keep_or_zero(bits >> (j * kWidth), mul(p, load(v_scales + j * kWidth)));
      store(x + j * kWidth, p);
      Fetcher::tick(f.fetch, cursor);
    }
    f.fetch.cursor = cursor;
    store(sum, add(load(sum), lanes));
  }

  /// One for each pair of vectors that meets up to four rows, and two for each vector of scores.
  static int64_t ticks(const DecodeBlock& b) {
    const int steps = ceil_div(b.shape.d, kStep) + ceil_div(b.shape.dv, kStep);
    return int64_t{ceil_div(b.rows, 4)} * b.keys * steps + int64_t{2} * b.rows * ceil_div(b.keys, kWidth);
  }

  static void run_block(const DecodeBlock& b) {
    DecodeFrame f(b, ticks(b));
    by_format(b.shape.k_format, [&]<DecodeFormat format>() { Arithmetic::template Scores<format>::run(f); });
    const bool k_scales = gather_scales(f.k_scales, b.k, b.shape.k_format, b.keys);
    const bool v_scales = gather_scales(f.v_scales, b.v, b.shape.v_format, b.keys);
    for (int row = 0; row < b.rows; ++row)
      soften(f, row, k_scales ? f.k_scales : nullptr, v_scales ? f.v_scales : nullptr);
    by_format(b.shape.v_format, [&]<DecodeFormat format>() { Arithmetic::template Values<format>::run(f); });
  }

  static constexpr DecodeKernel kernel() { return {q_bytes, pack_q, out_stride, run_block, store_row}; }
};

}  // namespace attend::cpu::ATTEND_TARGET
