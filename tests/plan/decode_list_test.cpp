// SPDX-License-Identifier: Apache-2.0
#include "plan/decode_list.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "plan/work_list.hpp"

namespace attend::plan_detail {
namespace {

constexpr DecodeRule kRule{16, 64, 4096};

/// Two heads to a group, so that rows are twice the queries.
AttentionFwd mixed_batch() {
  return *AttentionFwd::parse(
      "attention_fwd b=8 hq=4 hk=2 d=32 sq=0,1,8,9,9,32,33,40 sk=5000,0,100,100,4096,4096,4096,4095 "
      "cache=contiguous:8:5000");
}

TEST(DecodeList, a_sequence_is_decoded_or_packed) {
  const AttentionFwd problem = mixed_batch();
  const DecodeList decoded = DecodeList::make(problem, {kRule, 256, 64, 0, false});
  const WorkList packed = WorkList::make(problem, {96, 12, 64, 8, 1024, kRule, 1 << 20});
  std::set<int64_t> few, many;
  for (const DecodeItem& item : decoded.items) few.insert(item.sequence);
  for (const Unit& unit : packed.units) many.insert(unit.sequence);
  EXPECT_EQ(few, (std::set<int64_t>{1, 2, 4, 5}));
  EXPECT_EQ(many, (std::set<int64_t>{3, 6, 7}));
}

TEST(DecodeList, every_row_meets_every_key_once) {
  const AttentionFwd problem = mixed_batch();
  for (const bool together : {false, true}) {
    const DecodeList list = DecodeList::make(problem, {kRule, 24, 64, 0, together});
    // Keys of a row, and of how many parts its state is merged.
    std::vector<std::tuple<int64_t, int64_t, int64_t, int64_t>> met;
    std::set<std::tuple<int64_t, int64_t, int64_t>> rows;
    for (const DecodeItem& item : list.items) {
      EXPECT_LE(item.heads * item.rows, 24);
      EXPECT_LT(item.part, item.merge < 0 ? 1 : list.merges[static_cast<size_t>(item.merge)].parts);
      for (int64_t head = item.key_head; head < item.key_head + item.heads; ++head)
        for (int64_t row = item.first_row; row < item.first_row + item.rows; ++row) {
          rows.insert({item.sequence, head, row});
          for (int64_t key = item.keys.begin; key < item.keys.end; ++key)
            met.emplace_back(item.sequence, head, row, key);
        }
    }
    const auto distinct = std::set(met.begin(), met.end());
    EXPECT_EQ(distinct.size(), met.size());
    size_t expected = 0, expected_rows = 0;
    for (int64_t n = 0; n < problem.b; ++n) {
      if (!kRule.holds(problem, n)) continue;
      const auto count = static_cast<size_t>(problem.hk * problem.query_length(n) * problem.group());
      expected_rows += count;
      expected += count * static_cast<size_t>(problem.key_length(n));
    }
    EXPECT_EQ(rows.size(), expected_rows);
    EXPECT_EQ(met.size(), expected);
  }
}

TEST(DecodeList, chunks_that_no_row_sees_are_left_out) {
  const auto keys_of = [](const std::string& mask) {
    const AttentionFwd problem = *AttentionFwd::parse("attention_fwd hq=2 hk=1 sq=2 sk=16384 d=32 mask=" + mask);
    const DecodeList list = DecodeList::make(problem, {kRule, 24, 64, 8, false});
    EXPECT_EQ(list.merges.size(), list.items.size() > 1 ? 1U : 0U);
    std::vector<Range> keys;
    for (const DecodeItem& item : list.items) {
      EXPECT_EQ(item.part, static_cast<int64_t>(keys.size()));
      keys.push_back(item.keys);
    }
    if (!list.merges.empty()) {
      EXPECT_EQ(list.merges[0].parts, static_cast<int64_t>(keys.size()));
      EXPECT_EQ(list.states, 4 * list.merges[0].parts);
    }
    return keys;
  };
  EXPECT_EQ(keys_of("causal&streaming:4:600"), (std::vector<Range>{{0, 512}, {15360, 15872}, {15872, 16384}}));
  EXPECT_EQ(keys_of("causal&streaming:0:600"), (std::vector<Range>{{15782, 15872}, {15872, 16384}}));
  EXPECT_EQ(keys_of("block_sparse:2x512:3,7"), (std::vector<Range>{{1536, 2048}, {3584, 4096}}));
  EXPECT_EQ(keys_of("block_sparse:2x512:"), (std::vector<Range>{{}}));
  EXPECT_EQ(keys_of("window:5:0&padding:100"), (std::vector<Range>{{}}));
}

}  // namespace
}  // namespace attend::plan_detail
