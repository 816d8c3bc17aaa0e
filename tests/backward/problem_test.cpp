// SPDX-License-Identifier: Apache-2.0
// The backward Problem: its line of text, its checks, its cost.
#include <attend/attention_bwd.hpp>
#include <string>

#include <gtest/gtest.h>

namespace attend {
namespace {

std::string refusal(const std::string& line) { return AttentionBwd::parse(line).status().message(); }

TEST(backward_problem, lines_print_as_they_are) {
  for (const char* line : {
           "attention_bwd b=1 hq=1 hk=1 sq=4 sk=5 d=8 dtype=f32",
           "attention_bwd b=2 hq=4 hk=2 sq=10 sk=12 d=8 dv=4 dtype=bf16 layout=bhsd scale=0.5 mask=causal grad=f32",
           "attention_bwd b=2 hq=4 hk=2 sq=3,5 sk=6,1 d=8 dtype=f32,f16,bf16,f16 do=f32 grad=f16,f32,bf16",
           "attention_bwd b=1 hq=2 hk=2 sq=4 sk=5 d=8 dtype=f32 bias=q sink=1 dbias=1 dsink=1",
           "attention_bwd b=1 hq=2 hk=2 sq=4 sk=5 d=8 dtype=f32 do_strides=0,0,0 dk_strides=99,20,10",
       }) {
    const auto problem = AttentionBwd::parse(line);
    ASSERT_TRUE(problem.ok()) << problem.status().message();
    EXPECT_EQ(problem->text(), line);
    EXPECT_TRUE(problem->forward.lse);
  }
}

TEST(backward_problem, refusals_name_field_found_and_expected) {
  const struct {
    const char *line, *message;
  } refused[] = {
      {"", "attention_bwd: operation is missing, expected attention_bwd"},
      {"attention_fwd sq=4 d=8", "attention_bwd: operation is \"attention_fwd\", expected attention_bwd"},
      {"attention_bwd d=8", "attention_bwd: sq is missing, expected a value"},
      {"attention_bwd sq=4 d=8 grad=f8", "attention_bwd: grad is \"f8\", expected f32, f16 or bf16"},
      {"attention_bwd sq=4 d=8 grad=f32,f32", "attention_bwd: grad is \"\", expected f32, f16 or bf16"},
      {"attention_bwd sq=4 d=8 grad=f32,f32,f32,f32",
       "attention_bwd: grad is \"f32,f32,f32,f32\", expected 1 or 3 types joined by commas"},
      {"attention_bwd sq=4 d=8 do=", "attention_bwd: do is empty, expected a value"},
      {"attention_bwd sq=4 d=8 do=f32 do=f32", "attention_bwd: do is given twice, expected one value"},
      {"attention_bwd sq=4 d=8 dq_strides=1,2", "attention_bwd: dq_strides is \"1,2\", expected batch,row,head"},
      {"attention_bwd sq=4 d=8 dq_strides=1,2,3,4",
       "attention_bwd: dq_strides is \"1,2,3,4\", expected batch,row,head"},
      {"attention_bwd sq=4 d=8 dv_strides=32,4,8",
       "attention_bwd: dv_strides is 32,4,8 (batch, row, head), expected rows that do not overlap"},
      {"attention_bwd sq=4 d=8 dbias=2", "attention_bwd: dbias is \"2\", expected 0 or 1"},
      {"attention_bwd sq=4 d=8 dbias=1",
       "attention_bwd: dbias is true, expected false: the forward Problem has no bias"},
      {"attention_bwd sq=4 d=8 dsink=1",
       "attention_bwd: dsink is true, expected false: the forward Problem has no sink"},
      {"attention_bwd sq=4 d=600", "attention_bwd: d is 600, expected 1 to 512"},
  };
  for (const auto& each : refused) EXPECT_EQ(refusal(each.line), each.message) << each.line;
}

TEST(backward_problem, needs_a_sound_forward_problem_with_lse) {
  AttentionBwd problem = AttentionBwd::of(AttentionFwd::dense(Layout::bshd, DType::f32, 1, 2, 2, 4, 4, 8));
  EXPECT_TRUE(problem.check().ok());
  problem.forward.lse = false;
  EXPECT_EQ(problem.check().message(),
            "attention_bwd: forward.lse is false, expected true: the backward pass reads it");
  problem.forward.lse = true;
  problem.forward.softcap = -1;
  EXPECT_EQ(problem.check().message().rfind("attention_bwd: forward.softcap is -1, expected", 0), 0u);
  problem.forward.softcap = 0;
  problem.dk_type = static_cast<DType>(77);
  EXPECT_EQ(problem.check().message(), "attention_bwd: dk_type is 77, expected a row of dtypes.def");
}

TEST(backward_problem, costs_five_products) {
  const AttentionBwd problem = *AttentionBwd::parse("attention_bwd b=2 hq=4 hk=2 sq=10 sk=10 d=8 dv=4 mask=causal");
  EXPECT_EQ(problem.cost().visible_pairs, problem.forward.cost().visible_pairs);
  EXPECT_EQ(problem.cost().flops, 2.0 * static_cast<double>(problem.cost().visible_pairs) * (3 * 8 + 2 * 4));
  const AttentionBwd square = *AttentionBwd::parse("attention_bwd sq=64 d=64");
  EXPECT_EQ(square.cost().flops, 2.5 * square.forward.cost().flops);
  EXPECT_GT(square.cost().bytes, square.forward.cost().bytes + 3 * 64 * 64 * 4);
}

}  // namespace
}  // namespace attend
