// SPDX-License-Identifier: Apache-2.0
#include "plan/item_order.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "support/parsed.hpp"
#include "verify/verify.hpp"

namespace attend::plan_detail {
namespace {

constexpr TileList::Shape kTile{64, 64};

SectionShape shape_of(const AttentionFwd& problem, int64_t budget) {
  return {budget, 2 * (problem.d + problem.dv), problem.group(), kTile.keys};
}

using Place = std::tuple<int32_t, int32_t, int32_t>;
std::multiset<Place> places(const TileList& list) {
  std::multiset<Place> all;
  for (const TileItem& item : list.items) all.insert({item.sequence, item.head, item.first_row});
  return all;
}

/// Keys of the items, those of one key head counted once, times their bytes.
int64_t bytes_of(const TileList& list, const SectionShape& shape, const Section& section) {
  std::set<std::tuple<int64_t, int64_t, int64_t>> tiles;
  for (int64_t i = section.first_item; i < section.first_item + section.items; ++i) {
    const TileItem& item = list.items[static_cast<size_t>(i)];
    for (int64_t t = item.first_tile; t < item.first_tile + item.tiles; ++t)
      tiles.insert({item.sequence, item.head / shape.group, list.tiles[static_cast<size_t>(t)].key});
  }
  return static_cast<int64_t>(tiles.size()) * shape.tile_keys * shape.key_bytes;
}

/// What holds of every list: its items once, sections behind one another and of whole key heads, each within the budget
/// or of one key head, the longest items of each first.
void expect_sections(const AttentionFwd& problem, int64_t budget) {
  TileList list = TileList::make(problem, kTile);
  const std::multiset<Place> before = places(list);
  const SectionShape shape = shape_of(problem, budget);
  const std::vector<Section> sections = order_by_section(list, shape);
  EXPECT_EQ(places(list), before);
  int64_t next = 0;
  std::map<std::pair<int64_t, int64_t>, int64_t> section_of;
  for (size_t s = 0; s < sections.size(); ++s) {
    const Section& section = sections[s];
    EXPECT_EQ(section.first_item, next);
    next += section.items;
    std::set<std::pair<int64_t, int64_t>> heads;
    for (int64_t i = section.first_item; i < next; ++i) {
      const TileItem& item = list.items[static_cast<size_t>(i)];
      const std::pair<int64_t, int64_t> head{item.sequence, item.head / shape.group};
      heads.insert(head);
      EXPECT_EQ(section_of.try_emplace(head, s).first->second, static_cast<int64_t>(s)) << "a key head in two sections";
      if (i > section.first_item) {
        EXPECT_GE(list.items[static_cast<size_t>(i) - 1].tiles, item.tiles);
      }
    }
    EXPECT_GE(section.bytes, bytes_of(list, shape, section));
    EXPECT_TRUE(section.bytes <= budget || heads.size() == 1) << problem.text() << " section " << s;
  }
  EXPECT_EQ(next, static_cast<int64_t>(list.items.size()));
}

TEST(ItemOrder, sections_hold_whole_key_heads_within_the_budget) {
  verify::GeneratorLimits limits;
  limits.max_rows = 500;
  limits.max_columns = 4;
  for (uint64_t seed = 0; seed < 150; ++seed) {
    const AttentionFwd problem = verify::random_problem(seed, limits);
    for (const int64_t budget : {0, 3000, 20000, 1 << 30}) expect_sections(problem, budget);
  }
}

TEST(ItemOrder, a_budget_for_three_heads_makes_sections_of_three) {
  const AttentionFwd problem = test::parsed("attention_fwd b=2 hq=16 hk=8 sq=256 sk=256 d=8 mask=causal dtype=bf16");
  TileList list = TileList::make(problem, kTile);
  const std::vector<Section> sections = order_by_section(list, shape_of(problem, 3 * 256 * 32 + 100));
  ASSERT_EQ(sections.size(), 6u);
  for (size_t s = 0; s < sections.size(); ++s) EXPECT_EQ(sections[s].items, (s < 5 ? 3 : 1) * 2 * 4);
  // Over all heads of the section the longest, then the next.
  for (int i = 0; i < 24; ++i) EXPECT_EQ(list.items[static_cast<size_t>(i)].tiles, 4 - i / 6);
}

TEST(ItemOrder, all_in_the_budget_is_one_section_longest_first) {
  const AttentionFwd problem = test::parsed("attention_fwd b=2 hq=2 sq=300 sk=300 d=8 mask=causal");
  TileList list = TileList::make(problem, kTile);
  EXPECT_EQ(order_by_section(list, shape_of(problem, 1 << 30)).size(), 1u);
  EXPECT_TRUE(std::is_sorted(list.items.begin(), list.items.end(),
                             [](const TileItem& a, const TileItem& b) { return a.tiles > b.tiles; }));
}

TEST(ItemOrder, a_window_counts_the_keys_that_it_sees) {
  const AttentionFwd problem = test::parsed("attention_fwd hq=2 sq=64 sk=6400 d=8 mask=causal&window:63:0 dtype=bf16");
  TileList list = TileList::make(problem, kTile);
  const std::vector<Section> sections = order_by_section(list, shape_of(problem, 1 << 20));
  ASSERT_EQ(sections.size(), 1u);
  EXPECT_EQ(sections[0].bytes, 2 * 2 * 64 * 32);
}

/// Tiles of the worker with most and least to do, each item a tile more.
std::pair<int64_t, int64_t> loads(const TileList& list, const std::vector<int32_t>& first) {
  int64_t most = 0, least = INT64_MAX;
  for (size_t worker = 0; worker + 1 < first.size(); ++worker) {
    int64_t load = 0;
    for (int32_t i = first[worker]; i < first[worker + 1]; ++i) load += list.items[static_cast<size_t>(i)].tiles + 1;
    most = std::max(most, load);
    least = std::min(least, load);
  }
  return {most, least};
}

TEST(ItemOrder, shares_are_level_at_the_end_whatever_the_lengths) {
  std::mt19937 random(3);
  for (int round = 0; round < 20; ++round) {
    const int sequences = 1 + static_cast<int>(random() % 12);
    std::string lengths;
    for (int n = 0; n < sequences; ++n) {
      const uint64_t length = random() % 10 == 0 ? 4000 : random() % 700;
      lengths += (n > 0 ? "," : "") + std::to_string(length);
    }
    const AttentionFwd problem = test::parsed("attention_fwd b=" + std::to_string(sequences) +
                                              " hq=8 hk=4 d=8 layout=thd mask=causal sq=" + lengths + " sk=" + lengths);
    TileList list = TileList::make(problem, kTile);
    const std::multiset<Place> before = places(list);
    if (before.empty()) continue;
    (void)order_by_section(list, shape_of(problem, 64 << 10));
    const int64_t workers = std::min<int64_t>(13, static_cast<int64_t>(list.items.size()));
    int64_t total = 0;
    int32_t longest = 0, last_longest = 0;
    for (const TileItem& item : list.items) {
      total += item.tiles + 1;
      longest = std::max(longest, item.tiles + 1);
    }
    for (size_t i = list.items.size() - static_cast<size_t>(workers); i < list.items.size(); ++i)
      last_longest = std::max(last_longest, list.items[i].tiles + 1);
    const std::vector<int32_t> first = share_out(list, workers);
    ASSERT_EQ(first.size(), static_cast<size_t>(workers) + 1);
    EXPECT_EQ(places(list), before);
    for (size_t i = 1; i < first.size(); ++i) EXPECT_LT(first[i - 1], first[i]) << "a worker without an item";
    const auto [most, least] = loads(list, first);
    // Nobody is later than the mean by more than one item, and what is left uneven is at most the longest.
    EXPECT_LE(most, total / workers + longest) << problem.text();
    EXPECT_LE(most - least, longest) << problem.text();
    if (list.items.size() > 20 * static_cast<size_t>(workers)) {
      EXPECT_LE(most - least, last_longest) << problem.text();
    }
  }
}

TEST(ItemOrder, a_share_keeps_the_order) {
  const AttentionFwd problem = test::parsed("attention_fwd b=2 hq=4 hk=2 sq=700 sk=700 d=8 mask=causal");
  TileList list = TileList::make(problem, kTile);
  (void)order_by_section(list, shape_of(problem, 1 << 30));
  const std::vector<int32_t> first = share_out(list, 5);
  for (size_t worker = 0; worker < 5; ++worker)
    for (int32_t i = first[worker] + 1; i < first[worker + 1]; ++i)
      EXPECT_GE(list.items[static_cast<size_t>(i) - 1].tiles, list.items[static_cast<size_t>(i)].tiles);
}

}  // namespace
}  // namespace attend::plan_detail
