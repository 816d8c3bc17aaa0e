// SPDX-License-Identifier: Apache-2.0
// Caches in a Problem: the text form, what is refused, where a token lies.
#include <algorithm>
#include <vector>

#include "support/parsed.hpp"

namespace attend {
namespace {

using test::parsed;
using test::refusal;

TEST(cache_text, canonical_lines_print_as_they_are) {
  for (const char* line : {
           "attention_fwd b=2 hq=8 hk=2 sq=1 sk=100 d=64 dtype=bf16 cache=contiguous:2:128",
           "attention_fwd b=3 hq=8 hk=2 sq=1 sk=5,0,70 d=64 dtype=bf16 layout=bhsd cache=contiguous:5:128 entry=4,0,2 "
           "first=3,0,58 mask=causal",
           "attention_fwd b=2 hq=2 hk=1 sq=1 sk=1000 d=64 dtype=f32 cache=ring:2:128 mask=window:127:0",
           "attention_fwd b=2 hq=2 hk=1 sq=1,3 sk=17,40 d=64 dtype=f32 cache=paged:9:16 pages=8,0/1,2,7 "
           "kv_format=int8",
           "attention_fwd b=2 hq=2 hk=1 sq=1 sk=3,0 d=64 dtype=f32 cache=paged:9:1 pages=8,0,3/ kv_format=int8,int4_32 "
           "k_mean=1",
           "attention_fwd b=1 hq=2 hk=1 sq=1 sk=0 d=64 dtype=f32 cache=paged:9:1 pages=,",
           "attention_fwd b=4 hq=2 hk=1 sq=1 sk=100 d=64 dtype=f32 cache=paged:40:16 pages=shuffled:3",
           "attention_fwd b=4 hq=2 hk=1 sq=1 sk=100 d=64 dtype=f32 cache=paged:40:16 pages=shared:64:3 kv_format=e4m3",
           "attention_fwd b=1 hq=2 hk=1 sq=1 sk=9 d=64 dtype=f32 k_strides=4096,128,64 cache=contiguous:1:32 "
           "kv_format=int4_64,plain k_scale_strides=64,2,1",
       }) {
    EXPECT_EQ(parsed(line).text(), line);
  }
}

TEST(cache_text, fields_mean_what_they_say) {
  const AttentionFwd p = parsed(
      "attention_fwd b=2 hq=4 hk=2 sq=1 sk=17,40 d=64 dtype=f32,bf16,bf16,f32 layout=bhsd cache=paged:9:16 "
      "pages=8,0/1,2,7 kv_format=int4_32,plain");
  EXPECT_EQ(p.sk, 40);
  EXPECT_EQ(p.key_length(0), 17);
  EXPECT_EQ(p.key_length(1), 40);
  EXPECT_TRUE(p.cu_k.empty());
  EXPECT_EQ(p.k_strides, (Strides{2 * 16 * 64, 64, 16 * 64}));  // head-major pages
  EXPECT_EQ(p.k_offset(0, 16, 1), 0 * 2048 + 0 * 64 + 1 * 1024);
  EXPECT_EQ(p.k_offset(1, 39, 0), 7 * 2048 + 7 * 64);
  EXPECT_EQ(p.k_scale_offset(1, 39, 1), 7 * 64 + 7 * 2 + 32);
}

TEST(cache_text, a_ring_wraps_and_padding_shifts) {
  const AttentionFwd ring = parsed("attention_fwd b=1 hq=1 sq=1 sk=100 d=4 cache=ring:1:32 mask=window:31:0");
  EXPECT_EQ(ring.k_offset(0, 99, 0), 99 % 32 * 4);
  const AttentionFwd padded =
      parsed("attention_fwd b=2 hq=1 sq=1 sk=10,20 d=4 cache=contiguous:2:30 first=20,3 entry=1,0");
  EXPECT_EQ(padded.k_offset(0, 0, 0), 1 * 120 + 20 * 4);
  EXPECT_EQ(padded.v_offset(1, 5, 0), 8 * 4);
}

TEST(cache_text, shared_pages_are_the_same_and_the_others_are_not) {
  const AttentionFwd p = parsed("attention_fwd b=3 hq=1 sq=1 sk=100,90,20 d=4 cache=paged:64:16 pages=shared:40:9");
  std::vector<int> uses(64);
  for (int64_t n = 0; n < p.b; ++n)
    for (int64_t i = p.cache->cu_pages[n]; i < p.cache->cu_pages[n + 1]; ++i) ++uses[p.cache->pages[i]];
  EXPECT_EQ(std::count(uses.begin(), uses.end(), 3), 2);  // 40 tokens are two whole pages
  EXPECT_EQ(std::count(uses.begin(), uses.end(), 2), 0);
}

TEST(cache_text, refusals_name_field_found_and_expected) {
  const struct {
    const char *line, *message;
  } table[] = {
      {"sq=1 d=8 pages=1", "pages is given, expected a line with cache="},
      {"sq=1 d=8 cache=heap:1:1",
       "cache is \"heap:1:1\", expected contiguous:ENTRIES:ROWS, ring:ENTRIES:ROWS or paged:PAGES:ROWS"},
      {"sq=1 sk=9 d=8 cache=contiguous:1:8",
       "cache.lengths[0] is 9, expected an end of at most cache.rows = 8 (first + length is 9)"},
      {"b=2 sq=1 sk=4 d=8 cache=contiguous:1:8", "cache.entries is 1, expected at least b = 2"},
      {"b=2 sq=1 sk=4 d=8 cache=contiguous:1:8 entry=0,1", "cache.entry[1] is 1, expected 0 to 0"},
      {"sq=1 sk=40 d=8 cache=ring:1:8",
       "mask is one that shows key 0 of sequence 0, expected one that hides keys before 32, which the ring no longer "
       "holds, as a window does"},
      {"sq=1 sk=40 d=8 cache=paged:8:16",
       "pages is missing, expected page numbers, shuffled:SEED or shared:TOKENS:SEED"},
      {"sq=1 sk=40 d=8 cache=paged:8:16 pages=1,2",
       "cache.pages is 2 of sequence 0, expected 3 for 40 tokens in pages of 16"},
      {"sq=1 sk=40 d=8 cache=paged:8:16 pages=1,2,8", "cache.pages[2] is 8, expected 0 to 7"},
      {"sq=1 sk=40 d=8 cache=paged:2:16 pages=shuffled:1", "cache is 2 pages, expected 3 or more"},
      {"sq=1 sk=4 d=8 cache=contiguous:1:8 kv_format=int5",
       "kv_format is \"int5\", expected one of plain, int8, int8_channel, int4_32, int4_64, e4m3"},
      {"sq=1 sk=4 d=8 cache=contiguous:1:8 kv_format=int4_32 k_strides=3,1,1",
       "k_strides is 3,1,1 (batch, row, head), expected even numbers: two elements share a byte"},
      {"sq=1 sk=4 d=8 cache=contiguous:2147483647:2147483647 k_strides=1000000000000,1,1",
       "k_strides is 1000000000000,1,1 (batch, row, head), expected element offsets of at most 2^60"},
      {"sq=1 sk=4 d=8 cache=ring:1:8 first=1,", "cache.first is 1 numbers, expected none with a ring"},
  };
  for (const auto& each : table)
    EXPECT_EQ(refusal(std::string("attention_fwd ") + each.line), std::string("attention_fwd: ") + each.message)
        << each.line;
}

/// Nothing that a line asks for may grow beyond a fixed size, whatever the numbers in it.
TEST(cache_text, hostile_sizes_are_refused_before_memory_is_taken) {
  for (const char* line : {
           "sq=1 sk=4 d=8 cache=paged:1048577:1 pages=shuffled:1",
           "sq=1 sk=1048577 d=8 cache=paged:2147483647:1 pages=shuffled:1",
           "b=2 sq=1 sk=1048570 d=8 cache=paged:1048576:1 pages=shared:1048576:1",
       }) {
    const std::string message = refusal(std::string("attention_fwd ") + line);
    EXPECT_NE(message.find("expected at most 1048576"), std::string::npos) << line << "\n" << message;
  }
  EXPECT_EQ(refusal("attention_fwd b=1048577 sq=1 sk=0 d=8 cache=contiguous:2147483647:4"),
            "attention_fwd: b is 1048577, expected 0 to 1048576 with a cache");
}

TEST(cache_text, problems_that_contradict_themselves_are_refused_in_code) {
  AttentionFwd good = parsed("attention_fwd b=2 hq=2 hk=1 sq=1 sk=3,2 d=8 cache=paged:4:2 pages=0,1/2");
  EXPECT_TRUE(good.check().ok());
  AttentionFwd table = good;
  table.cache->cu_pages = {};
  table.cache->table_width = 2;
  table.cache->pages = Array<int32_t>(std::vector<int32_t>{0, 1, 2, -1});  // what no token needs may be anything
  EXPECT_TRUE(table.check().ok()) << table.check().message();
  EXPECT_EQ(table.text(), good.text());
  table.cache->table_width = 3;
  EXPECT_EQ(table.check().message(), "attention_fwd: cache.pages is 4 numbers, expected b * table_width = 6");
  AttentionFwd lengths = good;
  lengths.cache->lengths = Array<int32_t>(std::vector<int32_t>{3});
  EXPECT_EQ(lengths.check().message(), "attention_fwd: cache.lengths is 1 numbers, expected b = 2");
  EXPECT_NE(lengths.text().find("cache=?"), std::string::npos);
  AttentionFwd longest = good;
  longest.sk = 4;
  EXPECT_EQ(longest.check().message(), "attention_fwd: sk is 4, expected 3, the longest of cache.lengths");
  AttentionFwd format = good;
  format.cache->v_format = static_cast<KvFormat>(17);
  EXPECT_EQ(format.check().message(), "attention_fwd: cache.v_format is 17, expected a row of kv_formats.def");
  AttentionFwd placement = good;
  placement.cache->placement = static_cast<KvPlacement>(3);
  EXPECT_EQ(placement.check().message(), "attention_fwd: cache.placement is 3, expected contiguous, ring or paged");
  AttentionFwd rows = good;
  rows.cache->rows = 0;
  EXPECT_EQ(rows.check().message(), "attention_fwd: cache.rows is 0, expected 1 to 2147483647");
  AttentionFwd offsets = good;
  offsets.cu_k = Array<int32_t>(std::vector<int32_t>{0, 3, 5});
  EXPECT_EQ(offsets.check().message(),
            "attention_fwd: cu_k is given, expected none: lengths of keys are those of the cache");
}

TEST(cache_text, costs_count_what_the_formats_take) {
  const AttentionFwd plain = parsed("attention_fwd b=2 hq=2 hk=1 sq=1 sk=30,10 d=64 dtype=bf16 cache=contiguous:2:64");
  const AttentionFwd int4 =
      parsed("attention_fwd b=2 hq=2 hk=1 sq=1 sk=30,10 d=64 dtype=bf16 cache=contiguous:2:64 kv_format=int4_32");
  EXPECT_EQ(plain.cost().visible_pairs, 2 * 40);
  const double q_and_o = 2 * 2 * 2 * 64 * 2;
  EXPECT_EQ(plain.cost().bytes, q_and_o + 40 * 2 * 64 * 2);
  EXPECT_EQ(int4.cost().bytes, q_and_o + 40 * 2 * (32 + 2 * 2));
}

}  // namespace
}  // namespace attend
