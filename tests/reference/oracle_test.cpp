// SPDX-License-Identifier: Apache-2.0
#include <attend/reference.hpp>
#include <cmath>

#include "memory.hpp"
#include "reference/head.hpp"

namespace attend {
namespace {

using test::kInf;
using test::kNan;
using test::Memory;

struct NaiveRow {
  std::vector<double> o;
  double lse = -kInf;
};

/// Softmax by its textbook formula: no maximum, no tricks; for scores of moderate size.
NaiveRow naive(const Memory& m, int64_t n, int64_t head, int64_t row) {
  const AttentionFwd& p = m.problem;
  const Frame frame = p.frame(n, head);
  const int64_t key_head = head * p.hk / p.hq;
  double sum = p.sink ? std::exp(double{m.sink[static_cast<size_t>(head)]}) : 0;
  NaiveRow result{std::vector<double>(static_cast<size_t>(p.dv), 0.0)};
  for (int64_t key = 0; key < frame.sk; ++key) {
    if (!p.mask.keep(frame, row, key)) continue;
    double s = 0;
    for (int64_t c = 0; c < p.d; ++c) s += double{m.q(n, head, row, c)} * m.k(n, key_head, key, c);
    s *= p.effective_scale();
    if (p.softcap > 0) s = p.softcap * std::tanh(s / p.softcap);
    const auto slope = static_cast<size_t>((p.alibi_per_batch ? n * p.hq : 0) + head);
    if (p.alibi) s -= m.slopes[slope] * std::abs(static_cast<double>(row + frame.sk - frame.sq - key));
    if (p.bias) s += m.bias[static_cast<size_t>(p.bias_offset(n, head, row) + key)];
    sum += std::exp(s);
    for (int64_t c = 0; c < p.dv; ++c) result.o[static_cast<size_t>(c)] += std::exp(s) * m.v(n, key_head, key, c);
  }
  for (double& o : result.o) o = sum > 0 ? o / sum : 0;
  result.lse = std::log(sum);
  return result;
}

TEST(oracle, is_the_textbook_formula) {
  for (const char* line : {
           "attention_fwd b=2 hq=6 hk=2 sq=7 sk=9 d=5 dv=3 lse=1 mask=causal",
           "attention_fwd hq=4 hk=1 sq=3,0,5 sk=8,2,4 d=16 dtype=bf16 mask=window:3:1&padding:6,2,4",
           "attention_fwd b=2 hq=2 sq=6 sk=11 d=8 dtype=f16 layout=bhsd softcap=1.5 alibi=batch bias=bhq sink=1",
           "attention_fwd b=2 hq=2 sq=6 sk=11 d=8 scale=-0.7 bias=q mask=dense:random:0.3:1:perbatch:perhead",
           "attention_fwd sq=4 sk=300 d=64 dtype=f32,f16,bf16,f32 alibi=1 mask=block_sparse:2x50:random:0.5:1",
       }) {
    const Memory m(line);
    Memory writable(line);
    const AttentionFwd& p = m.problem;
    for (int64_t n = 0; n < p.b; ++n) {
      for (int64_t head = 0; head < p.hq; ++head) {
        for (int64_t row = 0; row < p.query_length(n); ++row) {
          const NaiveRow expected = naive(m, n, head, row);
          const ReferenceRow found = reference_row(p, writable.args(), Arithmetic::f32, n, head, row);
          ASSERT_EQ(static_cast<int64_t>(found.o.size()), p.dv);
          for (int64_t c = 0; c < p.dv; ++c) {
            ASSERT_NEAR(found.o[static_cast<size_t>(c)], expected.o[static_cast<size_t>(c)], 1e-12) << line;
          }
          if (expected.lse == -kInf) {
            ASSERT_EQ(found.lse, -kInf);
          } else {
            ASSERT_NEAR(found.lse, expected.lse, 1e-12) << line;
          }
        }
      }
    }
  }
}

TEST(oracle, bound_and_double_compute_the_same_value) {
  Memory m("attention_fwd hq=2 sq=5 sk=40 d=16 dv=8 softcap=2 alibi=1 bias=1 sink=1 mask=causal");
  const AttentionFwdArgs args = m.args();
  for (int64_t head = 0; head < 2; ++head) {
    const ReferenceHead reference(m.problem, args, 0, head);
    for (int64_t row = 0; row < 5; ++row) {
      const OutputRow<double> exact = reference.exact_row(head, row);
      const ReferenceRow found = reference.row(Arithmetic::f32, head, row);
      EXPECT_EQ(found.o, exact.o);
      EXPECT_EQ(found.lse, exact.lse);
    }
  }
}

TEST(oracle, large_scores_do_not_overflow) {
  Memory m("attention_fwd sq=1 sk=3 d=1 scale=1", 1);
  m.set_q(0, 0, 0, 0, 1);
  const float scores[] = {30000, 29999, -30000}, values[] = {2, 4, 8};
  for (int64_t k = 0; k < 3; ++k) {
    m.set_k(0, 0, k, 0, scores[k]);
    m.set_v(0, 0, k, 0, values[k]);
  }
  const ReferenceRow row = reference_row(m.problem, m.args(), Arithmetic::f32, 0, 0, 0);
  EXPECT_NEAR(row.o[0], (2 + 4 * std::exp(-1.0)) / (1 + std::exp(-1.0)), 1e-12);
  EXPECT_NEAR(row.lse, 30000 + std::log1p(std::exp(-1.0)), 1e-9);
}

TEST(oracle, row_without_a_key_is_zero_and_minus_infinity) {
  Memory m("attention_fwd sq=4 sk=2 d=3 lse=1 mask=causal");
  m.set_q(0, 0, 0, 1, kNan);  // not used by a row that sees nothing
  const ReferenceRow row = reference_row(m.problem, m.args(), Arithmetic::f32, 0, 0, 0);
  EXPECT_EQ(row.o, std::vector<double>(3, 0.0));
  EXPECT_EQ(row.o_bound, std::vector<double>(3, 0.0));
  EXPECT_EQ(row.lse, -kInf);
}

TEST(oracle, row_without_a_key_has_its_sink_as_lse) {
  Memory m("attention_fwd sq=1 sk=0 d=3 lse=1 sink=1");
  m.sink[0] = 2.5F;
  const ReferenceRow row = reference_row(m.problem, m.args(), Arithmetic::f32, 0, 0, 0);
  EXPECT_EQ(row.o, std::vector<double>(3, 0.0));
  EXPECT_DOUBLE_EQ(row.lse, 2.5);
}

TEST(oracle, bias_of_minus_infinity_takes_keys_away_exactly) {
  Memory m("attention_fwd sq=2 sk=3 d=2 lse=1 bias=q", 3);
  for (const size_t i : {0u, 1u, 2u, 4u}) m.bias[i] = -kInf;
  const ReferenceRow none = reference_row(m.problem, m.args(), Arithmetic::f32, 0, 0, 0);
  EXPECT_EQ(none.o, std::vector<double>(2, 0.0));
  EXPECT_EQ(none.lse, -kInf);
  const ReferenceRow two = reference_row(m.problem, m.args(), Arithmetic::f32, 0, 0, 1);
  const NaiveRow expected = naive(m, 0, 0, 1);
  EXPECT_NEAR(two.o[0], expected.o[0], 1e-12);
  EXPECT_LT(two.o_bound[0], 1e-5);
  EXPECT_LT(two.lse_bound, 1e-5);
}

TEST(oracle, unused_slots_may_hold_anything) {
  const std::string line = "attention_fwd sq=3 sk=4 d=2 bias=q mask=causal_top_left";
  Memory clean(line, 5), dirty(line, 5);
  for (int64_t c = 0; c < 2; ++c) {
    dirty.set_k(0, 0, 3, c, kNan);
    dirty.set_v(0, 0, 3, c, kNan);
  }
  for (const size_t i : {1u, 2u, 3u, 6u, 7u, 11u}) dirty.bias[i] = kNan;
  for (int64_t row = 0; row < 3; ++row) {
    const ReferenceRow a = reference_row(clean.problem, clean.args(), Arithmetic::f32, 0, 0, row);
    const ReferenceRow b = reference_row(dirty.problem, dirty.args(), Arithmetic::f32, 0, 0, row);
    EXPECT_EQ(a.o, b.o);
    EXPECT_EQ(a.o_bound, b.o_bound);
    EXPECT_EQ(a.lse, b.lse);
  }
}

TEST(oracle, nan_and_infinity_in_used_slots_reach_the_row) {
  const std::string line = "attention_fwd sq=2 sk=3 d=2 dv=2 mask=causal";
  Memory in_k(line, 2), in_v(line, 2), infinite_v(line, 2);
  in_k.set_k(0, 0, 2, 0, kNan);
  const ReferenceRow before = reference_row(in_k.problem, in_k.args(), Arithmetic::f32, 0, 0, 0);
  EXPECT_TRUE(std::isfinite(before.o[0])) << "row 0 does not see key 2";
  const ReferenceRow after = reference_row(in_k.problem, in_k.args(), Arithmetic::f32, 0, 0, 1);
  EXPECT_TRUE(std::isnan(after.o[0]) && std::isnan(after.o[1]) && std::isnan(after.lse));
  in_v.set_v(0, 0, 1, 1, kNan);
  const ReferenceRow column = reference_row(in_v.problem, in_v.args(), Arithmetic::f32, 0, 0, 0);
  EXPECT_TRUE(std::isfinite(column.o[0]) && std::isnan(column.o[1]) && std::isfinite(column.lse));
  infinite_v.set_v(0, 0, 1, 1, -kInf);
  EXPECT_EQ(reference_row(infinite_v.problem, infinite_v.args(), Arithmetic::f32, 0, 0, 0).o[1], -kInf);
}

}  // namespace
}  // namespace attend
