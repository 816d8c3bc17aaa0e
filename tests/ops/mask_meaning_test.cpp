// SPDX-License-Identifier: Apache-2.0
// What each mask means, drawn: one line for each query, one digit for each key.
#include <sstream>

#include "support/parsed.hpp"

namespace attend {
namespace {

std::string picture(const std::string& fields, int64_t n = 0, int64_t head = 0) {
  const AttentionFwd p = test::parsed("attention_fwd d=1 " + fields);
  std::string out;
  const Frame frame = p.frame(n, head);
  for (int64_t q = 0; q < frame.sq; ++q) {
    if (q > 0) out += ' ';
    for (int64_t k = 0; k < frame.sk; ++k) out += p.mask.keep(frame, q, k) ? '1' : '0';
  }
  return out;
}

TEST(mask, causal_is_aligned_at_the_last_key) {
  EXPECT_EQ(picture("sq=3 sk=3 mask=causal"), "100 110 111");
  EXPECT_EQ(picture("sq=2 sk=4 mask=causal"), "1110 1111");
  EXPECT_EQ(picture("sq=4 sk=2 mask=causal"), "00 00 10 11");
}

TEST(mask, causal_top_left_is_aligned_at_the_first_key) {
  EXPECT_EQ(picture("sq=2 sk=4 mask=causal_top_left"), "1000 1100");
  EXPECT_EQ(picture("sq=4 sk=2 mask=causal_top_left"), "10 11 11 11");
}

TEST(mask, window_includes_both_ends_and_minus_one_is_no_limit) {
  EXPECT_EQ(picture("sq=4 sk=4 mask=window:1:0"), "1000 1100 0110 0011");
  EXPECT_EQ(picture("sq=4 sk=4 mask=window:0:1"), "1100 0110 0011 0001");
  EXPECT_EQ(picture("sq=3 sk=3 mask=window:-1:0"), picture("sq=3 sk=3 mask=causal"));
  EXPECT_EQ(picture("sq=2 sk=3 mask=window:-1:-1"), "111 111");
  EXPECT_EQ(picture("sq=2 sk=4 mask=window:1:0"), "0110 0011");
  EXPECT_EQ(picture("sq=3 sk=3 mask=window:9223372036854775807:9223372036854775807"), "111 111 111");
}

TEST(mask, chunk_cuts_at_key_positions) {
  EXPECT_EQ(picture("sq=5 sk=5 mask=chunk:2"), "11000 11000 00110 00110 00001");
  EXPECT_EQ(picture("sq=2 sk=5 mask=chunk:2"), "00110 00001");
  EXPECT_EQ(picture("sq=3 sk=2 mask=chunk:2"), "00 11 11");
  EXPECT_EQ(picture("sq=5 sk=5 mask=chunk:2&causal"), "10000 11000 00100 00110 00001");
}

TEST(mask, prefix_is_seen_by_all_and_the_rest_is_causal) {
  EXPECT_EQ(picture("sq=4 sk=4 mask=prefix_lm:2"), "1100 1100 1110 1111");
  EXPECT_EQ(picture("b=2 sq=2 sk=3 mask=prefix_lm:0,3", 0), "110 111");
  EXPECT_EQ(picture("b=2 sq=2 sk=3 mask=prefix_lm:0,3", 1), "111 111");
}

TEST(mask, streaming_hides_what_lies_between_the_first_keys_and_the_last) {
  EXPECT_EQ(picture("sq=6 sk=6 mask=streaming:1:2"), "111111 111111 111111 111111 101111 100111");
  EXPECT_EQ(picture("sq=6 sk=6 mask=streaming:1:2&causal"), "100000 110000 111000 111100 101110 100111");
  EXPECT_EQ(picture("sq=2 sk=6 mask=streaming:2:0&causal"), "110010 110001");
  EXPECT_EQ(picture("sq=3 sk=2 mask=streaming:1:0"), "11 11 11");
  EXPECT_EQ(picture("sq=4 sk=6 mask=streaming:0:1&causal"), picture("sq=4 sk=6 mask=window:1:0"));
  EXPECT_EQ(picture("sq=2 sk=3 mask=streaming:2147483647:0"), "111 111");
  EXPECT_EQ(picture("sq=2 sk=3 mask=streaming:0:2147483647"), "111 111");
}

TEST(mask, documents_do_not_see_each_other) {
  EXPECT_EQ(picture("sq=5 sk=5 mask=documents:0,2,5"), "11000 11000 00111 00111 00111");
  EXPECT_EQ(picture("sq=5 sk=5 mask=documents:0,2,2,4&causal"), "10000 11000 00100 00110 00000");
  EXPECT_EQ(picture("sq=2 sk=5 mask=documents:every:4"), "11110 00001");
}

TEST(mask, block_sparse_keeps_listed_tiles) {
  EXPECT_EQ(picture("sq=4 sk=5 mask=block_sparse:2x2:0,2/1"), "11001 11001 00110 00110");
  EXPECT_EQ(picture("hq=2 sq=2 sk=2 mask=block_sparse:2x1:0|1", 0, 1), "01 01");
}

TEST(mask, padding_hides_keys_without_moving_positions) {
  EXPECT_EQ(picture("b=2 sq=2 sk=4 mask=padding:3,4", 0), "1110 1110");
  EXPECT_EQ(picture("b=1 sq=2 sk=4 mask=padding:1..3&causal"), "0110 0110");
}

TEST(mask, tree_keys_are_the_last_ones) {
  EXPECT_EQ(picture("sq=3 sk=5 mask=tree:3:1,3,5"), "11100 11110 11101");
  EXPECT_EQ(picture("b=2 sq=1 sk=2 mask=tree:2:1,2", 1), "01");
}

/// A random tree: each node sees itself and the ancestors of one earlier node.
TEST(mask, random_tree_is_closed_under_ancestors) {
  const AttentionFwd p = test::parsed("attention_fwd d=1 sq=70 sk=80 mask=tree:70:random:5");
  const Frame frame = p.frame(0, 0);
  for (int64_t q = 0; q < 70; ++q) {
    EXPECT_TRUE(p.mask.keep(frame, q, 10 + q));
    for (int64_t a = 0; a < 70; ++a) {
      if (!p.mask.keep(frame, q, 10 + a)) continue;
      EXPECT_LE(a, q);
      for (int64_t c = 0; c < 70; ++c) {
        if (p.mask.keep(frame, a, 10 + c)) {
          EXPECT_TRUE(p.mask.keep(frame, q, 10 + c)) << q << " sees " << a << " but not " << c;
        }
      }
    }
  }
}

TEST(mask, dense_true_means_attend) {
  EXPECT_EQ(picture("sq=2 sk=3 mask=dense:011/100"), "011 100");
  EXPECT_EQ(picture("b=2 hq=2 sq=1 sk=2 mask=dense:00/01/10/11:perbatch:perhead", 1, 0), "10");
  EXPECT_EQ(picture("b=2 hq=2 sq=1 sk=2 mask=dense:01/10:perhead", 1, 1), "10");
}

TEST(mask, density_of_recipes_is_what_was_asked) {
  const AttentionFwd p = test::parsed("attention_fwd d=1 sq=300 sk=300 mask=dense:random:0.25:9");
  EXPECT_NEAR(static_cast<double>(p.cost().visible_pairs) / 90000, 0.25, 0.01);
  const AttentionFwd tiles =
      test::parsed("attention_fwd d=1 hq=4 sq=600 sk=600 mask=block_sparse:10x10:random:0.1:9:perhead");
  EXPECT_NEAR(static_cast<double>(tiles.cost().visible_pairs) / (4 * 360000), 0.1, 0.01);
}

TEST(mask, terms_intersect) {
  EXPECT_EQ(picture("sq=4 sk=4 mask=causal&window:1:-1&dense:1111/1111/0111/1101"), "1000 1100 0110 0001");
  const Frame frame{4, 4, 0, 0};
  const Mask both = Mask::causal() & Mask::window(1, 1);
  EXPECT_TRUE(both.keep(frame, 2, 1));
  EXPECT_FALSE(both.keep(frame, 2, 3));
}

}  // namespace
}  // namespace attend
