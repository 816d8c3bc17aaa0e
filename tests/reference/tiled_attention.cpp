// SPDX-License-Identifier: Apache-2.0
#include "tiled_attention.hpp"

#include <cmath>
#include <limits>

#include "base/float16.hpp"

namespace attend::test {
namespace {

constexpr int64_t kTile = 16;

struct Row {
  int64_t n, head, row;
};

float score(const Memory& m, const Row& at, int64_t key_head, int64_t key, Fault fault) {
  const AttentionFwd& p = m.problem;
  float scale = static_cast<float>(p.effective_scale());
  if (fault == Fault::wrong_scale) scale *= 1.01F;
  float s = 0;
  for (int64_t c = 0; c < p.d; ++c) s = std::fma(m.q(at.n, at.head, at.row, c) * scale, m.k(at.n, key_head, key, c), s);
  const Frame frame = p.frame(at.n, at.head);
  const float cap = static_cast<float>(p.softcap);
  const auto capped = [&](float x) { return cap > 0 ? cap * std::tanh(x / cap) : x; };
  if (fault != Fault::softcap_after_bias) s = capped(s);
  if (p.alibi) {
    const int64_t position = fault == Fault::wrong_position ? at.row : frame.key_position(at.row);
    s -= m.slopes[static_cast<size_t>(p.alibi_per_batch ? at.n * p.hq + at.head : at.head)] *
         static_cast<float>(std::abs(position - key));
  }
  if (p.bias) s += m.bias[static_cast<size_t>(p.bias_offset(at.n, at.head, at.row) + key)];
  if (fault == Fault::softcap_after_bias) s = capped(s);
  return s;
}

void one_row(Memory& m, const Row& at, Fault fault) {
  const AttentionFwd& p = m.problem;
  const Frame frame = p.frame(at.n, at.head);
  int64_t key_head = at.head / p.group();
  if (fault == Fault::swapped_head) key_head = (key_head + 1) % p.hk;
  std::vector<int64_t> keys;
  for (int64_t k = 0; k < frame.sk; ++k) {
    if (p.mask.keep(frame, at.row, fault == Fault::mask_off_by_one ? k - 1 : k)) keys.push_back(k);
  }
  if (fault == Fault::dropped_key && !keys.empty()) keys.pop_back();

  float max = -kInf, sum = 0;
  std::vector<float> out(static_cast<size_t>(p.dv), 0.0F);
  const auto raise = [&](float to) {
    const float factor = max == -kInf ? 0 : std::exp(max - to);
    if (fault != Fault::forgotten_sum_rescale) sum *= factor;
    for (float& x : out) x *= fault == Fault::forgotten_rescale ? 1 : factor;
    max = to;
  };
  for (size_t tile = 0; tile < keys.size(); tile += kTile) {
    std::vector<float> scores;
    for (size_t i = tile; i < std::min(tile + kTile, keys.size()); ++i)
      scores.push_back(score(m, at, key_head, keys[i], fault));
    float top = max;
    for (const float s : scores) top = std::fmax(top, s);
    if (top > max) raise(top);
    if (max == -kInf) continue;
    for (size_t i = 0; i < scores.size(); ++i) {
      float prob = std::exp(scores[i] - max);
      sum += prob;
      if (fault == Fault::rounded_twice) prob = bf16_to_f32(f32_to_bf16(prob));
      for (int64_t c = 0; c < p.dv; ++c) out[static_cast<size_t>(c)] += prob * m.v(at.n, key_head, keys[tile + i], c);
    }
  }
  float lse_sum = sum;
  if (p.sink) {
    const float sink = m.sink[static_cast<size_t>(at.head)];
    if (sink > max) {
      raise(sink);
      lse_sum = sum;
    }
    sum += std::exp(sink - max);
    if (fault != Fault::missing_sink_in_lse) lse_sum = sum;
  }
  for (int64_t c = 0; c < p.dv; ++c) m.set_o(at.n, at.head, at.row, c, sum > 0 ? out[static_cast<size_t>(c)] / sum : 0);
  if (p.lse)
    m.lse[static_cast<size_t>(p.lse_offset(at.n, at.row, at.head))] = max == -kInf ? -kInf : max + std::log(lse_sum);
}

}  // namespace

void tiled_attention(Memory& memory, Fault fault) {
  const AttentionFwd& p = memory.problem;
  for (int64_t n = 0; n < p.b; ++n) {
    for (int64_t head = 0; head < p.hq; ++head) {
      for (int64_t row = 0; row < p.query_length(n); ++row) one_row(memory, {n, head, row}, fault);
    }
  }
}

}  // namespace attend::test
