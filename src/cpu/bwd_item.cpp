// SPDX-License-Identifier: Apache-2.0
#include "cpu/bwd_item.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "cpu/block.hpp"
#include "cpu/row_mask.hpp"

namespace attend::cpu {

namespace {

constexpr double kLog2e = 1.4426950408889634;

bool has_terms(const AttentionFwd& problem) { return problem.softcap > 0 || problem.alibi || problem.bias.has_value(); }

int32_t narrow(int64_t x) { return static_cast<int32_t>(x); }

/// The address of element `offset`.
template <class Pointer>
auto* at(Pointer* data, DType type, int64_t offset) {
  using Byte = std::conditional_t<std::is_const_v<Pointer>, const char, char>;
  return static_cast<Byte*>(data) + offset * dtype_bytes(type);
}

}  // namespace

int64_t BwdScratch::place(const AttentionBwdKernel& kernel, Arithmetic arithmetic, const AttentionFwd& problem,
                          int64_t chunk_panels, std::byte* base) {
  int64_t used = 0;
  const auto take = [&](auto*& pointer, int64_t bytes) {
    if (base != nullptr) pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(base + used);
    used += align_up(bytes);
  };
  const AttentionFwdKernel& forward = *kernel.forward;
  const int32_t qk_columns = narrow(problem.d), v_columns = narrow(problem.dv);
  take(kt, chunk_panels * align_up(forward.k_panel_bytes(qk_columns)));
  take(vt, chunk_panels * align_up(forward.k_panel_bytes(v_columns)));
  take(k, chunk_panels * align_up(kernel.rows_bytes(kPanelKeys, qk_columns)));
  take(dk, chunk_panels * kPanelKeys * forward.out_stride(qk_columns) * 4);
  take(dv, chunk_panels * kPanelKeys * forward.out_stride(v_columns) * 4);
  take(q, forward.q_bytes(kBwdRows, qk_columns));
  take(dout, forward.q_bytes(kBwdRows, v_columns));
  take(q_rows, kernel.rows_bytes(kBwdRows, qk_columns));
  take(dout_rows, kernel.rows_bytes(kBwdRows, v_columns));
  take(dq, kBwdRows * forward.out_stride(qk_columns) * 4);
  constexpr int64_t kPairs = int64_t{kBwdPanels} * kBwdRows * kPanelKeys;
  take(probs, kPairs * 4);
  take(dscores, kPairs * 4);
  if (arithmetic == Arithmetic::bf16_dot) {
    take(probs_pairs, kPairs * 2);
    take(dscores_pairs, kPairs * 2);
    take(dscores_rows, kPairs * 2);
  }
  return used;
}

BwdChunk::BwdChunk(const BwdContext& context, const plan_detail::BwdUnit& unit, int64_t chunk, std::byte* scratch)
    : context_(context), problem_(context.problem.forward), unit_(unit) {
  const int64_t chunk_keys = context.chunk_panels * kPanelKeys;
  keys_ = {chunk * chunk_keys, std::min((chunk + 1) * chunk_keys, unit.keys)};
  panels_ = (keys_.size() + kPanelKeys - 1) / kPanelKeys;
  scratch_.place(context.kernel, context.arithmetic, problem_, context.chunk_panels, scratch);
  const AttentionFwdKernel& forward = *context.kernel.forward;
  std::fill_n(scratch_.dk, panels_ * kPanelKeys * forward.out_stride(narrow(problem_.d)), 0.0F);
  std::fill_n(scratch_.dv, panels_ * kPanelKeys * forward.out_stride(narrow(problem_.dv)), 0.0F);

  const bool raw_products = context.arithmetic == Arithmetic::bf16_dot;
  const double unit_of_s = !has_terms(problem_) ? kLog2e : problem_.softcap > 0 ? 1 / problem_.softcap : 1;
  const double factor = problem_.effective_scale() * unit_of_s;
  block_.d = narrow(problem_.d);
  block_.dv = narrow(problem_.dv);
  // As in the forward pass: bf16 products take the scale when they are finished, and of it only the sign before.
  block_.score_scale = raw_products && factor != 0 ? static_cast<float>(std::fabs(factor)) : 1.0F;
  q_factor_ = raw_products ? static_cast<float>((factor > 0) - (factor < 0)) : static_cast<float>(factor);
  block_.q = scratch_.q;
  block_.dout = scratch_.dout;
  block_.q_rows = scratch_.q_rows;
  block_.dout_rows = scratch_.dout_rows;
  block_.minus_lse = minus_lse_;
  block_.minus_delta = minus_delta_;
  block_.probs = scratch_.probs;
  block_.dscores = scratch_.dscores;
  block_.probs_pairs = scratch_.probs_pairs;
  block_.dscores_pairs = scratch_.dscores_pairs;
  block_.dscores_rows = scratch_.dscores_rows;
  block_.dq = scratch_.dq;
  if (context.problem.dbias) block_.dbias = dbias_;
  if (!has_terms(problem_)) return;
  terms_.softcap = static_cast<float>(problem_.softcap);
  terms_.slopes = problem_.alibi ? slope_ : nullptr;
  terms_.key_positions = key_position_;
  terms_.bias = problem_.bias ? bias_ : nullptr;
  block_.terms = &terms_;
}

/// Packs K and V of the chunk; no block may see it.
void BwdChunk::pack_keys() {
  packed_ = true;
  const AttentionFwdKernel& forward = *context_.kernel.forward;
  const int32_t d = narrow(problem_.d), dv = narrow(problem_.dv);
  for (int64_t p = 0; p < panels_; ++p) {
    const int64_t key = keys_.begin + p * kPanelKeys;
    const int32_t keys = narrow(std::min<int64_t>(kPanelKeys, keys_.end - key));
    const void* k = at(context_.args.k, problem_.k_type, problem_.k_offset(unit_.sequence, key, unit_.key_head));
    const void* v = at(context_.args.v, problem_.v_type, problem_.v_offset(unit_.sequence, key, unit_.key_head));
    forward.pack_k(scratch_.kt + p * align_up(forward.k_panel_bytes(d)), k, element(problem_.k_type),
                   problem_.k_strides.row, keys, d);
    forward.pack_k(scratch_.vt + p * align_up(forward.k_panel_bytes(dv)), v, element(problem_.v_type),
                   problem_.v_strides.row, keys, dv);
    k_nonfinite_[p] = context_.kernel.pack_rows(scratch_.k + p * align_up(context_.kernel.rows_bytes(kPanelKeys, d)), k,
                                                element(problem_.k_type), problem_.k_strides.row, keys, d, kPanelKeys);
  }
}

/// Packs Q and dO of the block, and reads what else it has for each row.
void BwdChunk::pack_rows(const plan_detail::BwdBlockRows& block) {
  const AttentionBwd& gradient = context_.problem;
  const AttentionFwdKernel& forward = *context_.kernel.forward;
  const int64_t n = unit_.sequence;
  const void *q[kBwdRows], *dout[kBwdRows];
  any_empty_ = false;
  std::fill_n(minus_lse_, kBwdRows, 0.0F);
  std::fill_n(minus_delta_, kBwdRows, 0.0F);
  const int64_t first_row = unit_.first_row + block.first_row;
  for (int i = 0; i < block.rows; ++i) {
    query_[i] = block.first_query + i;
    q[i] = at(context_.args.q, problem_.q_type, problem_.q_offset(n, query_[i], block.head));
    dout[i] = at(context_.args.dout, gradient.do_type, gradient.do_offset(n, query_[i], block.head));
    empty_[i] = context_.minus_lse[first_row + i] == std::numeric_limits<float>::infinity();
    any_empty_ = any_empty_ || empty_[i];
    if (empty_[i]) continue;
    minus_lse_[i] = context_.minus_lse[first_row + i];
    minus_delta_[i] = context_.minus_delta[first_row + i];
  }
  forward.pack_q(scratch_.q, q, element(problem_.q_type), block.rows, block_.d, q_factor_);
  forward.pack_q(scratch_.dout, dout, element(gradient.do_type), block.rows, block_.dv, 1);
  const bool q_nonfinite = context_.kernel.pack_rows(scratch_.q_rows, q[0], element(problem_.q_type),
                                                     problem_.q_strides.row, block.rows, block_.d, kBwdRows);
  const bool dout_nonfinite = context_.kernel.pack_rows(scratch_.dout_rows, dout[0], element(gradient.do_type),
                                                        gradient.do_strides.row, block.rows, block_.dv, kBwdRows);
  block_.rows_nonfinite = q_nonfinite || dout_nonfinite;
  if (has_terms(problem_)) read_terms(block);
  for (int i = 0; i < block.rows && gradient.dbias; ++i)
    dbias_[i] = context_.args.dbias + problem_.bias_offset(n, block.head, query_[i]);
}

void BwdChunk::read_terms(const plan_detail::BwdBlockRows& block) {
  const Frame frame = problem_.frame(unit_.sequence, block.head);
  for (int i = 0; i < block.rows; ++i) {
    key_position_[i] = frame.key_position(query_[i]);
    if (problem_.alibi)
      slope_[i] =
          context_.args.alibi_slopes[(problem_.alibi_per_batch ? unit_.sequence * problem_.hq : 0) + block.head];
    if (problem_.bias) bias_[i] = context_.args.bias + problem_.bias_offset(unit_.sequence, block.head, query_[i]);
  }
}

void BwdChunk::block(const plan_detail::BwdBlockRows& block) {
  if (!packed_) pack_keys();
  pack_rows(block);
  block_.rows = block.rows;
  std::fill_n(scratch_.dq, block.rows * context_.kernel.forward->out_stride(block_.d), 0.0F);

  const RowMask mask(problem_.mask, problem_.frame(unit_.sequence, block.head), query_, block.rows);
  const int stripes = (block.rows + kStripeRows - 1) / kStripeRows;
  const AttentionFwdKernel& forward = *context_.kernel.forward;
  BwdPanel panels[kBwdPanels];
  uint64_t bits[kBwdPanels][kBwdRows];
  int count = 0;
  BwdBlock step = block_;
  step.panel = panels;
  const auto run = [&] {
    step.panels = count;
    if (count > 0) context_.kernel.run_block(step);
    count = 0;
  };
  for (int64_t p = 0; p < panels_; ++p) {
    const int64_t first = keys_.begin + p * kPanelKeys;
    const Range keys{first, std::min(first + kPanelKeys, keys_.end)};
    const TileClass whole = mask.classify_block(keys);
    if (whole == TileClass::skip) continue;
    BwdPanel& panel = panels[count];
    panel = {};
    panel.row_end = block.rows;
    if (whole == TileClass::partial || any_empty_ || keys.size() < kPanelKeys) {
      int begin = 0, end = stripes;
      while (begin < end && mask.classify_stripe(begin, keys) == TileClass::skip) ++begin;
      while (end > begin && mask.classify_stripe(end - 1, keys) == TileClass::skip) --end;
      panel.row_begin = begin * kStripeRows;
      panel.row_end = std::min(end * kStripeRows, block.rows);
      uint64_t any = 0;
      for (int row = panel.row_begin; row < panel.row_end; ++row) {
        bits[count][row] = empty_[row] ? 0 : mask.bits(row, keys);
        any |= bits[count][row];
      }
      if (any == 0) continue;
      panel.bits = bits[count];
      panel.keys = kPanelKeys - std::countl_zero(any);
    }
    panel.kt = scratch_.kt + p * align_up(forward.k_panel_bytes(block_.d));
    panel.vt = scratch_.vt + p * align_up(forward.k_panel_bytes(block_.dv));
    panel.k = scratch_.k + p * align_up(context_.kernel.rows_bytes(kPanelKeys, block_.d));
    panel.dk = scratch_.dk + p * kPanelKeys * forward.out_stride(block_.d);
    panel.dv = scratch_.dv + p * kPanelKeys * forward.out_stride(block_.dv);
    panel.k_nonfinite = k_nonfinite_[p];
    panel.first_key = first;
    if (++count == kBwdPanels) run();
  }
  run();
}

void BwdChunk::finish() {
  const AttentionBwd& gradient = context_.problem;
  const AttentionFwdKernel& forward = *context_.kernel.forward;
  const auto scale = static_cast<float>(problem_.effective_scale());
  const int64_t n = unit_.sequence;
  for (int64_t key = keys_.begin; key < keys_.end; ++key) {
    const int64_t row = key - keys_.begin;
    forward.store_row(at(context_.args.dk, gradient.dk_type, gradient.dk_offset(n, key, unit_.key_head)),
                      element(gradient.dk_type), scratch_.dk + row * forward.out_stride(block_.d), block_.d, scale);
    forward.store_row(at(context_.args.dv, gradient.dv_type, gradient.dv_offset(n, key, unit_.key_head)),
                      element(gradient.dv_type), scratch_.dv + row * forward.out_stride(block_.dv), block_.dv, 1);
  }
}

}  // namespace attend::cpu
