// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <functional>
#include <limits>

#include "support/parsed.hpp"

namespace attend {
namespace {

AttentionFwd sound() { return AttentionFwd::dense(Layout::bshd, DType::f32, 2, 4, 2, 6, 8, 16); }

std::string complaint(const std::function<void(AttentionFwd&)>& change) {
  AttentionFwd p = sound();
  change(p);
  const Status status = p.check();
  if (!status.ok()) {
    EXPECT_EQ(status.code(), StatusCode::invalid_argument);
  }
  return status.message();
}

Offsets narrow(std::vector<int32_t> values) { return Array<int32_t>(std::move(values)); }
Offsets wide(std::vector<int64_t> values) { return Array<int64_t>(std::move(values)); }

TEST(problem_check, sound_problems_pass) {
  EXPECT_EQ(complaint([](AttentionFwd&) {}), "");
  EXPECT_EQ(complaint([](AttentionFwd& p) { p.b = 0; }), "");
  EXPECT_EQ(complaint([](AttentionFwd& p) { p.sq = p.sk = 0; }), "");
  EXPECT_EQ(complaint([](AttentionFwd& p) { p.k_strides = p.v_strides = {0, 0, 0}; }), "") << "inputs may be broadcast";
  EXPECT_EQ(complaint([](AttentionFwd& p) {
              p.q_strides.row += 3;
              p.o_strides = {1, 1000000, 1000};
              p.b = 1;
            }),
            "");
}

TEST(problem_check, sizes) {
  EXPECT_EQ(complaint([](AttentionFwd& p) { p.b = -1; }), "attention_fwd: b is -1, expected 0 to 2147483647");
  EXPECT_EQ(complaint([](AttentionFwd& p) { p.hq = 0; }), "attention_fwd: hq is 0, expected 1 to 2147483647");
  EXPECT_EQ(complaint([](AttentionFwd& p) { p.hk = 3; }), "attention_fwd: hq is 4, expected a multiple of hk = 3");
  EXPECT_EQ(complaint([](AttentionFwd& p) { p.dv = 0; }), "attention_fwd: dv is 0, expected 1 to 512");
  EXPECT_EQ(complaint([](AttentionFwd& p) { p.d = 513; }), "attention_fwd: d is 513, expected 1 to 512");
  EXPECT_EQ(complaint([](AttentionFwd& p) { p.sk = -3; }), "attention_fwd: sk is -3, expected 0 to 2147483647");
  EXPECT_EQ(complaint([](AttentionFwd& p) { p.v_type = static_cast<DType>(7); }),
            "attention_fwd: v_type is 7, expected a row of dtypes.def");
}

TEST(problem_check, strides) {
  EXPECT_EQ(complaint([](AttentionFwd& p) { p.q_strides.row = -1; }),
            "attention_fwd: q_strides is 384,-1,16 (batch, row, head), expected 0 or more each");
  EXPECT_EQ(complaint([](AttentionFwd& p) { p.v_strides.batch = int64_t{1} << 61; }),
            "attention_fwd: v_strides is 2305843009213693952,32,16 (batch, row, head), expected element offsets of at "
            "most 2^60");
  for (const Strides& overlapping :
       {Strides{384, 64, 15}, Strides{384, 63, 16}, Strides{383, 64, 16}, Strides{384, 0, 16}}) {
    EXPECT_NE(complaint([&](AttentionFwd& p) { p.o_strides = overlapping; }).find("expected rows that do not overlap"),
              std::string::npos);
  }
}

/// The test for overlap against all pairs of rows, on many strides.
TEST(problem_check, accepted_output_rows_are_disjoint) {
  int accepted = 0;
  for (int64_t batch = 0; batch < 40; batch += 3) {
    for (int64_t row = 0; row < 30; ++row) {
      for (int64_t head = 0; head < 30; ++head) {
        AttentionFwd p = AttentionFwd::dense(Layout::bshd, DType::f32, 2, 2, 1, 3, 1, 2);
        p.o_strides = {batch, row, head};
        if (!p.check().ok()) continue;
        ++accepted;
        std::vector<int> touched(200, 0);
        for (int64_t n = 0; n < 2; ++n) {
          for (int64_t r = 0; r < 3; ++r) {
            for (int64_t h = 0; h < 2; ++h) {
              for (int64_t c = 0; c < 2; ++c)
                ASSERT_EQ(touched[static_cast<size_t>(p.o_offset(n, r, h) + c)]++, 0)
                    << batch << " " << row << " " << head;
            }
          }
        }
      }
    }
  }
  EXPECT_GT(accepted, 100);
}

TEST(problem_check, offsets) {
  const auto ragged = [](Offsets cu) { return complaint([&](AttentionFwd& p) { p.cu_q = std::move(cu); }); };
  EXPECT_EQ(ragged(narrow({0, 6, 8})), "");
  EXPECT_EQ(ragged(wide({0, 0, 6})), "");
  EXPECT_EQ(ragged(narrow({0, 6})), "attention_fwd: cu_q is 2 numbers, expected b + 1 = 3");
  EXPECT_EQ(ragged(wide({1, 6, 8})), "attention_fwd: cu_q[0] is 1, expected 0");
  EXPECT_EQ(ragged(wide({0, 6, 5})), "attention_fwd: cu_q[2] is 5, expected at least 6, the one before");
  EXPECT_EQ(ragged(narrow({0, 5, 8})), "attention_fwd: sq is 6, expected 5, the longest length in cu_q");
}

TEST(problem_check, score_terms) {
  EXPECT_EQ(complaint([](AttentionFwd& p) { p.scale = std::numeric_limits<double>::infinity(); }),
            "attention_fwd: scale is inf, expected a finite number of magnitude 2^64 or less");
  EXPECT_EQ(complaint([](AttentionFwd& p) { p.softcap = -2; }),
            "attention_fwd: softcap is -2, expected 0 (none) or 2^-64 to 2^64");
  EXPECT_NE(complaint([](AttentionFwd& p) { p.softcap = std::nan(""); }), "");
  EXPECT_EQ(complaint([](AttentionFwd& p) { p.alibi_per_batch = true; }),
            "attention_fwd: alibi_per_batch is true, expected false without alibi");
}

TEST(problem_check, mask_lists_have_the_sizes_of_the_problem) {
  const auto masked = [](const Mask& mask) { return complaint([&](AttentionFwd& p) { p.mask = mask; }); };
  EXPECT_EQ(masked(Padding{{}, std::vector<int64_t>{3, 8}}), "");
  EXPECT_EQ(masked(Padding{{}, std::vector<int64_t>{3, 9}}),
            "attention_fwd: mask.padding.end is 9, expected begin = 0 to sk = 8");
  EXPECT_EQ(masked(PrefixLm{std::vector<int64_t>{1, 2, 3}}),
            "attention_fwd: mask.prefix_lm.prefix is 3 numbers, expected 1 or b = 2");
  EXPECT_EQ(masked(Streaming{9, 9}), "");
  EXPECT_EQ(masked(Streaming{0, -1}), "attention_fwd: mask.streaming.left is -1, expected 0 to 2147483647");
  EXPECT_EQ(masked(Streaming{int64_t{1} << 31, 0}),
            "attention_fwd: mask.streaming.first is 2147483648, expected 0 to 2147483647");
  EXPECT_EQ(masked(Documents{}), "attention_fwd: mask.documents.offsets is empty, expected at least the number 0");
  EXPECT_EQ(masked(Documents{std::vector<int64_t>{0, 5, 4}}),
            "attention_fwd: mask.documents.offsets is 4 after 5, expected never falling numbers");
  EXPECT_EQ(masked(Tree{2, std::vector<uint64_t>(6), 6}), "");
  EXPECT_EQ(masked(Tree{2, std::vector<uint64_t>(5), 6}),
            "attention_fwd: mask.tree.bits is 5 words, expected 6 (sq * ceil(size / 64)) or b times as many");
  EXPECT_EQ(masked(Dense{std::vector<uint8_t>(48), 6, 8}), "");
  EXPECT_EQ(masked(Dense{std::vector<uint8_t>(47), 6, 8}),
            "attention_fwd: mask.dense.allow is 47 booleans, expected 48 ([b or 1][hq or 1][sq][sk])");
  EXPECT_EQ(masked(BlockSparse{4, 4, std::vector<int64_t>{0, 1, 1}, std::vector<int32_t>{1}, 1, 2}), "");
  EXPECT_EQ(masked(BlockSparse{4, 4, std::vector<int64_t>{0, 1, 1}, std::vector<int32_t>{2}, 1, 2}),
            "attention_fwd: mask.block_sparse.columns is 2, expected 0 to less than 2");
  EXPECT_EQ(masked(BlockSparse{4, 4, std::vector<int64_t>{0, 1, 2}, std::vector<int32_t>{1}, 1, 2}),
            "attention_fwd: mask.block_sparse.columns is 1 numbers, expected 2 (the last of row_ptr)");
  EXPECT_EQ(masked(BlockSparse{4, 4, std::vector<int64_t>{0, 1, 1}, std::vector<int32_t>{1}, 3, 2}),
            "attention_fwd: mask.block_sparse.heads is 3, expected 1 or hq = 4");
}

}  // namespace
}  // namespace attend
