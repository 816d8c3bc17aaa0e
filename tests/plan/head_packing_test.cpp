// SPDX-License-Identifier: Apache-2.0
#include "plan/head_packing.hpp"

#include <gtest/gtest.h>

#include <string>

namespace attend::plan_detail {
namespace {

HeadPacking packing_of(const std::string& line, int32_t most = 16) {
  Result<AttentionFwd> problem = AttentionFwd::parse("attention_fwd d=8 dtype=bf16 " + line);
  EXPECT_TRUE(problem.ok()) << problem.status().message();
  return HeadPacking::choose(*problem, {128, 128}, most);
}

TEST(HeadPacking, packs_where_rows_would_be_empty) {
  const struct {
    const char* line;
    int32_t heads;
    int64_t visits;
  } cases[] = {
      {"hq=8 hk=2 sq=1 sk=512", 4, 2 * 4},
      {"hq=8 hk=1 sq=17 sk=512", 8, 2 * 4},
      {"hq=32 hk=1 sq=1 sk=128", 16, 2},
      {"hq=4 hk=2 sq=64 sk=256", 2, 2 * 2},
      {"hq=4 hk=2 sq=130 sk=256", 2, 6 * 2},
      {"hq=6 hk=1 sq=10 sk=256", 2, 3 * 2},
      {"hq=4 hk=2 sq=128 sk=256", 1, 4 * 2},
      {"hq=8 hk=1 sq=1000 sk=1000", 1, 64 * 8},
      {"hq=3 hk=1 sq=10 sk=256", 1, 3 * 2},
      {"hq=4 hk=4 sq=10 sk=256", 1, 4 * 2},
      {"b=3 hq=4 hk=2 layout=thd sq=5,0,40 sk=100,20,300", 2, 2 * (1 + 3)},
  };
  for (const auto& each : cases) {
    const HeadPacking packing = packing_of(each.line);
    EXPECT_EQ(packing.heads, each.heads) << each.line << ": " << packing.why;
    EXPECT_EQ(packing.list.visits(), each.visits) << each.line << ": " << packing.why;
  }
}

TEST(HeadPacking, says_why) {
  EXPECT_EQ(packing_of("hq=8 hk=2 sq=1 sk=512").why, "4 heads in the rows of an item: 8 tiles instead of 32");
  EXPECT_EQ(packing_of("hq=8 hk=2 sq=1 sk=512", 1).why, "none, the kernel takes one head at a time");
  EXPECT_EQ(packing_of("hq=2 hk=2 sq=1 sk=512").why, "none, one query head for each key head");
  EXPECT_EQ(packing_of("hq=6 hk=2 sq=1 sk=512").why, "none, a group of 3 heads has no power of two in it");
  EXPECT_EQ(packing_of("hq=4 hk=2 sq=128 sk=512").why,
            "none, rows fill their tiles: 4 items with 2 heads in each, 4 with one");
}

TEST(HeadPacking, heads_that_see_different_keys_are_packed_where_that_visits_fewer_tiles) {
  const HeadPacking apart = packing_of("hq=4 hk=1 sq=1 sk=12800 mask=block_sparse:128x128:random:0.02:7:perhead");
  EXPECT_EQ(apart.heads, 1);
  EXPECT_NE(apart.why.find("would visit"), std::string::npos) << apart.why;
  const HeadPacking alike = packing_of("hq=4 hk=1 sq=1 sk=12800 mask=block_sparse:128x128:random:0.9:7:perhead");
  EXPECT_EQ(alike.heads, 4) << alike.why;
}

TEST(HeadPacking, nothing_to_see_is_packed_too) {
  EXPECT_EQ(packing_of("hq=4 hk=1 sq=1 sk=0").heads, 4);
  EXPECT_TRUE(packing_of("b=2 hq=4 hk=1 sq=0 sk=9").list.items.empty());
  EXPECT_TRUE(packing_of("b=0 hq=4 hk=1 sq=3 sk=9").list.items.empty());
}

}  // namespace
}  // namespace attend::plan_detail
