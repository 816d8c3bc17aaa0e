// SPDX-License-Identifier: Apache-2.0
#include "base/rng.hpp"
#include "support/parsed.hpp"

namespace attend {
namespace {

using test::parsed;
using test::refusal;

/// Lines in the form in which they are printed.
TEST(problem_text, canonical_lines_print_as_they_are) {
  for (const char* line : {
           "attention_fwd b=2 hq=32 hk=8 sq=1000 sk=1000 d=128 dtype=bf16 mask=causal&window:512:0",
           "attention_fwd b=1 hq=6 hk=2 sq=7 sk=9 d=40 dv=24 dtype=f32,f16,bf16,f32",
           "attention_fwd b=3 hq=2 hk=1 sq=5,0,4 sk=5,1,4 d=8 dtype=f16",
           "attention_fwd b=3 hq=2 hk=1 sq=5,0,4 sk=9 d=8 dtype=f16",
           "attention_fwd b=1 hq=1 hk=1 sq=5, sk=3, d=8 dtype=f32 offsets=int64",
           "attention_fwd b=1 hq=1 hk=1 sq=5, sk=3, d=8 dtype=f32 offsets=int64,int32",
           "attention_fwd b=0 hq=1 hk=1 sq=, sk=, d=8 dtype=f32",
           "attention_fwd b=0 hq=1 hk=1 sq=3 sk=4 d=8 dtype=f32",
           "attention_fwd b=2 hq=2 hk=2 sq=3 sk=4 d=8 dtype=f32 layout=bhsd",
           "attention_fwd b=1 hq=2 hk=2 sq=3 sk=4 d=8 dtype=f32 layout=thd",
           "attention_fwd b=2 hq=2 hk=2 sq=3 sk=4 d=8 dtype=f32 q_strides=100,20,10 k_strides=0,16,8",
           "attention_fwd b=2 hq=2 hk=2 sq=3 sk=4 d=8 dtype=f32 scale=0.3 softcap=30.5 alibi=batch bias=bhq sink=1 "
           "lse=1",
           "attention_fwd b=2 hq=2 hk=2 sq=3 sk=4 d=8 dtype=f32 scale=-0 alibi=1 bias=1",
           "attention_fwd b=1 hq=2 hk=2 sq=3 sk=4 d=8 dtype=f32 bias=hq mask=dense:0110/1111/0000&tree:3:7,1,0",
           "attention_fwd b=1 hq=2 hk=2 sq=3 sk=4 d=8 dtype=f32 mask=block_sparse:2x2:0,1/|/1&documents:0,2,4",
           "attention_fwd b=2 hq=2 hk=2 sq=3 sk=4 d=8 dtype=f32 mask=padding:0..2,1..4&prefix_lm:3&chunk:7",
           "attention_fwd b=1 hq=2 hk=2 sq=3 sk=4 d=8 dtype=f32 mask=causal&streaming:4:2147483647",
           "attention_fwd b=1 hq=1 hk=1 sq=1 sk=200 d=1 dtype=f32 mask=tree:130:20000000000000000ffffffffffffffff",
           "attention_fwd b=1 hq=1 hk=1 sq=0 sk=3 d=1 dtype=f32 mask=tree:2:&dense:&block_sparse:2x2:",
           "attention_fwd b=1 hq=2 hk=2 sq=64 sk=64 d=1 dtype=f32 mask=block_sparse:8x8:random:0.5:3:perhead",
           "attention_fwd b=1 hq=2 hk=2 sq=64 sk=64 d=1 dtype=f32 mask=documents:random:5:18446744073709551615",
       }) {
    EXPECT_EQ(parsed(line).text(), line);
  }
}

TEST(problem_text, short_lines_fill_in_what_is_usual) {
  EXPECT_EQ(parsed("attention_fwd sq=7 d=16").text(), "attention_fwd b=1 hq=1 hk=1 sq=7 sk=7 d=16 dtype=f32");
  EXPECT_EQ(parsed("  attention_fwd\t d=16  sq=3,4 hq=4 mask=none lse=0\n").text(),
            "attention_fwd b=2 hq=4 hk=4 sq=3,4 sk=3,4 d=16 dtype=f32");
}

TEST(problem_text, fields_mean_what_they_say) {
  const AttentionFwd p = parsed(
      "attention_fwd b=2 hq=6 hk=3 sq=3,5 sk=11 d=16 dv=8 dtype=f32,f16,bf16,f32 offsets=int64 scale=0.5 softcap=20 "
      "alibi=batch "
      "bias=bq sink=1 lse=1");
  EXPECT_EQ(p.b, 2);
  EXPECT_EQ(p.group(), 2);
  EXPECT_EQ(p.sq, 5);
  EXPECT_TRUE(p.cu_q.is_wide());
  EXPECT_EQ(p.cu_q[1], 3);
  EXPECT_EQ(p.cu_q[2], 8);
  EXPECT_TRUE(p.cu_k.empty());
  EXPECT_EQ(p.k_type, DType::f16);
  EXPECT_EQ(p.v_type, DType::bf16);
  EXPECT_EQ(p.effective_scale(), 0.5);
  EXPECT_EQ(p.softcap, 20);
  EXPECT_TRUE(p.alibi && p.alibi_per_batch && p.sink && p.lse);
  EXPECT_EQ(p.bias, (BiasShape{true, false, true}));
  EXPECT_EQ(p.q_strides, (Strides{0, 96, 16}));
  EXPECT_EQ(p.k_strides, (Strides{11 * 48, 48, 16}));
}

TEST(problem_text, refusals_name_field_found_and_expected) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "attention_fwd: operation is missing, expected attention_fwd"},
      {"conv sq=1 d=1", "attention_fwd: operation is \"conv\", expected attention_fwd"},
      {"attention_fwd d=1", "attention_fwd: sq is missing, expected a value"},
      {"attention_fwd sq=1", "attention_fwd: d is missing, expected a value"},
      {"attention_fwd sq=1 d=1 sq=2", "attention_fwd: sq is given twice, expected one value"},
      {"attention_fwd sq=1 d=", "attention_fwd: d is empty, expected a value"},
      {"attention_fwd sq=1 d", "attention_fwd: field is \"d\", expected key=value"},
      {"attention_fwd sq=one d=1", "attention_fwd: sq is \"one\", expected an integer"},
      {"attention_fwd sq=-1 d=1", "attention_fwd: sq is -1, expected 0 to 2147483647"},
      {"attention_fwd sq=99999999999999999999 d=1",
       "attention_fwd: sq is \"99999999999999999999\", expected an integer"},
      {"attention_fwd sq=1 d=513", "attention_fwd: d is 513, expected 1 to 512"},
      {"attention_fwd sq=1 d=1 hq=5 hk=2", "attention_fwd: hq is 5, expected a multiple of hk = 2"},
      {"attention_fwd sq=1 d=1 dtype=f32,f32",
       "attention_fwd: dtype is \"f32,f32\", expected 1 or 4 values joined by commas"},
      {"attention_fwd sq=1,2 d=1 b=3", "attention_fwd: sq is 2 lengths, expected b = 3"},
      {"attention_fwd sq=1,-2 d=1", "attention_fwd: sq is -2, expected lengths of 0 to 2147483647"},
      {"attention_fwd sq=2147483647,1 d=1 sk=1",
       "attention_fwd: offsets is int32, expected int64 for 2147483648 tokens"},
      {"attention_fwd sq=1 d=1 offsets=int64",
       "attention_fwd: offsets is \"int64\", expected lists of lengths in sq or sk"},
      {"attention_fwd sq=1,1 d=1 offsets=int16", "attention_fwd: offsets is \"int16\", expected int32 or int64"},
      {"attention_fwd sq=1 d=1 layout=sbhd", "attention_fwd: layout is \"sbhd\", expected bshd, bhsd or thd"},
      {"attention_fwd sq=1 d=1 q_strides=1,2", "attention_fwd: q_strides is \"1,2\", expected batch,row,head"},
      {"attention_fwd sq=1 d=1 softcap=x", "attention_fwd: softcap is \"x\", expected a number"},
      {"attention_fwd sq=1 d=1 softcap=-1", "attention_fwd: softcap is -1, expected 0 (none) or 2^-64 to 2^64"},
      {"attention_fwd sq=1 d=1 scale=nan",
       "attention_fwd: scale is nan, expected a finite number of magnitude 2^64 or less"},
      {"attention_fwd sq=1 d=1 bias=bb",
       "attention_fwd: bias is \"bb\", expected 1, or each of b, h and q at most once"},
      {"attention_fwd sq=1 d=1 lse=2", "attention_fwd: lse is \"2\", expected 0 or 1"},
      {"attention_fwd sq=1 d=1 mask=window:1",
       "attention_fwd: mask.window.right is missing, expected one more field after ':'"},
      {"attention_fwd sq=1 d=1 mask=window:1:2:3",
       "attention_fwd: mask.window.fields is \"3\" more, expected the end of the term"},
      {"attention_fwd sq=1 d=1 mask=window:-2:0",
       "attention_fwd: mask.window.left is -2, expected -1 (no limit) or more"},
      {"attention_fwd sq=1 d=1 mask=chunk:0", "attention_fwd: mask.chunk.size is 0, expected 1 to 2147483647"},
      {"attention_fwd sq=1 d=1 mask=streaming:4",
       "attention_fwd: mask.streaming.left is missing, expected one more field after ':'"},
      {"attention_fwd sq=1 d=1 mask=streaming:-1:4",
       "attention_fwd: mask.streaming.first is -1, expected 0 to 2147483647"},
      {"attention_fwd sq=1 d=1 b=2 mask=padding:1",
       "attention_fwd: mask.padding.end is 1 numbers, expected b = 2 numbers"},
      {"attention_fwd sq=1 d=1 mask=padding:0..1,2",
       "attention_fwd: mask.padding.end is \"2\", expected begin..end for every sequence or for none"},
      {"attention_fwd sq=1 d=1 mask=tree:1:g",
       "attention_fwd: mask.tree.bits is \"g\", expected hexadecimal digits for 1 bits"},
      {"attention_fwd sq=1 d=1 mask=tree:1:2",
       "attention_fwd: mask.tree.bits is a bit past size = 1, expected 0 there"},
      {"attention_fwd sq=1 sk=2 d=1 mask=dense:0/1",
       "attention_fwd: mask.dense.allow is \"/\", expected 0 and 1, and / after every sk = 2"},
      {"attention_fwd sq=1 d=1 mask=dense:random:2:1", "attention_fwd: mask.dense.density is 2, expected 0 to 1"},
      {"attention_fwd sq=4 d=1 mask=block_sparse:2x2:0/1/1",
       "attention_fwd: mask.block_sparse.columns is 3 tile rows, expected 2 (sq / tile, rounded up)"},
      {"attention_fwd sq=4 d=1 mask=block_sparse:2x2:1,0/",
       "attention_fwd: mask.block_sparse.columns is 0 after 1, expected rising numbers in each tile row"},
  };
  for (const auto& [line, message] : cases) EXPECT_EQ(refusal(line), message) << line;
  // Refusals that list the rows of a table grow with it.
  const std::pair<const char*, const char*> beginnings[] = {
      {"attention_fwd sq=1 d=1 page=3", "attention_fwd: field is \"page\", expected one of b, hq, hk"},
      {"attention_fwd sq=1 d=1 dtype=f64", "attention_fwd: dtype is \"f64\", expected one of f32, f16, bf16"},
      {"attention_fwd sq=1 d=1 mask=causal&",
       "attention_fwd: mask is \"\", expected one of none, causal, causal_top_left"},
      {"attention_fwd sq=1 d=1 mask=casual",
       "attention_fwd: mask is \"casual\", expected one of none, causal, causal_top_left"},
  };
  for (const auto& [line, message] : beginnings) EXPECT_TRUE(refusal(line).starts_with(message)) << refusal(line);
}

/// Nothing that a line asks for may grow beyond a fixed size, whatever the numbers in it.
TEST(problem_text, hostile_sizes_are_refused_before_memory_is_taken) {
  for (const char* line : {
           "attention_fwd sq=2147483647 d=1 b=2147483647",
           "attention_fwd sq=2147483647 d=1 mask=dense:random:0.5:1",
           "attention_fwd sq=1000000 d=1 mask=block_sparse:1x1:random:0.5:1",
           "attention_fwd sq=2147483647 sk=1 d=1 mask=block_sparse:1x1:random:0.5:1",
           "attention_fwd sq=2147483647 d=1 mask=documents:every:1",
           "attention_fwd sq=1 d=1 mask=documents:random:9223372036854775807:1",
           "attention_fwd sq=1 sk=2147483647 d=1 mask=tree:2147483647:random:1",
           "attention_fwd sq=1 sk=2147483647 d=1 mask=tree:2147483647:0,0,0,0,0,0",
           "attention_fwd b=2147483647 sq=1 d=1 mask=padding:random:1",
           "attention_fwd b=2147483647 sq=1 d=1 mask=prefix_lm:random:1",
           "attention_fwd sq=5000 d=1 mask=dense:random:0:1&dense:random:0:1&dense:random:0:1",
       }) {
    const std::string message = refusal(line);
    EXPECT_TRUE(message.find("expected at most") != std::string::npos) << line << "\n" << message;
  }
}

TEST(problem_text, damaged_lines_never_crash_and_accepted_ones_round_trip) {
  const std::string lines[] = {
      "attention_fwd b=2 hq=6 hk=2 sq=5,3 sk=7 d=8 dv=4 dtype=f32,f16,f16,bf16 offsets=int64 scale=0.25 softcap=9 "
      "alibi=1 bias=hq "
      "sink=1 lse=1 mask=causal&window:3:1&padding:1..4,0..7&prefix_lm:2,1&documents:0,3,7",
      "attention_fwd hq=2 sq=9 sk=11 d=3 layout=bhsd q_strides=1,2,3 "
      "mask=tree:5:1f,3,7,1,0,0,0,0,9&block_sparse:4x4:0,2/1/0",
      "attention_fwd sq=6 d=2 "
      "mask=dense:random:0.5:1:perhead&documents:every:2&tree:3:random:2:perbatch&chunk:2&streaming:1:2"};
  const std::string alphabet = "0123456789abcdefx:,=&|/.- _";
  Rng rng(5);
  int accepted = 0;
  for (int i = 0; i < 100000; ++i) {
    std::string line = lines[rng.below(3)];
    for (int64_t edits = 1 + rng.below(3); edits > 0; --edits) {
      const size_t at = static_cast<size_t>(rng.below(static_cast<int64_t>(line.size())));
      const char c = alphabet[static_cast<size_t>(rng.below(static_cast<int64_t>(alphabet.size())))];
      switch (rng.below(3)) {
        case 0: line[at] = c; break;
        case 1: line.insert(at, 1, c); break;
        default: line.erase(at, 1); break;
      }
    }
    const auto problem = AttentionFwd::parse(line);
    if (!problem.ok()) {
      ASSERT_EQ(problem.status().code(), StatusCode::invalid_argument);
      ASSERT_NE(problem.status().message().find(", expected "), std::string::npos) << problem.status().message();
      continue;
    }
    ++accepted;
    ASSERT_EQ(test::parsed(problem->text()).text(), problem->text()) << line;
  }
  EXPECT_GT(accepted, 1000);
}

TEST(problem_text, a_mask_that_contradicts_the_problem_prints_without_its_lists) {
  AttentionFwd p = parsed("attention_fwd sq=4 d=1 mask=block_sparse:2x2:0/1");
  p.sq = 400;
  EXPECT_FALSE(p.check().ok());
  EXPECT_EQ(p.text().substr(p.text().find("mask=")), "mask=?");
}

}  // namespace
}  // namespace attend
