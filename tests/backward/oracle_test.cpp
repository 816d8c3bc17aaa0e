// SPDX-License-Identifier: Apache-2.0
// The oracle of the backward pass: the derivative of the oracle of the forward pass, and a bound that notices mistakes.
#include <attend/reference.hpp>
#include <iostream>

#include "reference/gradient_head.hpp"
#include "textbook.hpp"

namespace attend {
namespace {

using test::GradientFault;
using test::GradientMemory;
using test::Memory;
using test::textbook_gradients;

/// Sum of dO * O over the exact forward pass.
double loss(GradientMemory& m) {
  const AttentionFwd& p = m.forward.problem;
  const AttentionFwdArgs args = m.forward.args();
  double sum = 0;
  for (int64_t n = 0; n < p.b; ++n)
    for (int64_t key_head = 0; key_head < p.hk; ++key_head) {
      const ReferenceHead head(p, args, n, key_head);
      for (int64_t h = key_head * p.group(); h < (key_head + 1) * p.group(); ++h)
        for (int64_t r = 0; r < p.query_length(n); ++r) {
          const auto o = head.exact_row(h, r).o;
          for (int64_t c = 0; c < p.dv; ++c)
            sum += o[static_cast<size_t>(c)] * m.dout[static_cast<size_t>(m.problem.do_offset(n, r, h) + c)];
        }
    }
  return sum;
}

constexpr float kStep = 0x1p-8F;

/// Fourth order: off by h^4 / 30 of the fifth derivative. Inputs are multiples of 2^-10, so that x + h is exact.
template <class Move>  // move(x): the loss with the number moved by x
double slope(Move move) {
  const double h = kStep;
  return (8 * (move(kStep) - move(-kStep)) - (move(2 * kStep) - move(-2 * kStep))) / (12 * h);
}

float rounded(float x) { return std::round(x * 1024) / 1024; }

constexpr const char* kSmooth[] = {
    "attention_bwd sq=4 sk=5 d=3 mask=causal",
    "attention_bwd b=2 hq=4 hk=2 sq=3 sk=6 d=3 dv=2 mask=window:2:1",
    "attention_bwd hq=3 hk=1 sq=3,0,4 sk=5,2,3 d=2 softcap=1.5",
    "attention_bwd hq=2 sq=4 sk=4 d=2 alibi=1 bias=hq sink=1 dbias=1 dsink=1",
    "attention_bwd b=2 hq=2 hk=1 sq=3 sk=4 d=3 bias=1 softcap=2 sink=1 dbias=1 dsink=1 mask=causal",
    "attention_bwd b=2 hq=2 sq=3 sk=4 d=2 scale=-0.6 bias=b dbias=1 mask=dense:random:0.5:1:perhead",
};

/// The analytic gradients on exact O and log-sum-exp, as the kernels' outputs are laid out.
struct Exact {
  explicit Exact(GradientMemory& m)
      : dq(m.dq.size()), dk(m.dk.size()), dv(m.dv.size()), dbias(m.dbias.size()), dsink(m.dsink.size()) {
    const AttentionFwd& p = m.forward.problem;
    const AttentionFwdArgs args = m.forward.args();
    for (int64_t n = 0; n < p.b; ++n)
      for (int64_t key_head = 0; key_head < p.hk; ++key_head) {
        const ReferenceHead forward(p, args, n, key_head);
        const auto exact = [&](int64_t head, int64_t row) {
          const OutputRow<double> found = forward.exact_row(head, row);
          return ForwardRow<double>{found.o, found.lse};
        };
        const auto wanted = GradientHead<double>::Wanted::all(m.problem, n);
        const GradientHead<double> head(m.problem, m.args(), n, key_head, {}, wanted, exact, &dbias, &dsink);
        const int64_t rows = p.query_length(n);
        for (int64_t i = 0; i < p.group() * rows * p.d; ++i)
          dq[static_cast<size_t>(m.problem.dq_offset(n, i / p.d % rows, key_head * p.group() + i / p.d / rows) +
                                 i % p.d)] = head.dq[static_cast<size_t>(i)].sum.total * p.effective_scale();
        for (int64_t i = 0; i < p.key_length(n) * p.d; ++i)
          dk[static_cast<size_t>(m.problem.dk_offset(n, i / p.d, key_head) + i % p.d)] =
              head.dk[static_cast<size_t>(i)].sum.total * p.effective_scale();
        for (int64_t i = 0; i < p.key_length(n) * p.dv; ++i)
          dv[static_cast<size_t>(m.problem.dv_offset(n, i / p.dv, key_head) + i % p.dv)] =
              head.dv[static_cast<size_t>(i)].sum.total;
      }
  }
  std::vector<double> dq, dk, dv;
  std::vector<Gathered<double>> dbias, dsink;
};

TEST(gradient_oracle, is_the_derivative_of_the_forward_oracle) {
  for (const char* line : kSmooth) {
    GradientMemory m(line);
    const AttentionFwd& p = m.forward.problem;
    Memory& f = m.forward;
    const auto round_all = [&](int64_t heads, int64_t columns, auto length, auto get, auto set) {
      for (int64_t n = 0; n < p.b; ++n)
        for (int64_t h = 0; h < heads; ++h)
          for (int64_t r = 0; r < length(n); ++r)
            for (int64_t c = 0; c < columns; ++c) (f.*set)(n, h, r, c, rounded((f.*get)(n, h, r, c)));
    };
    const auto queries = [&](int64_t n) { return p.query_length(n); };
    const auto keys = [&](int64_t n) { return p.key_length(n); };
    round_all(p.hq, p.d, queries, &Memory::q, &Memory::set_q);
    round_all(p.hk, p.d, keys, &Memory::k, &Memory::set_k);
    round_all(p.hk, p.dv, keys, &Memory::v, &Memory::set_v);
    for (float& x : f.bias) x = rounded(x);
    for (float& x : f.sink) x = rounded(x);

    const Exact exact(m);
    int64_t compared = 0;
    const auto expect = [&](double analytic, auto move, const char* tensor) {
      EXPECT_NEAR(analytic, slope(move), 1e-8 * (1 + std::abs(analytic))) << tensor << " of " << line;
      ++compared;
    };
    const auto compare = [&](int64_t heads, int64_t columns, auto length, auto get, auto set, const char* tensor,
                             const std::vector<double>& gradient, auto offset) {
      for (int64_t n = 0; n < p.b; ++n)
        for (int64_t h = 0; h < heads; ++h)
          for (int64_t r = 0; r < length(n); ++r)
            for (int64_t c = 0; c < columns; ++c) {
              const float x = (f.*get)(n, h, r, c);
              const auto move = [&](float by) {
                (f.*set)(n, h, r, c, x + by);
                const double moved = loss(m);
                (f.*set)(n, h, r, c, x);
                return moved;
              };
              expect(gradient[static_cast<size_t>((m.problem.*offset)(n, r, h) + c)], move, tensor);
            }
    };
    compare(p.hq, p.d, queries, &Memory::q, &Memory::set_q, "dq", exact.dq, &AttentionBwd::dq_offset);
    compare(p.hk, p.d, keys, &Memory::k, &Memory::set_k, "dk", exact.dk, &AttentionBwd::dk_offset);
    compare(p.hk, p.dv, keys, &Memory::v, &Memory::set_v, "dv", exact.dv, &AttentionBwd::dv_offset);
    const auto compare_list = [&](std::vector<float>& list, const char* tensor,
                                  const std::vector<Gathered<double>>& gradient) {
      for (size_t i = 0; i < gradient.size(); ++i) {
        const float x = list[i];
        const auto move = [&](float by) {
          list[i] = x + by;
          const double moved = loss(m);
          list[i] = x;
          return moved;
        };
        expect(gradient[i].sum.total, move, tensor);
      }
    };
    if (m.problem.dbias) compare_list(f.bias, "dbias", exact.dbias);
    if (m.problem.dsink) compare_list(f.sink, "dsink", exact.dsink);
    EXPECT_GT(compared, 20) << line;
  }
}

double ratio(const std::string& line, GradientFault fault, uint64_t seed, double magnitude = 1) {
  GradientMemory memory(line, seed, magnitude);
  textbook_gradients(memory, fault);
  return compare_gradients_with_reference(memory.problem, memory.args(), Arithmetic::f32).max_ratio;
}

TEST(gradient_bound, a_second_opinion_stays_within) {
  for (const char* line : kSmooth) {
    const std::string with_f32_gradients = std::string(line) + " do=f32 grad=f32";
    for (const double magnitude : {0.01, 1.0, 4.0})
      for (uint64_t seed = 1; seed <= 3; ++seed)
        EXPECT_LE(ratio(with_f32_gradients, GradientFault::none, seed, magnitude), 1) << line << ", seed " << seed;
  }
}

struct Planted {
  GradientFault fault;
  const char* name;
  const char* line;
};

constexpr Planted kPlanted[] = {
    {GradientFault::no_delta, "D left out", "attention_bwd sq=40 sk=200 d=64"},
    {GradientFault::no_delta, "D left out of dsink", "attention_bwd sq=1 sk=4 d=1 sink=1 dsink=1"},
    {GradientFault::scale_forgotten, "scale forgotten", "attention_bwd sq=40 sk=200 d=64"},
    {GradientFault::scale_wrong, "scale 1 % too large", "attention_bwd sq=40 sk=200 d=64 mask=causal"},
    {GradientFault::cap_slope_forgotten, "softcap's slope forgotten", "attention_bwd sq=20 sk=30 d=16 softcap=3"},
    {GradientFault::dropped_key, "key dropped from dQ", "attention_bwd sq=40 sk=500 d=64"},
    {GradientFault::dropped_row, "row dropped from dK, dV", "attention_bwd sq=500 sk=40 d=64"},
    {GradientFault::group_not_summed, "group not summed", "attention_bwd hq=4 hk=2 sq=30 sk=40 d=32"},
    {GradientFault::neighbours_delta, "D of the row before", "attention_bwd sq=30 sk=40 d=32"},
    {GradientFault::probs_in_bf16, "P cut to bf16", "attention_bwd sq=100 sk=300 d=64 mask=causal"},
    {GradientFault::mask_off_by_one, "mask off by one", "attention_bwd sq=100 sk=300 d=64 mask=causal"},
};

TEST(gradient_bound, planted_faults_are_noticed) {
  for (const Planted& each : kPlanted) {
    double least = std::numeric_limits<double>::infinity();
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      EXPECT_LE(ratio(each.line, GradientFault::none, seed), 1) << each.line;
      least = std::min(least, ratio(each.line, each.fault, seed));
    }
    std::cout << each.name << ": error / bound at least " << least << "\n";
    EXPECT_GT(least, 1) << each.name << ": " << each.line;
  }
}

TEST(gradient_bound, keys_without_rows_and_rows_without_keys_are_exactly_zero) {
  GradientMemory memory("attention_bwd sq=6 sk=4 d=3 mask=causal&padding:3");  // two rows see nothing, nor key 3 anyone
  textbook_gradients(memory);
  EXPECT_LE(compare_gradients_with_reference(memory.problem, memory.args(), Arithmetic::f32).max_ratio, 1);
  memory.dk[3 * 3] = 1e-30F;
  EXPECT_GT(compare_gradients_with_reference(memory.problem, memory.args(), Arithmetic::f32).max_ratio, 1);
  memory.dk[3 * 3] = 0;
  memory.dq[2] = -1e-30F;
  const Comparison found = compare_gradients_with_reference(memory.problem, memory.args(), Arithmetic::f32);
  EXPECT_GT(found.max_ratio, 1);
  EXPECT_EQ(found.first_failure.rfind("dq at batch 0, head 0, row 0, column 2 is -", 0), 0u) << found.first_failure;
}

TEST(gradient_bound, samples_are_rows_of_the_whole) {
  GradientMemory memory("attention_bwd b=2 hq=4 hk=2 sq=50 sk=60 d=8 mask=causal");
  textbook_gradients(memory);
  const Comparison whole = compare_gradients_with_reference(memory.problem, memory.args(), Arithmetic::f32);
  const Comparison part = compare_gradients_with_reference(memory.problem, memory.args(), Arithmetic::f32, 20, 3);
  EXPECT_EQ(whole.rows, 2 * (50 * 4 + 60 * 2 * 2));
  EXPECT_GT(part.rows, 20);
  EXPECT_LT(part.rows, whole.rows / 2);
  EXPECT_LE(part.max_ratio, whole.max_ratio);
  EXPECT_GT(part.max_ratio, 0);
}

}  // namespace
}  // namespace attend
