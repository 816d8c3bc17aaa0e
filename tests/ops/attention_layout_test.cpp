// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "support/parsed.hpp"

namespace attend {
namespace {

using test::parsed;

TEST(problem_layout, named_layouts_are_dense) {
  const AttentionFwd bshd = parsed("attention_fwd b=2 hq=6 hk=3 sq=5 sk=7 d=8 dv=4");
  EXPECT_EQ(bshd.q_offset(1, 2, 3), ((1 * 5 + 2) * 6 + 3) * 8);
  EXPECT_EQ(bshd.v_offset(1, 2, 1), ((1 * 7 + 2) * 3 + 1) * 4);
  const AttentionFwd bhsd = parsed("attention_fwd b=2 hq=6 hk=3 sq=5 sk=7 d=8 dv=4 layout=bhsd");
  EXPECT_EQ(bhsd.k_offset(1, 2, 1), ((1 * 3 + 1) * 7 + 2) * 8);
  EXPECT_EQ(bhsd.o_offset(1, 2, 3), ((1 * 6 + 3) * 5 + 2) * 4);
  const AttentionFwd thd = parsed("attention_fwd hq=6 hk=3 sq=5,4 sk=7,2 d=8");
  EXPECT_EQ(thd.q_offset(1, 2, 3), ((5 + 2) * 6 + 3) * 8);
  EXPECT_EQ(thd.k_offset(1, 1, 2), ((7 + 1) * 3 + 2) * 8);
}

TEST(problem_layout, lse_is_batch_head_row_and_ragged_head_token) {
  const AttentionFwd fixed = parsed("attention_fwd b=2 hq=3 sq=5 d=8 lse=1");
  EXPECT_EQ(fixed.lse_offset(1, 2, 1), (1 * 3 + 1) * 5 + 2);
  EXPECT_EQ(fixed.lse_size(), 30);
  const AttentionFwd ragged = parsed("attention_fwd hq=3 sq=5,4 d=8 lse=1");
  EXPECT_EQ(ragged.lse_offset(1, 2, 2), 2 * 9 + 5 + 2);
  EXPECT_EQ(ragged.lse_size(), 27);
  EXPECT_EQ(parsed("attention_fwd sq=5 d=8").lse_size(), 0);
}

TEST(problem_layout, bias_broadcasts_over_what_it_does_not_name) {
  const auto offset = [](const std::string& letters) {
    return parsed("attention_fwd b=2 hq=3 sq=5 sk=7 d=8 bias=" + letters).bias_offset(1, 2, 4);
  };
  EXPECT_EQ(offset("1"), 0);
  EXPECT_EQ(offset("b"), 7);
  EXPECT_EQ(offset("h"), 14);
  EXPECT_EQ(offset("q"), 28);
  EXPECT_EQ(offset("bh"), (3 + 2) * 7);
  EXPECT_EQ(offset("bhq"), ((3 + 2) * 5 + 4) * 7);
  EXPECT_EQ(parsed("attention_fwd b=2 hq=3 sq=5 sk=7 d=8 bias=hq").bias_size(), 3 * 5 * 7);
  EXPECT_EQ(parsed("attention_fwd b=2 hq=3 sq=5 sk=7 d=8").bias_size(), 0);
}

TEST(problem_layout, scale_is_by_default_the_root_of_d) {
  EXPECT_DOUBLE_EQ(parsed("attention_fwd sq=1 d=64").effective_scale(), 0.125);
  EXPECT_EQ(parsed("attention_fwd sq=1 d=64 scale=3").effective_scale(), 3);
}

TEST(problem_layout, dense_of_absurd_sizes_is_refused_not_computed) {
  const int64_t huge = int64_t{1} << 62;
  EXPECT_FALSE(AttentionFwd::dense(Layout::bhsd, DType::f32, huge, huge, 1, huge, huge, 128).check().ok());
  EXPECT_FALSE(AttentionFwd::dense(Layout::thd, DType::f32, 1, -huge, -1, 1, 1, -5).check().ok());
}

TEST(problem_cost, bytes_count_each_tensor_once) {
  const Cost cost = parsed("attention_fwd b=2 hq=6 hk=3 sq=5 sk=7 d=8 dv=4 dtype=f32,f16,bf16,f32 lse=1").cost();
  EXPECT_EQ(cost.visible_pairs, 2 * 6 * 5 * 7);
  EXPECT_EQ(cost.flops, 2.0 * 2 * 6 * 5 * 7 * 12);
  EXPECT_EQ(cost.bytes, 2.0 * 6 * 5 * (8 * 4 + 4 * 4 + 4) + 2.0 * 3 * 7 * (8 * 2 + 4 * 2));
}

TEST(problem_cost, ragged_sequences_are_counted_one_by_one) {
  EXPECT_EQ(parsed("attention_fwd hq=2 sq=3,0,5 sk=4,2,5 d=8 mask=causal").cost().visible_pairs,
            2 * ((2 + 3 + 4) + 0 + 15));
}

TEST(problem_cost, huge_uniform_problems_are_counted_at_once) {
  const Cost cost = parsed("attention_fwd b=1000000 hq=64 sq=512 d=1 mask=causal").cost();
  EXPECT_EQ(cost.visible_pairs, int64_t{64000000} * (512 * 513 / 2));
}

}  // namespace
}  // namespace attend
