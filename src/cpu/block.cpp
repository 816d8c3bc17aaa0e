// SPDX-License-Identifier: Apache-2.0
#include "cpu/block.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "cpu/key_rows.hpp"
#include "cpu/row_finish.hpp"
#include "cpu/row_mask.hpp"

namespace attend::cpu {

namespace {

constexpr double kLog2e = 1.4426950408889634;
constexpr float kNegInf = -std::numeric_limits<float>::infinity();

/// Rows of `out` and of state that register tiles may touch beyond the block's own.
constexpr int kPaddedRows = (kBlockRows + kStripeRows - 1) / kStripeRows * kStripeRows;

/// Query and head of each row: row r of a unit is query r / fold of head r % fold of the group.
struct RowIndex {
  RowIndex(int64_t first_row, int rows, int64_t fold, int64_t first_head) {
    int64_t q = first_row / fold, in_group = first_row % fold;
    for (int i = 0; i < rows; ++i) {
      query[i] = q;
      head[i] = first_head + in_group;
      if (++in_group < fold) continue;
      in_group = 0;
      ++q;
    }
  }
  int64_t query[kBlockRows], head[kBlockRows];
};

class Block {
 public:
  Block(const AttentionFwdKernel& kernel, Arithmetic arithmetic, const AttentionFwd& problem,
        const AttentionFwdArgs& args, const plan_detail::Unit& unit, const plan_detail::Task& task,
        const PackedPanels& panels, std::byte* scratch)
      : kernel_(kernel),
        problem_(problem),
        args_(args),
        unit_(unit),
        task_(task),
        panels_(panels),
        fold_(task.head < 0 ? problem.group() : 1),
        first_head_(task.head < 0 ? unit.key_head * fold_ : task.head),
        rows_(task.first_row, task.rows, fold_, first_head_),
        mask_(problem.mask, problem.frame(unit.sequence, first_head_), rows_.query, task.rows),
        raw_products_(arithmetic == Arithmetic::bf16_dot) {
    scratch_.place(kernel, problem, scratch);
    has_terms_ = problem.softcap > 0 || problem.alibi || problem.bias.has_value();
  }

  void run() {
    begin();
    run_groups();
    for (int row = 0; row < task_.rows; ++row) finish_row(row);
  }

 private:
  int64_t q_of(int row) const { return rows_.query[row]; }
  int64_t head_of(int row) const { return rows_.head[row]; }

  void begin() {
    const void* rows[kBlockRows];
    const auto* q = static_cast<const char*>(args_.q);
    const int64_t bytes = dtype_bytes(problem_.q_type);
    for (int i = 0; i < task_.rows; ++i) rows[i] = q + problem_.q_offset(unit_.sequence, q_of(i), head_of(i)) * bytes;
    // softcap * tanh(scale * q.k / softcap) wants its argument from the products; otherwise exp2 does.
    const double unit = !has_terms_ ? kLog2e : problem_.softcap > 0 ? 1 / problem_.softcap : 1;
    const double factor = problem_.effective_scale() * unit;
    score_scale_ = raw_products_ && factor != 0 ? static_cast<float>(std::fabs(factor)) : 1.0F;
    const float q_factor = raw_products_ ? static_cast<float>((factor > 0) - (factor < 0)) : static_cast<float>(factor);
    kernel_.pack_q(scratch_.q, rows, element(problem_.q_type), task_.rows, static_cast<int32_t>(problem_.d), q_factor);

    out_stride_ = kernel_.out_stride(static_cast<int32_t>(problem_.dv));
    const int padded = (task_.rows + kStripeRows - 1) / kStripeRows * kStripeRows;
    std::fill_n(scratch_.max, padded, kNegInf);
    std::fill_n(scratch_.sum, padded * kMaxLanes, 0.0F);
    std::fill_n(scratch_.out, padded * out_stride_, 0.0F);
    if (!has_terms_) return;
    for (int i = 0; i < task_.rows; ++i) {
      const int64_t head = head_of(i), q_idx = q_of(i);
      key_position_[i] = problem_.frame(unit_.sequence, head).key_position(q_idx);
      if (problem_.alibi)
        slope_[i] = args_.alibi_slopes[(problem_.alibi_per_batch ? unit_.sequence * problem_.hq : 0) + head];
      if (problem_.bias) bias_[i] = args_.bias + problem_.bias_offset(unit_.sequence, head, q_idx);
    }
  }

  /// The panels that the block touches, in order and in groups.
  void run_groups() {
    LivePanel live[kGroupPanels];
    int count = 0;
    for_live_panels(mask_, panels_.keys, [&](const LivePanel& panel) {
      live[count++] = panel;
      if (count < kGroupPanels) return;
      run_group(live, count);
      count = 0;
    });
    if (count > 0) run_group(live, count);
  }

  void run_group(const LivePanel* live, int count) {
    for (int row = 0; row < task_.rows; row += kStripeRows) run_stripe(live, count, row);
  }

  void run_stripe(const LivePanel* live, int count, int first_row) {
    const int rows = std::min(kStripeRows, task_.rows - first_row);
    StripePanel panel[kGroupPanels];
    uint64_t bits[kGroupPanels][kStripeRows];
    int used = 0;
    for (int i = 0; i < count; ++i) {
      StripePanel& p = panel[used];
      p.k = panels_.k + live[i].index * panels_.k_bytes;
      p.v = panels_.v + live[i].index * panels_.v_bytes;
      p.v_nonfinite = panels_.v_nonfinite[live[i].index] != std::byte{0};
      p.first_key = live[i].keys.begin;
      p.bits = nullptr;
      p.keys = kPanelKeys;
      const TileClass stripe_class =
          live[i].full ? TileClass::full : mask_.classify_stripe(first_row / kStripeRows, live[i].keys);
      if (stripe_class == TileClass::skip) continue;
      if (stripe_class == TileClass::partial || live[i].keys.size() < kPanelKeys) {
        uint64_t any = 0;
        for (int r = 0; r < rows; ++r) {
          bits[used][r] =
              r > 0 && mask_.repeats(first_row + r) ? bits[used][r - 1] : mask_.bits(first_row + r, live[i].keys);
          any |= bits[used][r];
        }
        if (any == 0) continue;
        p.bits = bits[used];
        p.keys = kPanelKeys - std::countl_zero(any);
      }
      ++used;
    }
    if (used == 0) return;

    Stripe stripe;
    stripe.rows = rows;
    stripe.panels = used;
    stripe.d = static_cast<int32_t>(problem_.d);
    stripe.dv = static_cast<int32_t>(problem_.dv);
    stripe.panel = panel;
    stripe.q = static_cast<const char*>(scratch_.q) + kernel_.q_row_bytes(first_row, stripe.d);
    stripe.score_scale = score_scale_;
    StripeTerms terms;
    if (has_terms_) {
      terms.softcap = static_cast<float>(problem_.softcap);
      terms.slopes = problem_.alibi ? slope_ + first_row : nullptr;
      terms.key_positions = key_position_ + first_row;
      terms.bias = problem_.bias ? bias_ + first_row : nullptr;
      stripe.terms = &terms;
    }
    stripe.scores = scratch_.scores;
    stripe.probs = scratch_.probs;
    stripe.max = scratch_.max + first_row;
    stripe.sum = scratch_.sum + first_row * kMaxLanes;
    stripe.out = scratch_.out + first_row * out_stride_;
    stripe.out_stride = out_stride_;
    kernel_.run_stripe(stripe);
  }

  /// Divides by the sum, adds the sink, writes o and lse.
  void finish_row(int row) {
    const double sum = sum_of_lanes(scratch_.sum + row * kMaxLanes);
    const int64_t head = head_of(row);
    float* out = scratch_.out + row * out_stride_;
    if (sum == 0) std::fill_n(out, out_stride_, 0.0F);
    const float factor = cpu::finish_row(problem_, args_, unit_.sequence, q_of(row), head, scratch_.max[row], sum);
    auto* o = static_cast<char*>(args_.o);
    kernel_.store_row(o + problem_.o_offset(unit_.sequence, q_of(row), head) * dtype_bytes(problem_.o_type),
                      element(problem_.o_type), out, static_cast<int32_t>(problem_.dv), factor);
  }

  const AttentionFwdKernel& kernel_;
  const AttentionFwd& problem_;
  const AttentionFwdArgs& args_;
  const plan_detail::Unit& unit_;
  const plan_detail::Task& task_;
  const PackedPanels& panels_;
  int64_t fold_, first_head_;
  RowIndex rows_;
  RowMask mask_;
  bool raw_products_, has_terms_ = false;
  float score_scale_ = 1;
  int64_t out_stride_ = 0;
  BlockScratch scratch_;
  int64_t key_position_[kBlockRows];
  float slope_[kBlockRows];
  const float* bias_[kBlockRows];
};

}  // namespace

int64_t BlockScratch::place(const AttentionFwdKernel& kernel, const AttentionFwd& problem, std::byte* base) {
  int64_t used = 0;
  const auto take = [&](auto*& pointer, int64_t bytes) {
    if (base != nullptr) pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(base + used);
    used += align_up(bytes);
  };
  constexpr int64_t kScores = int64_t{kGroupPanels} * kStripeRows * kPanelKeys;
  take(q, kernel.q_bytes(kPaddedRows, static_cast<int32_t>(problem.d)));
  take(scores, kScores * 4);
  take(probs, kScores * 2);
  take(max, kPaddedRows * 4);
  take(sum, int64_t{kPaddedRows} * kMaxLanes * 4);
  take(out, kPaddedRows * kernel.out_stride(static_cast<int32_t>(problem.dv)) * 4);
  take(gather, gather_bytes(problem));
  return used;
}

void run_block(const AttentionFwdKernel& kernel, Arithmetic arithmetic, const AttentionFwd& problem,
               const AttentionFwdArgs& args, const plan_detail::Unit& unit, const plan_detail::Task& task,
               const PackedPanels& panels, std::byte* scratch) {
  Block(kernel, arithmetic, problem, args, unit, task, panels, scratch).run();
}

}  // namespace attend::cpu
