// SPDX-License-Identifier: Apache-2.0
#include "reference/attention.hpp"

#include "base/element.hpp"
#include "reference/head.hpp"

namespace attend {
namespace {

const void* element(const void* data, DType type, int64_t offset) {
  return static_cast<const char*>(data) + offset * dtype_bytes(type);
}

const void* key_element(KvFormat format, DType type, const void* data, int64_t offset) {
  return static_cast<const char*>(data) + kv_bytes(format, type, offset);
}

const void* scales(KvFormat format, const void* data, int64_t offset) {
  if (format == KvFormat::plain) return nullptr;
  return static_cast<const char*>(data) + offset * dtype_bytes(kv_format_row(format).scale_type);
}

/// What decoding a stored element, adding a mean and narrowing it to the type may cost, relative to all of these.
double decoding_roundoff(KvFormat format, DType type, bool mean) {
  if (format == KvFormat::plain && !mean) return 0;
  return 2 * Rounding<Bound>::kU + (type == DType::f32 ? 0 : unit_roundoff(type));
}

}  // namespace

Rounding<Bound>::Rounding(const AttentionFwd& problem, Arithmetic arithmetic, int64_t visible_keys) {
  const bool terms = problem.softcap > 0 || problem.alibi || problem.bias.has_value();
  d = static_cast<double>(problem.d) + 1;
  folds_scale = arithmetic == Arithmetic::f32;
  start_depth = folds_scale && !terms ? d : 0;
  sum_depth = static_cast<double>(visible_keys) + 16;
  // Keys are taken in groups, and a row's reference maximum rises at most once in each.
  const int64_t group = arithmetic == Arithmetic::f32_scaled || arithmetic == Arithmetic::mma16 ? 32 : 512;
  rescales = static_cast<double>(problem.sk / group + 2);
  if (arithmetic == Arithmetic::bf16_dot) {
    product_flush = kTiny;
    probability_roundoff = unit_roundoff(DType::bf16);
  }
  if (arithmetic == Arithmetic::mma16) {
    product_flush = kTiny;
    probability_roundoff = unit_roundoff(problem.v_type);
    probability_flush = smallest_half(problem.v_type);
  }
  key_roundoff = decoding_roundoff(problem.k_format(), problem.k_type, problem.cache && problem.cache->k_mean);
  value_roundoff = decoding_roundoff(problem.v_format(), problem.v_type, false);
  output_roundoff = problem.o_type == DType::f32 ? 0 : unit_roundoff(problem.o_type);
  output_flush = std::max(smallest_half(problem.o_type), kTiny);
}

ReferenceHead::ReferenceHead(const AttentionFwd& problem, const AttentionFwdArgs& args, int64_t n, int64_t key_head)
    : problem_(problem),
      args_(args),
      n_(n),
      mean_(problem.cache && problem.cache->k_mean ? args.k_mean + key_head * problem.d : nullptr) {
  const int64_t sk = problem.key_length(n);
  k_.resize(static_cast<size_t>(sk * problem.d));
  v_.resize(static_cast<size_t>(sk * problem.dv));
  for (int64_t key = 0; key < sk; ++key) {
    float* k = &k_[key * problem.d];
    kv_decode(problem.k_format(), problem.k_type,
              key_element(problem.k_format(), problem.k_type, args.k, problem.k_offset(n, key, key_head)),
              scales(problem.k_format(), args.k_scales, problem.cache ? problem.k_scale_offset(n, key, key_head) : 0),
              problem.d, k);
    for (int64_t c = 0; mean_ != nullptr && c < problem.d; ++c) k[c] += mean_[c];
    kv_decode(problem.v_format(), problem.v_type,
              key_element(problem.v_format(), problem.v_type, args.v, problem.v_offset(n, key, key_head)),
              scales(problem.v_format(), args.v_scales, problem.cache ? problem.v_scale_offset(n, key, key_head) : 0),
              problem.dv, &v_[key * problem.dv]);
  }
}

ReferenceHead::Query ReferenceHead::query(int64_t head, int64_t row) const {
  const AttentionFwd& p = problem_;
  const Frame frame = p.frame(n_, head);
  Query query;
  query.q.resize(static_cast<size_t>(p.d));
  widen(p.q_type, element(args_.q, p.q_type, p.q_offset(n_, row, head)), p.d, query.q.data());
  for (int64_t key = 0; key < frame.sk; ++key) {
    if (p.mask.keep(frame, row, key)) query.keys.push_back(key);
  }
  RowInputs& in = query.rest;
  in.d = p.d;
  in.dv = p.dv;
  in.k = k_.data();
  in.v = v_.data();
  in.k_mean = mean_;
  in.scale = p.effective_scale();
  in.softcap = p.softcap;
  if (p.alibi) in.slope = args_.alibi_slopes[p.alibi_per_batch ? n_ * p.hq + head : head];
  in.position = frame.key_position(row);
  if (p.bias) in.bias = args_.bias + p.bias_offset(n_, head, row);
  if (p.sink) in.sink = args_.sink[head];
  return query;
}

OutputRow<double> ReferenceHead::exact_row(int64_t head, int64_t row) const {
  const Query each = query(head, row);
  return attention_row<double>(each.inputs(), Rounding<double>());
}

ReferenceRow ReferenceHead::row(Arithmetic arithmetic, int64_t head, int64_t row) const {
  const Query each = query(head, row);
  const auto computed = attention_row<Bound>(
      each.inputs(), Rounding<Bound>(problem_, arithmetic, static_cast<int64_t>(each.keys.size())));
  const auto bound_of = [](Bound x) {
    return std::isfinite(x.value) && x.error >= 0 ? x.error : std::numeric_limits<double>::infinity();
  };
  ReferenceRow result;
  for (const Bound& o : computed.o) {
    result.o.push_back(o.value);
    result.o_bound.push_back(bound_of(o));
  }
  result.lse = computed.lse.value;
  result.lse_bound = bound_of(computed.lse);
  return result;
}

ReferenceRow reference_row(const AttentionFwd& problem, const AttentionFwdArgs& args, Arithmetic arithmetic, int64_t n,
                           int64_t head, int64_t row) {
  return ReferenceHead(problem, args, n, head / problem.group()).row(arithmetic, head, row);
}

}  // namespace attend
