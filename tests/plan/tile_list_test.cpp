// SPDX-License-Identifier: Apache-2.0
#include "plan/tile_list.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "support/parsed.hpp"
#include "verify/verify.hpp"

namespace attend::plan_detail {
namespace {

/// What the lists say of one item: for each row the keys that are kept.
std::vector<std::vector<bool>> kept_of(const TileList& list, const TileList::Shape& shape, const TileItem& item,
                                       int64_t keys) {
  std::vector<std::vector<bool>> kept(static_cast<size_t>(item.rows), std::vector<bool>(static_cast<size_t>(keys)));
  for (int64_t t = item.first_tile; t < item.first_tile + item.tiles; ++t) {
    const KeyTile& tile = list.tiles[static_cast<size_t>(t)];
    for (int32_t row = 0; row < item.rows; ++row)
      for (int32_t i = 0; i < shape.keys; ++i) {
        bool keep = true;
        if (tile.bits >= 0) {
          const int64_t word = tile.bits * list.block_words + (int64_t{row} * shape.keys + i) / 32;
          keep = (list.bits[static_cast<size_t>(word)] >> i % 32 & 1) != 0;
        }
        if (!keep) continue;
        EXPECT_LT(tile.key + i, keys) << "a key past the end";
        if (tile.key + i < keys) {
          EXPECT_FALSE(kept[row][tile.key + i]) << "a key in two tiles";
          kept[row][tile.key + i] = true;
        }
      }
  }
  return kept;
}

/// Every row of every head is in one item, and the lists keep what the mask keeps.
void expect_equals_mask(const AttentionFwd& problem, const TileList::Shape& shape) {
  const TileList list = TileList::make(problem, shape);
  std::set<std::vector<int64_t>> rows;
  for (const TileItem& item : list.items) {
    EXPECT_LE(item.rows, shape.rows);
    const auto kept = kept_of(list, shape, item, problem.key_length(item.sequence));
    for (int32_t i = 0; i < item.rows; ++i) {
      const int64_t head = item.head + i % shape.pack, row = item.first_row + i / shape.pack;
      const Frame frame = problem.frame(item.sequence, head);
      EXPECT_TRUE(rows.insert({item.sequence, head, row}).second) << "a row in two items";
      for (int64_t key = 0; key < frame.sk; ++key)
        ASSERT_EQ(kept[i][key], problem.mask.keep(frame, row, key))
            << problem.text() << " head " << head << " row " << row << " key " << key;
    }
  }
  int64_t expected = 0;
  for (int64_t n = 0; n < problem.b; ++n) expected += problem.hq * problem.query_length(n);
  EXPECT_EQ(static_cast<int64_t>(rows.size()), expected) << problem.text();
}

TEST(TileList, keeps_what_the_mask_keeps) {
  verify::GeneratorLimits limits;
  limits.max_rows = 150;
  limits.max_columns = 4;
  for (uint64_t seed = 0; seed < 150; ++seed) {
    const AttentionFwd problem = verify::random_problem(seed, limits);
    expect_equals_mask(problem, seed % 2 == 0 ? TileList::Shape{16, 32} : TileList::Shape{64, 96});
  }
}

TEST(TileList, keeps_what_the_mask_keeps_for_packed_heads) {
  verify::GeneratorLimits limits;
  limits.max_rows = 150;
  limits.max_columns = 4;
  int packed = 0, per_head = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const AttentionFwd problem = verify::random_problem(seed, limits);
    for (int32_t pack = 2; problem.group() % pack == 0 && pack <= 8; pack *= 2, ++packed)
      expect_equals_mask(problem, seed % 2 == 0 ? TileList::Shape{16, 32, pack} : TileList::Shape{64, 96, pack});
    per_head += problem.mask.per_head() && problem.group() % 2 == 0 ? 1 : 0;
  }
  EXPECT_GT(packed, 80);
  EXPECT_GT(per_head, 4);
}

TEST(TileList, tiles_that_the_mask_skips_are_in_no_list) {
  const AttentionFwd problem = test::parsed("attention_fwd b=1 hq=1 sq=1024 sk=1024 d=8 mask=causal&window:127:0");
  const TileList list = TileList::make(problem, {128, 128});
  for (const TileItem& item : list.items) EXPECT_LE(item.tiles, 2);
  EXPECT_EQ(list.full_tiles, 0);
  EXPECT_EQ(list.partial_tiles, 15);
}

TEST(TileList, equal_blocks_and_equal_lists_are_kept_once) {
  const AttentionFwd problem = test::parsed("attention_fwd b=3 hq=4 hk=2 sq=1024 sk=1024 d=8 mask=causal");
  const TileList list = TileList::make(problem, {128, 128});
  EXPECT_EQ(static_cast<int64_t>(list.bits.size()), list.block_words) << "every diagonal tile looks alike";
  EXPECT_EQ(list.tiles.size(), 36u);
  EXPECT_EQ(list.full_tiles, 12 * 28);
  EXPECT_EQ(list.partial_tiles, 12 * 8);
}

TEST(TileList, rows_without_a_key_are_items_without_tiles) {
  const AttentionFwd no_keys = test::parsed("attention_fwd b=2 hq=3 sq=5 sk=0 d=8");
  const TileList list = TileList::make(no_keys, {16, 32});
  ASSERT_EQ(list.items.size(), 6u);
  for (const TileItem& item : list.items) EXPECT_EQ(item.tiles, 0);
  EXPECT_TRUE(TileList::make(test::parsed("attention_fwd b=2 hq=3 sq=0 sk=7 d=8"), {16, 32}).items.empty());
  EXPECT_TRUE(TileList::make(test::parsed("attention_fwd b=0 hq=3 sq=4 sk=7 d=8"), {16, 32}).items.empty());
}

}  // namespace
}  // namespace attend::plan_detail
