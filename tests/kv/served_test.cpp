// SPDX-License-Identifier: Apache-2.0
// Caches at their limits: the last page, the last row, and sequences that end in any order.
#include "served.hpp"

namespace attend::test {
namespace {

using List = Served::List;

List tokens(int32_t first, int64_t count) {
  List list(static_cast<size_t>(count));
  for (size_t i = 0; i < list.size(); ++i) list[i] = first + static_cast<int32_t>(i);
  return list;
}

TEST(Served, a_cache_is_filled_to_the_last_page_and_goes_on_when_one_ends) {
  for (const int64_t size : {1, 4, 16}) {
    Served served(8, size);
    const auto first = served.begin(), second = served.begin(), third = served.begin();
    ASSERT_TRUE(served.append(first, tokens(0, 3 * size)).ok());
    for (int32_t i = 0; i < 4 * size; ++i) ASSERT_TRUE(served.append(second, {1000 + i}).ok());
    ASSERT_TRUE(served.append(third, tokens(2000, size)).ok());
    EXPECT_EQ(served.statistics().free, 0);
    served.check_all();

    const auto before = served.memory();
    for (const auto sequence : {first, second, third}) {
      EXPECT_EQ(served.append(sequence, {7}).message(),
                "kv_pages: append: 1 pages needed, 0 free and 0 evictable of 8");
      EXPECT_EQ(served.append(sequence, tokens(3000, 9 * size)).message(),
                "kv_pages: append: 9 pages needed, 0 free and 0 evictable of 8");
    }
    EXPECT_EQ(served.memory(), before);
    served.check_all();

    served.end(second);
    ASSERT_TRUE(served.append(third, tokens(2000 + static_cast<int32_t>(size), 4 * size)).ok());
    EXPECT_EQ(served.append(first, {7}).message(), "kv_pages: append: 1 pages needed, 0 free and 0 evictable of 8");
    served.truncate(third, 2 * size);
    ASSERT_TRUE(served.append(first, tokens(4000, 3 * size)).ok());
    served.check_all();
    served.finish();
  }
}

/// Keys and values that a batch brings: one that does not fit keeps all of them out.
TEST(Served, what_does_not_fit_is_refused_before_anything_is_written) {
  using Ints = std::vector<int32_t>;
  const std::string contiguous = "contiguous:3:20", paged = "paged:9:4 pages=0,1,2,3,4/5,6,7/8,3";
  const struct {
    std::string cache;
    void (*spoil)(KvCache& cache);
    std::string message;
  } table[] = {
      {contiguous,
       [](KvCache& cache) {
         cache.lengths = Ints{20, 9, 21};
       },
       "attention_fwd: cache.lengths[2] is 21, expected an end of at most cache.rows = 20 (first + length is 21)"},
      {contiguous,
       [](KvCache& cache) {
         cache.first = Ints{0, 12, 0};
       },
       "attention_fwd: cache.lengths[1] is 9, expected an end of at most cache.rows = 20 (first + length is 21)"},
      {contiguous,
       [](KvCache& cache) {
         cache.entry = Ints{0, 1, 3};
       },
       "attention_fwd: cache.entry[2] is 3, expected 0 to 2"},
      {contiguous,
       [](KvCache& cache) {
         cache.entry = Ints{0, 2, 2}, cache.lengths = Ints{20, 9, 9};
       },
       "kv_append: cache.entry is row 7 of entry 2 for token 7 of sequence 1 and token 7 of sequence 2, expected a "
       "place of its own for each new token"},
      {paged,
       [](KvCache& cache) {
         cache.lengths = Ints{20, 9, 9};
       },
       "attention_fwd: cache.pages is 2 of sequence 2, expected 3 for 9 tokens in pages of 4"},
      {paged, [](KvCache& cache) { cache.pages = Ints{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}; },
       "attention_fwd: cache.pages[9] is 9, expected 0 to 8"},
      {paged, [](KvCache& cache) { cache.pages = Ints{0, 1, 2, 3, 4, 5, 6, 7, 8, 7}; },
       "kv_append: cache.pages is row 0 of page 7 for token 8 of sequence 1 and token 4 of sequence 2, expected a "
       "place "
       "of its own for each new token"},
  };
  const std::vector<float> rows(3 * 2 * 2, 1.0F);
  for (const auto& each : table) {
    auto parsed = AttentionFwd::parse("attention_fwd b=3 sq=2 sk=20,9,5 d=2 cache=" + each.cache);
    ASSERT_TRUE(parsed.ok()) << parsed.status().message();
    AttentionFwd problem = std::move(parsed).value();
    std::vector<float> k(3 * 20 * 2, 7.0F), v(k), before(k);
    KvAppendArgs args;
    args.new_k = args.new_v = rows.data();
    args.new_k_strides = args.new_v_strides = {4, 2, 2};
    args.k = k.data();
    args.v = v.data();
    each.spoil(*problem.cache);
    problem.sk = *std::max_element(problem.cache->lengths.begin(), problem.cache->lengths.end());
    EXPECT_EQ(kv_append(problem, args).message(), each.message);
    EXPECT_EQ(k, before) << each.message;
    EXPECT_EQ(v, before) << each.message;
  }
}

/// A tree of forks that diverge at each step, its sequences ended in each of the possible orders.
TEST(Served, forks_end_in_any_order) {
  for (const bool share_prefixes : {false, true}) {
    std::vector<int> order{0, 1, 2, 3, 4};
    do {
      Served served(24, 4, share_prefixes);
      std::vector<Served::Sequence> made{served.begin()};
      ASSERT_TRUE(served.append(made[0], tokens(0, 10)).ok());
      made.push_back(served.fork(made[0]));
      ASSERT_TRUE(served.append(made[0], tokens(100, 3)).ok());
      made.push_back(served.fork(made[1]));
      made.push_back(served.fork(made[2]));
      ASSERT_TRUE(served.append(made[2], tokens(200, 7)).ok());
      served.truncate(made[3], 5);
      made.push_back(served.fork(made[3]));
      for (const int ended : order) {
        served.end(made[static_cast<size_t>(ended)]);
        served.check_all();
        // Who is left goes on, into pages that have just become free.
        for (const auto& [sequence, of] : std::map(served.sequences()))
          ASSERT_TRUE(served.append(sequence, tokens(300 + ended, 1)).ok());
        served.check_all();
        ASSERT_FALSE(HasFailure()) << ::testing::PrintToString(order);
      }
      served.finish();
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

}  // namespace
}  // namespace attend::test
