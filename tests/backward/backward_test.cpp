// SPDX-License-Identifier: Apache-2.0
// What every row of the backward pass must hold, whatever its ISA.
#include <attend/attend.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "each_row.hpp"
#include "support/kernel_test.hpp"
#include "verify/element.hpp"

namespace attend::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

bool same_bits(const std::vector<float>& a, const float* b) {
  return a.empty() || std::memcmp(a.data(), b, a.size() * sizeof(float)) == 0;
}

INSTANTIATE_TEST_SUITE_P(kernel, Backward, ::testing::ValuesIn(backward_kernels()), backward_kernel_name);

TEST_P(Backward, every_mask_and_every_head_ratio) {
  uint64_t seed = 1;
  for (const MaskKind kind : mask_kinds())
    for (const char* heads : {"b=2 hq=2 hk=2", "hq=3 hk=1", "hq=8 hk=1"}) {
      AttentionBwd asked = problem(std::string(heads) + " sq=107 sk=150 d=24");
      asked.forward = verify::with_mask(asked.forward, kind, seed);
      asked.forward.lse = true;
      expect_within_bound(asked, 2, seed++);
    }
}

TEST_P(Backward, intersections_of_masks) {
  for (const char* mask :
       {"causal&window:40:0", "causal&documents:0,50,51,200", "causal&streaming:4:30", "chunk:64&padding:3..120,0..90",
        "prefix_lm:30&block_sparse:16x32:random:0.5:1", "causal_top_left&dense:random:0.5:2:perhead"})
    expect_within_bound(problem(std::string("b=2 hq=4 hk=2 sq=130 sk=140 d=20 mask=") + mask), 3);
}

TEST_P(Backward, lengths_at_the_edges) {
  for (const int q : {0, 1, 63, 64, 65, 127, 129, 257})
    for (const int k : {0, 1, 63, 64, 65, 127, 129, 257}) {
      const std::string sizes = "hq=2 hk=1 d=9 dv=5 sq=" + std::to_string(q) + " sk=" + std::to_string(k);
      expect_within_bound(problem(sizes + (q % 2 == 0 ? " mask=causal" : "")));
    }
}

TEST_P(Backward, columns_at_the_edges) {
  for (const int d : {1, 15, 16, 17, 63, 64, 65, 128, 200, 512})
    expect_within_bound(problem("sq=13 sk=70 mask=causal d=" + std::to_string(d) + " dv=" + std::to_string(513 - d)));
}

TEST_P(Backward, score_terms) {
  for (const char* terms : {"softcap=2", "softcap=0.3 alibi=1", "alibi=batch", "scale=-0.5", "scale=0",
                            "sink=1 dsink=1", "softcap=3 alibi=1 bias=bhq dbias=1 sink=1 dsink=1"})
    for (const char* mask : {"", " mask=causal"})
      expect_within_bound(problem(std::string("b=2 hq=4 hk=2 sq=70 sk=130 d=24 ") + terms + mask), 2);
}

TEST_P(Backward, gradient_of_every_shape_of_bias) {
  for (const char* shape : {"1", "b", "h", "q", "bh", "bq", "hq", "bhq"})
    expect_within_bound(problem(std::string("b=3 hq=4 hk=2 sq=70 sk=200 d=16 mask=window:90:20 dbias=1 bias=") + shape),
                        3);
}

TEST_P(Backward, ragged_batch_equals_single_calls) {
  const AttentionBwd ragged = problem("hq=4 hk=2 sq=100,0,1,130 sk=90,7,0,700 d=32 mask=causal");
  verify::GradientInputs inputs = verify::GradientInputs::make(ragged);
  const auto invariant = [&] {
    PlanOptions with = options(2);
    with.guarantee = Guarantee::batch_invariant;
    return with;
  };
  ASSERT_TRUE(planned(ragged, invariant()).run(inputs.args()).ok());
  expect_within_bound(ragged, 2);
  const AttentionFwd& f = ragged.forward;
  for (int64_t n = 0; n < f.b; ++n) {
    AttentionBwd one = ragged;
    one.forward.b = 1;
    one.forward.cu_q = one.forward.cu_k = {};
    one.forward.sq = f.query_length(n);
    one.forward.sk = f.key_length(n);
    AttentionBwdArgs args = inputs.args();
    const auto move = [&](auto*& pointer, DType type, int64_t offset) {
      using Bytes =
          std::conditional_t<std::is_const_v<std::remove_pointer_t<std::remove_reference_t<decltype(pointer)>>>,
                             const char, char>;
      pointer = static_cast<Bytes*>(pointer) + offset * dtype_bytes(type);
    };
    move(args.q, f.q_type, f.q_offset(n, 0, 0));
    move(args.k, f.k_type, f.k_offset(n, 0, 0));
    move(args.v, f.v_type, f.v_offset(n, 0, 0));
    move(args.o, f.o_type, f.o_offset(n, 0, 0));
    move(args.dout, ragged.do_type, ragged.do_offset(n, 0, 0));
    // lse of a single sequence is [hq, sq]; in the batch rows of a head lie behind those of other sequences.
    std::vector<float> lse;
    for (int64_t head = 0; head < f.hq; ++head)
      for (int64_t row = 0; row < one.forward.sq; ++row) lse.push_back(args.lse[f.lse_offset(n, row, head)]);
    args.lse = lse.data();
    std::vector<float> dq(static_cast<size_t>(one.forward.sq * f.hq * f.d)),
        dk(static_cast<size_t>(one.forward.sk * f.hk * f.d)), dv(dk.size());
    const auto *q0 = static_cast<const float*>(args.dq) + ragged.dq_offset(n, 0, 0),
               *k0 = static_cast<const float*>(args.dk) + ragged.dk_offset(n, 0, 0),
               *v0 = static_cast<const float*>(args.dv) + ragged.dv_offset(n, 0, 0);
    args.dq = dq.data();
    args.dk = dk.data();
    args.dv = dv.data();
    ASSERT_TRUE(planned(one, invariant()).run(args).ok());
    EXPECT_TRUE(same_bits(dq, q0)) << n;
    EXPECT_TRUE(same_bits(dk, k0)) << n;
    EXPECT_TRUE(same_bits(dv, v0)) << n;
  }
}

TEST_P(Backward, dv_is_linear_in_do) {
  const AttentionBwd asked = problem("hq=2 hk=1 sq=100 sk=200 d=32 mask=causal");
  verify::GradientInputs inputs = verify::GradientInputs::make(asked);
  const AttentionBwdPlan plan = planned(asked, options());
  const size_t elements = static_cast<size_t>(asked.forward.sk * asked.forward.d);
  ASSERT_TRUE(plan.run(inputs.args()).ok());
  const std::vector<float> once(static_cast<float*>(inputs.args().dv),
                                static_cast<float*>(inputs.args().dv) + elements);
  const int64_t count = asked.forward.sq * asked.forward.hq * asked.forward.dv;
  for (int64_t i = 0; i < count; ++i)
    verify::store_element(asked.do_type, inputs.dout(), i, -4 * verify::load_element(asked.do_type, inputs.dout(), i));
  ASSERT_TRUE(plan.run(inputs.args()).ok());
  for (size_t i = 0; i < elements; ++i)  // a power of two: to the bit
    ASSERT_EQ(static_cast<float*>(inputs.args().dv)[i], -4 * once[i]) << i;
}

TEST_P(Backward, masked_keys_get_exactly_zero_whatever_they_hold) {
  const AttentionBwd asked = problem("b=2 hq=2 hk=1 sq=80 sk=200 d=16 mask=padding:10..70,0..130");
  for (const bool poison : {false, true}) {
    verify::FillOptions fill;
    fill.poison = poison;
    verify::GradientInputs inputs = verify::GradientInputs::make(asked, fill);
    ASSERT_TRUE(planned(asked, options()).run(inputs.args()).ok());
    const AttentionFwd& f = asked.forward;
    for (int64_t n = 0; n < f.b; ++n)
      for (int64_t key = 0; key < f.sk; ++key)
        for (int64_t c = 0; c < f.d; ++c) {
          const float dk = static_cast<float*>(inputs.args().dk)[asked.dk_offset(n, key, 0) + c];
          const float dv = static_cast<float*>(inputs.args().dv)[asked.dv_offset(n, key, 0) + c];
          const bool kept = n == 0 ? key >= 10 && key < 70 : key < 130;
          ASSERT_EQ(dk == 0 && dv == 0, !kept) << n << " " << key << " " << c;
        }
  }
}

TEST_P(Backward, nan_reaches_what_uses_it_and_nothing_else) {
  const AttentionBwd asked = problem("hq=2 hk=2 sq=100 sk=100 d=16 mask=causal");
  const AttentionFwd& f = asked.forward;
  verify::FillOptions fill;
  fill.poison = false;
  verify::GradientInputs inputs = verify::GradientInputs::make(asked, fill);
  const AttentionBwdPlan plan = planned(asked, options());
  ASSERT_TRUE(plan.run(inputs.args()).ok());
  const std::string before = inputs.output_bytes();
  constexpr int64_t kRow = 40, kHead = 1;
  verify::store_element(f.q_type, const_cast<void*>(inputs.args().q), f.q_offset(0, kRow, kHead) + 3, kNan);
  inputs.run_forward();
  inputs.poison_outputs();
  ASSERT_TRUE(plan.run(inputs.args()).ok());
  const auto* old = reinterpret_cast<const float*>(before.data());
  const AttentionBwdArgs args = inputs.args();
  const auto* dq = static_cast<const float*>(args.dq);
  const auto* dv = static_cast<const float*>(args.dv);
  const size_t dq_elements = static_cast<size_t>(f.sq * f.hq * f.d),
               dk_elements = static_cast<size_t>(f.sk * f.hk * f.d);
  for (int64_t head = 0; head < f.hq; ++head)
    for (int64_t row = 0; row < f.sq; ++row)
      for (int64_t c = 0; c < f.d; ++c) {
        const int64_t q = asked.dq_offset(0, row, head) + c, v = asked.dv_offset(0, row, head) + c;
        if (head == kHead && row == kRow) {
          EXPECT_TRUE(std::isnan(dq[q]));
        } else {
          // A block with numbers that are not finite adds pair by pair: to the bit where a tile does so too.
          const double least = GetParam().ends_with("bf16_dot") ? 1e-5 * (1 + std::abs(old[q])) : 0;
          ASSERT_NEAR(dq[q], old[q], least) << head << " " << row;
        }
        if (head == kHead && row <= kRow) {
          EXPECT_TRUE(std::isnan(dv[v])) << "key " << row << " is seen by the row";
        } else {
          ASSERT_FALSE(std::isnan(dv[v])) << head << " " << row;
          const double expected = old[dq_elements + dk_elements + static_cast<size_t>(v)];
          ASSERT_NEAR(dv[v], expected, 1e-5 * (1 + std::abs(expected))) << "summed pair by pair there";
        }
      }
}

TEST_P(Backward, broadcast_inputs_have_gradients_of_their_own) {
  AttentionFwd forward = problem("b=2 hq=2 hk=2 sq=30 sk=40 d=16").forward;
  forward.k_strides = {0, 16, 0};  // one key head for all
  AttentionBwd asked = AttentionBwd::of(forward);
  EXPECT_EQ(asked.dk_strides, dense_strides(Layout::bshd, 40, 2, 16));
  expect_within_bound(asked);
}

TEST_P(Backward, types_and_layouts) {
  if (GetParam().ends_with("bf16_dot")) return;  // takes bf16 alone, with the tests above
  for (const char* types :
       {"dtype=f16", "dtype=bf16", "dtype=f16 grad=f32", "dtype=f32,f16,bf16,f16 do=f32 grad=bf16,f32,f16",
        "dtype=f32 layout=bhsd dk_strides=9000,70,4500"}) {
    const auto asked =
        AttentionBwd::parse(std::string("attention_bwd b=2 hq=4 hk=2 sq=50 sk=60 d=32 mask=causal ") + types);
    ASSERT_TRUE(asked.ok()) << asked.status().message();
    expect_within_bound(*asked);
  }
}

TEST(backward_plan, memory_is_linear_and_said) {
  const auto bytes = [](int64_t n) {
    PlanOptions options;
    options.threads = 2;
    const auto made = plan(AttentionBwd::of(AttentionFwd::dense(Layout::bshd, DType::f32, 4, 8, 8, n, n, 64)), options);
    return static_cast<double>(made->workspace_bytes());
  };
  EXPECT_LT(bytes(16384) - bytes(8192), 2.1 * (bytes(8192) - bytes(4096)));
  EXPECT_LT(bytes(16384), 4.0 * 8 * 16384 * 64 * 4) << "less than dQ of all heads in f32";
}

TEST(backward_plan, explains_itself_and_refuses_by_name) {
  const AttentionBwd asked = *AttentionBwd::parse("attention_bwd hq=4 hk=2 sq=100 sk=100 d=64 mask=causal");
  const auto made = plan(asked);
  ASSERT_TRUE(made.ok());
  for (const char* word : {"attention_bwd.", "chosen", "workspace", "visible pairs"})
    EXPECT_NE(made->explain().find(word), std::string::npos) << word;
  PlanOptions dot;
  dot.kernel = "attention_bwd.avx512_bf16.bf16_dot";
  const Status refused = plan(asked, dot).status();
  EXPECT_EQ(refused.code(), StatusCode::unsupported);
  PlanOptions unknown;
  unknown.kernel = "attention_fwd.emu.f32";
  EXPECT_EQ(plan(asked, unknown).status().code(), StatusCode::invalid_argument);
  EXPECT_EQ(plan(asked, unknown).status().message().rfind("attention_bwd: options.kernel is attention_fwd.emu.f32", 0),
            0u);
}

TEST(backward_plan, each_missing_pointer_is_named) {
  const AttentionBwd asked =
      *AttentionBwd::parse("attention_bwd hq=2 hk=1 sq=9 sk=11 d=8 alibi=1 bias=1 sink=1 dbias=1 dsink=1");
  const auto made = plan(asked);
  ASSERT_TRUE(made.ok());
  verify::GradientInputs inputs = verify::GradientInputs::make(asked);
  const std::string before = inputs.output_bytes();
  struct Missing {
    const char* name;
    void (*drop)(AttentionBwdArgs&);
  };
  const Missing all[] = {
      {"args.q ", [](AttentionBwdArgs& a) { a.q = nullptr; }},
      {"args.k ", [](AttentionBwdArgs& a) { a.k = nullptr; }},
      {"args.v ", [](AttentionBwdArgs& a) { a.v = nullptr; }},
      {"args.o ", [](AttentionBwdArgs& a) { a.o = nullptr; }},
      {"args.lse ", [](AttentionBwdArgs& a) { a.lse = nullptr; }},
      {"args.dout ", [](AttentionBwdArgs& a) { a.dout = nullptr; }},
      {"args.alibi_slopes ", [](AttentionBwdArgs& a) { a.alibi_slopes = nullptr; }},
      {"args.bias ", [](AttentionBwdArgs& a) { a.bias = nullptr; }},
      {"args.sink ", [](AttentionBwdArgs& a) { a.sink = nullptr; }},
      {"args.dq ", [](AttentionBwdArgs& a) { a.dq = nullptr; }},
      {"args.dk ", [](AttentionBwdArgs& a) { a.dk = nullptr; }},
      {"args.dv ", [](AttentionBwdArgs& a) { a.dv = nullptr; }},
      {"args.dbias ", [](AttentionBwdArgs& a) { a.dbias = nullptr; }},
      {"args.dsink ", [](AttentionBwdArgs& a) { a.dsink = nullptr; }},
  };
  for (const Missing& each : all) {
    AttentionBwdArgs args = inputs.args();
    each.drop(args);
    const Status status = made->run(args);
    EXPECT_EQ(status.code(), StatusCode::invalid_argument) << each.name;
    EXPECT_EQ(status.message().rfind(std::string("attention_bwd: ") + each.name + "is null, expected", 0), 0u)
        << status.message();
    EXPECT_EQ(inputs.output_bytes(), before) << "a gradient was written without " << each.name;
  }
  std::vector<std::byte> small(made->workspace_bytes() - 1);
  EXPECT_EQ(made->run(inputs.args(), small).code(), StatusCode::invalid_argument);
  EXPECT_TRUE(made->run(inputs.args()).ok());
}

}  // namespace
}  // namespace attend::test
