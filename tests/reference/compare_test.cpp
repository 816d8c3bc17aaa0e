// SPDX-License-Identifier: Apache-2.0
#include <attend/reference.hpp>
#include <cmath>

#include "tiled_attention.hpp"

namespace attend {
namespace {

using test::kInf;
using test::kNan;
using test::Memory;
using test::tiled_attention;

Comparison compare(Memory& m, int64_t sample = -1, uint64_t seed = 0) {
  return compare_with_reference(m.problem, m.args(), Arithmetic::f32, sample, seed);
}

TEST(comparison, names_the_first_wrong_element) {
  Memory m("attention_fwd b=2 hq=2 sq=3 sk=9 d=8 lse=1", 1);
  tiled_attention(m);
  const Comparison right = compare(m);
  EXPECT_EQ(right.rows, 12);
  EXPECT_EQ(right.first_failure, "");
  EXPECT_LE(right.max_ratio, 1);
  EXPECT_LE(right.rms_error, right.max_error);
  EXPECT_GT(right.rms_value, 0.1);
  m.set_o(1, 0, 2, 5, m.o(1, 0, 2, 5) + 0.25F);
  const Comparison wrong = compare(m);
  EXPECT_GT(wrong.max_ratio, 1);
  EXPECT_NEAR(wrong.max_error, 0.25, 1e-5);
  EXPECT_TRUE(wrong.first_failure.starts_with("o at batch 1, head 0, row 2, column 5 is ")) << wrong.first_failure;
  EXPECT_NE(wrong.first_failure.find(", expected "), std::string::npos);
}

TEST(comparison, lse_counts) {
  Memory m("attention_fwd hq=2 sq=3 sk=9 d=8 lse=1", 1);
  tiled_attention(m);
  m.lse[4] *= 1.001F;
  EXPECT_TRUE(compare(m).first_failure.starts_with("lse at batch 0, head 1, row 1 is "));
}

TEST(comparison, non_finite_numbers_have_to_be_where_they_belong) {
  const std::string line = "attention_fwd sq=4 sk=2 d=2 lse=1 mask=causal";
  const auto ratio_after = [&](auto change) {
    Memory m(line, 1);
    tiled_attention(m);
    change(m);
    return compare(m).max_ratio;
  };
  EXPECT_LE(ratio_after([](Memory&) {}), 1);
  for (const float bad : {kNan, kInf, -kInf}) {
    EXPECT_EQ(ratio_after([&](Memory& m) { m.set_o(0, 0, 3, 0, bad); }), kInf) << bad;
    EXPECT_EQ(ratio_after([&](Memory& m) { m.set_o(0, 0, 0, 0, bad); }), kInf) << "empty row, " << bad;
    EXPECT_EQ(ratio_after([&](Memory& m) { m.lse[3] = bad; }), kInf) << bad;
  }
  EXPECT_EQ(ratio_after([](Memory& m) { m.set_o(0, 0, 0, 0, 1e-30F); }), kInf) << "an empty row is zero exactly";
  EXPECT_EQ(ratio_after([](Memory& m) { m.lse[0] = -1e30F; }), kInf) << "an empty row has lse -inf exactly";
  // NaN expected: finite numbers do not do.
  Memory m(line, 1);
  m.set_v(0, 0, 1, 0, kNan);
  tiled_attention(m);
  EXPECT_LE(compare(m).max_ratio, 1);
  m.set_o(0, 0, 3, 0, 0);
  EXPECT_EQ(compare(m).max_ratio, kInf);
}

TEST(comparison, overflow_of_the_output_type_is_infinity) {
  Memory m("attention_fwd sq=1 sk=2 d=1 dv=1 dtype=f32,f32,f32,f16");
  m.set_v(0, 0, 0, 0, 70000);
  m.set_v(0, 0, 1, 0, 70000);
  m.set_o(0, 0, 0, 0, kInf);
  EXPECT_EQ(compare(m).max_ratio, 0);
  m.set_o(0, 0, 0, 0, -kInf);
  EXPECT_EQ(compare(m).max_ratio, kInf);
  m.set_v(0, 0, 0, 0, 60000);
  m.set_v(0, 0, 1, 0, 60000);
  m.set_o(0, 0, 0, 0, kInf);
  EXPECT_EQ(compare(m).max_ratio, kInf);
}

TEST(comparison, samples_hold_the_first_and_last_row_of_each_sequence) {
  Memory m("attention_fwd hq=1 sq=50,40,30 sk=3,4,5 d=4 dtype=f32", 2);
  tiled_attention(m);
  EXPECT_EQ(compare(m, 10).rows, 10);
  EXPECT_EQ(compare(m, 1000).rows, 120);
  for (const auto& [n, row] : {std::pair<int64_t, int64_t>{0, 0}, {0, 49}, {1, 0}, {1, 39}, {2, 29}}) {
    Memory broken = m;
    broken.set_o(n, 0, row, 0, kNan);
    for (uint64_t seed = 0; seed < 5; ++seed) EXPECT_EQ(compare(broken, 8, seed).max_ratio, kInf) << n << " " << row;
  }
  EXPECT_EQ(compare(m, 12, 3).max_ratio, compare(m, 12, 3).max_ratio) << "the same seed chooses the same rows";
}

TEST(comparison, empty_problems_have_no_rows) {
  for (const char* line :
       {"attention_fwd b=0 sq=3 d=2", "attention_fwd sq=0 sk=5 d=2", "attention_fwd sq=0,0 sk=5 d=2"}) {
    Memory m(line);
    EXPECT_EQ(compare(m).rows, 0);
    EXPECT_EQ(compare(m, 4).rows, 0);
  }
}

}  // namespace
}  // namespace attend
