// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <attend/kv_pages.hpp>
#include <numeric>
#include <string>
#include <vector>

namespace attend {
namespace {

using List = std::vector<int32_t>;

KvPages cache(int64_t pages, int64_t page_size = 4, bool share = true) {
  Result<KvPages> made = KvPages::create({pages, page_size, share});
  EXPECT_TRUE(made.ok()) << made.status().message();
  return std::move(made).value();
}

List tokens(int32_t first, int32_t count) {
  List list(static_cast<size_t>(count));
  std::iota(list.begin(), list.end(), first);
  return list;
}

KvPages::Sequence sequence_of(KvPages& pages, const List& list) {
  const auto begun = pages.begin(list);
  EXPECT_TRUE(begun.ok());
  const auto rest = std::span(list).subspan(static_cast<size_t>(begun->cached_tokens));
  const auto appended = pages.append(begun->sequence, rest);
  EXPECT_TRUE(appended.ok()) << appended.status().message();
  EXPECT_FALSE(appended->has_value());
  return begun->sequence;
}

List pages_of(const KvPages& pages, KvPages::Sequence sequence) {
  const auto found = pages.pages(sequence);
  return {found.begin(), found.end()};
}

TEST(KvPages, a_sequence_grows_page_by_page) {
  KvPages pages = cache(8);
  const auto sequence = sequence_of(pages, tokens(0, 6));
  EXPECT_EQ(pages.length(sequence), 6);
  EXPECT_EQ(pages_of(pages, sequence), (List{0, 1}));
  ASSERT_TRUE(pages.append(sequence, tokens(6, 2)).ok());
  EXPECT_EQ(pages_of(pages, sequence), (List{0, 1}));
  ASSERT_TRUE(pages.append(sequence, tokens(8, 1)).ok());
  EXPECT_EQ(pages_of(pages, sequence), (List{0, 1, 2}));
  EXPECT_EQ(pages.statistics().used, 3);
  EXPECT_EQ(pages.statistics().free, 5);
}

TEST(KvPages, a_prefix_is_found_in_whole_pages) {
  KvPages pages = cache(16);
  const auto first = sequence_of(pages, tokens(0, 11));
  for (const auto& [length, found] : {std::pair{3, 0}, {4, 4}, {7, 4}, {8, 8}, {11, 8}, {40, 8}}) {
    const auto begun = pages.begin(tokens(0, length));
    ASSERT_TRUE(begun.ok());
    EXPECT_EQ(begun->cached_tokens, found) << length;
    EXPECT_EQ(pages.length(begun->sequence), found);
    EXPECT_EQ(pages_of(pages, begun->sequence),
              List(pages.pages(first).begin(), pages.pages(first).begin() + found / 4));
  }
  // The same tokens behind others are another prefix.
  List other = tokens(100, 4), same = tokens(4, 4);
  other.insert(other.end(), same.begin(), same.end());
  EXPECT_EQ(pages.begin(other)->cached_tokens, 0);
  EXPECT_EQ(pages.statistics().asked_tokens, 3 + 4 + 7 + 8 + 11 + 40 + 8 + 11);
  EXPECT_EQ(pages.statistics().found_tokens, 4 + 4 + 8 + 8 + 8);
}

TEST(KvPages, what_has_ended_is_still_found_until_its_room_is_needed) {
  KvPages pages = cache(4);
  ASSERT_TRUE(pages.end(sequence_of(pages, tokens(0, 10))).ok());
  EXPECT_EQ(pages.statistics().cached, 2);  // the third page was not full
  EXPECT_EQ(pages.statistics().free, 2);
  const auto again = pages.begin(tokens(0, 10));
  EXPECT_EQ(again->cached_tokens, 8);
  ASSERT_TRUE(pages.end(again->sequence).ok());

  const auto large = sequence_of(pages, tokens(50, 12));
  EXPECT_EQ(pages.statistics().evicted, 1);
  // The end of the prefix went, not its beginning.
  EXPECT_EQ(pages.begin(tokens(0, 10))->cached_tokens, 4);
  EXPECT_EQ(pages.length(large), 12);
}

TEST(KvPages, the_same_tokens_are_cached_once) {
  KvPages pages = cache(8);
  const auto first = pages.begin(), second = pages.begin();  // neither finds the other
  for (const auto& begun : {first, second}) ASSERT_TRUE(pages.append(begun->sequence, tokens(0, 9)).ok());
  EXPECT_EQ(pages.statistics().used, 6);
  const List kept = pages_of(pages, first->sequence);
  ASSERT_TRUE(pages.end(first->sequence).ok());
  ASSERT_TRUE(pages.end(second->sequence).ok());
  EXPECT_EQ(pages.statistics().cached, 2);
  const auto third = pages.begin(tokens(0, 9));
  EXPECT_EQ(pages_of(pages, third->sequence), List(kept.begin(), kept.begin() + 2));
}

TEST(KvPages, an_evicted_page_belongs_to_its_new_sequence_alone) {
  KvPages pages = cache(2);
  ASSERT_TRUE(pages.end(sequence_of(pages, tokens(0, 8))).ok());
  const auto sequence = sequence_of(pages, tokens(50, 2));
  EXPECT_EQ(pages.statistics().evicted, 1);
  const auto copy = pages.append(sequence, tokens(52, 2));
  ASSERT_TRUE(copy.ok());
  EXPECT_FALSE(copy->has_value());
  EXPECT_EQ(pages.begin(tokens(50, 4))->cached_tokens, 4);
}

TEST(KvPages, the_least_recently_used_goes_first) {
  KvPages pages = cache(3, 1);
  for (const int32_t token : {1, 2, 3}) ASSERT_TRUE(pages.end(sequence_of(pages, {token})).ok());
  ASSERT_TRUE(pages.end(pages.begin(List{1})->sequence).ok());  // 2 is the oldest now
  const auto fresh = sequence_of(pages, {9});
  EXPECT_EQ(pages.begin(List{2})->cached_tokens, 0);
  EXPECT_EQ(pages.begin(List{3})->cached_tokens, 1);
  EXPECT_EQ(pages.begin(List{1})->cached_tokens, 1);
  EXPECT_EQ(pages.length(fresh), 1);
}

TEST(KvPages, forks_share_pages_until_they_differ) {
  KvPages pages = cache(8);
  const auto first = sequence_of(pages, tokens(0, 6));
  const auto second = pages.fork(first);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(pages_of(pages, *second), pages_of(pages, first));
  EXPECT_EQ(pages.statistics().used, 2);

  const auto copy = pages.append(*second, tokens(70, 1));
  ASSERT_TRUE(copy.ok() && copy->has_value());
  EXPECT_EQ((*copy)->from, 1);
  EXPECT_EQ((*copy)->to, 2);
  EXPECT_EQ((*copy)->tokens, 2);
  EXPECT_EQ(pages_of(pages, *second), (List{0, 2}));
  // The other has its page for itself again.
  const auto none = pages.append(first, tokens(6, 1));
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->has_value());
  EXPECT_EQ(pages.statistics().copied, 1);
}

TEST(KvPages, a_shortened_sequence_does_not_write_into_what_others_find) {
  KvPages pages = cache(8);
  const auto sequence = sequence_of(pages, tokens(0, 8));
  ASSERT_TRUE(pages.truncate(sequence, 6).ok());
  const auto copy = pages.append(sequence, tokens(60, 2));
  ASSERT_TRUE(copy.ok() && copy->has_value());
  EXPECT_EQ((*copy)->tokens, 2);
  EXPECT_EQ(pages.begin(tokens(0, 8))->cached_tokens, 8);
  List other = tokens(0, 6);
  other.insert(other.end(), {60, 61});
  EXPECT_EQ(pages.begin(other)->cached_tokens, 8);
  ASSERT_TRUE(pages.truncate(sequence, 0).ok());
  EXPECT_EQ(pages.pages(sequence).size(), 0u);
}

TEST(KvPages, without_sharing_nothing_is_found) {
  KvPages pages = cache(4, 4, false);
  ASSERT_TRUE(pages.end(sequence_of(pages, tokens(0, 8))).ok());
  EXPECT_EQ(pages.statistics().free, 4);
  EXPECT_EQ(pages.begin(tokens(0, 8))->cached_tokens, 0);
}

TEST(KvPages, a_full_cache_says_so_and_changes_nothing) {
  KvPages pages = cache(3);
  const auto first = sequence_of(pages, tokens(0, 7));
  const auto begun = pages.begin();
  const auto refused = pages.append(begun->sequence, tokens(50, 5));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), StatusCode::out_of_memory);
  EXPECT_EQ(refused.status().message(), "kv_pages: append: 2 pages needed, 1 free and 0 evictable of 3");
  EXPECT_EQ(pages.length(begun->sequence), 0);
  EXPECT_EQ(pages.statistics().free, 1);
  // The last page to be had, and then a copy that has no room.
  ASSERT_TRUE(pages.append(begun->sequence, tokens(50, 4)).ok());
  const auto fork = pages.fork(first);
  EXPECT_EQ(pages.append(*fork, tokens(9, 1)).status().message(),
            "kv_pages: append: 1 pages needed, 0 free and 0 evictable of 3");
  ASSERT_TRUE(pages.end(begun->sequence).ok());
  const auto copy = pages.append(*fork, tokens(9, 1));
  ASSERT_TRUE(copy.ok() && copy->has_value());
  EXPECT_EQ((*copy)->tokens, 3);
}

TEST(KvPages, says_what_is_wrong) {
  EXPECT_EQ(KvPages::create({0, 16, true}).status().message(),
            "kv_pages: options.pages is 0, expected 1 to 2147483647");
  EXPECT_EQ(KvPages::create({4, 0, true}).status().message(),
            "kv_pages: options.page_size is 0, expected 1 to 2147483647");
  EXPECT_EQ(KvPages::create({2147483647, 2147483647, true}).status().code(), StatusCode::out_of_memory);
  KvPages pages = cache(4);
  const auto sequence = sequence_of(pages, tokens(0, 3));
  EXPECT_EQ(pages.truncate(sequence, 4).message(), "kv_pages: truncate: length is 4, expected 0 to 3");
  ASSERT_TRUE(pages.end(sequence).ok());
  const std::string expected =
      "sequence is " + std::to_string(sequence) + ", expected one that begin or fork returned and that has not ended";
  EXPECT_EQ(pages.end(sequence).message(), "kv_pages: end: " + expected);
  EXPECT_EQ(pages.fork(sequence).status().message(), "kv_pages: fork: " + expected);
  EXPECT_EQ(pages.append(sequence, tokens(0, 1)).status().message(), "kv_pages: append: " + expected);
  EXPECT_EQ(pages.truncate(sequence, 0).message(), "kv_pages: truncate: " + expected);
  EXPECT_EQ(pages.pages(sequence).size(), 0u);
  EXPECT_EQ(pages.length(sequence), 0);
}

}  // namespace
}  // namespace attend
