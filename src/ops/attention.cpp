// SPDX-License-Identifier: Apache-2.0
#include <attend/attention.hpp>

#include <cmath>

#include "ops/attention_check.hpp"
#include "ops/distinct_frames.hpp"
#include "ops/mask/terms.hpp"
#include "ops/row_bytes.hpp"

namespace attend {
namespace {

/// Rows of all sequences together.
int64_t total_rows(const Offsets& cu, int64_t b, int64_t longest) { return cu.empty() ? b * longest : cu[b]; }

}  // namespace

AttentionFwd AttentionFwd::dense(Layout layout, DType type, int64_t b, int64_t hq, int64_t hk, int64_t sq, int64_t sk,
                                 int64_t d) {
  AttentionFwd problem;
  problem.b = b;
  problem.hq = hq;
  problem.hk = hk;
  problem.sq = sq;
  problem.sk = sk;
  problem.d = problem.dv = d;
  problem.q_type = problem.k_type = problem.v_type = problem.o_type = type;
  problem.set_layout(layout);
  return problem;
}

void AttentionFwd::set_layout(Layout layout) {
  q_strides = checked_dense_strides(layout, sq, hq, d);
  if (cache) {
    k_strides = cache->dense(layout, cache->k_format, hk, d);
    v_strides = cache->dense(layout, cache->v_format, hk, dv);
    cache->k_scale_strides = cache->dense_scales(layout, cache->k_format, hk, d);
    cache->v_scale_strides = cache->dense_scales(layout, cache->v_format, hk, dv);
  } else {
    k_strides = checked_dense_strides(layout, sk, hk, d);
    v_strides = checked_dense_strides(layout, sk, hk, dv);
  }
  o_strides = checked_dense_strides(layout, sq, hq, dv);
}

double AttentionFwd::effective_scale() const { return scale.value_or(1 / std::sqrt(static_cast<double>(d))); }

int64_t AttentionFwd::lse_offset(int64_t n, int64_t row, int64_t head) const {
  return cu_q.empty() ? (n * hq + head) * sq + row : head * cu_q[b] + cu_q[n] + row;
}

int64_t AttentionFwd::bias_offset(int64_t n, int64_t head, int64_t row) const {
  if (!bias) return 0;
  int64_t plane = bias->batch ? n : 0;
  if (bias->head) plane = plane * hq + head;
  return (bias->row ? plane * sq + row : plane) * sk;
}

namespace {

int64_t scale_offset(const KvCache& cache, KvFormat format, const Strides& s, int64_t n, int64_t row, int64_t head,
                     int64_t columns) {
  if (kv_format_row(format).scales == KvScales::channel) return head * columns;
  const KvCache::Slot slot = cache.slot(n, row);
  return slot.entry * s.batch + slot.row * s.row + head * s.head;
}

}  // namespace

int64_t AttentionFwd::k_scale_offset(int64_t n, int64_t row, int64_t head) const {
  return scale_offset(*cache, cache->k_format, cache->k_scale_strides, n, row, head, d);
}

int64_t AttentionFwd::v_scale_offset(int64_t n, int64_t row, int64_t head) const {
  return scale_offset(*cache, cache->v_format, cache->v_scale_strides, n, row, head, dv);
}

int64_t AttentionFwd::lse_size() const { return lse ? hq * total_rows(cu_q, b, sq) : 0; }

int64_t AttentionFwd::bias_size() const {
  if (!bias) return 0;
  return (bias->batch ? b : 1) * (bias->head ? hq : 1) * (bias->row ? sq : 1) * sk;
}

Cost AttentionFwd::cost() const {
  Cost cost;
  for_distinct_frames(
      *this, [&](const Frame& frame, int64_t times) { cost.visible_pairs += times * count_pairs(mask, frame); });
  cost.flops = 2.0 * static_cast<double>(cost.visible_pairs) * static_cast<double>(d + dv);
  int64_t keys = 0;
  for (int64_t n = 0; cache && n < b; ++n) keys += key_length(n);
  if (!cache) keys = total_rows(cu_k, b, sk);
  const double q_rows = static_cast<double>(total_rows(cu_q, b, sq) * hq), k_rows = static_cast<double>(keys * hk);
  const RowBytes row(*this);
  cost.bytes = q_rows * static_cast<double>(row.q + row.o + row.lse) + k_rows * static_cast<double>(row.k + row.v);
  return cost;
}

}  // namespace attend
