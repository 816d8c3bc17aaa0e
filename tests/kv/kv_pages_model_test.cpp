// SPDX-License-Identifier: Apache-2.0
// A million calls in any order: what each sequence finds on its pages is its own.
#include <random>

#include "served.hpp"

namespace attend::test {
namespace {

/// One call, drawn.
class Caller {
 public:
  Caller(Served& served, uint64_t seed) : served_(served), random_(seed) {}

  void step() {
    const auto& sequences = served_.sequences();
    const uint64_t what = random_() % 100;
    if (sequences.empty() || (what < 18 && sequences.size() < 40)) {
      served_.begin(draw(60));
      return;
    }
    auto at = sequences.begin();
    std::advance(at, random_() % sequences.size());
    if (what < 65) {
      if (!served_.append(at->first, draw(30)).ok()) ++refused_;
    } else if (what < 73 && sequences.size() < 40) {
      served_.fork(at->first);
    } else if (what < 82) {
      served_.truncate(at->first, static_cast<int64_t>(random_() % (at->second.size() + 1)));
    } else {
      served_.end(at->first);
    }
  }
  int64_t refused() const { return refused_; }

 private:
  /// Few different tokens, so that prefixes meet.
  Served::List draw(size_t longest) {
    Served::List list(random_() % (longest + 1));
    const bool common = random_() % 2 == 0;
    for (size_t i = 0; i < list.size(); ++i)
      list[i] = common ? static_cast<int32_t>(i % 5) : static_cast<int32_t>(random_() % 2);
    return list;
  }

  Served& served_;
  std::mt19937_64 random_;
  int64_t refused_ = 0;
};

TEST(KvPagesModel, a_million_calls_lose_and_mix_up_nothing) {
  const struct { int64_t pages, page_size; } caches[] = {{200, 4}, {40, 16}, {900, 1}, {3, 7}};
  for (const auto& cache : caches) {
    Served served(cache.pages, cache.page_size);
    Caller caller(served, static_cast<uint64_t>(cache.pages));
    for (int i = 0; i < 250'000; ++i) {
      caller.step();
      if (i % 1000 == 0) served.check_all();
      if (HasFailure()) FAIL() << "step " << i << ", pages of " << cache.page_size;
    }
    served.check_all();
    served.finish();
    // All of it has happened.
    EXPECT_GT(caller.refused(), 100) << cache.page_size;
    EXPECT_GT(served.statistics().found_tokens, 1000) << cache.page_size;
    EXPECT_GT(served.statistics().evicted, 100) << cache.page_size;
    if (cache.page_size > 1) {
      EXPECT_GT(served.statistics().copied, 100) << cache.page_size;
    }
  }
}

}  // namespace
}  // namespace attend::test
