// SPDX-License-Identifier: Apache-2.0
// A million calls in any order against a model: a sequence is the list of its tokens, and a page is what was written
// into it: for each token a number that depends on it and on all tokens before it, as its K and V do. What a sequence
// finds on its pages must always be its own.
#include <gtest/gtest.h>

#include <attend/kv_pages.hpp>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace attend {
namespace {

using List = std::vector<int32_t>;

class Model {
 public:
  Model(int64_t pages, int64_t page_size, uint64_t seed)
      : pages_(KvPages::create({pages, page_size, true}).value()),
        page_size_(page_size),
        memory_(static_cast<size_t>(pages * page_size)),
        random_(seed) {}

  void step() {
    const uint64_t what = random_() % 100;
    if (sequences_.empty() || (what < 18 && sequences_.size() < 40)) return begin();
    auto at = sequences_.begin();
    std::advance(at, random_() % sequences_.size());
    if (what < 65) return append(*at);
    if (what < 73 && sequences_.size() < 40) return fork(*at);
    if (what < 82) return truncate(*at);
    end(at);
  }

  /// Every sequence, and who uses what.
  void check_all() {
    std::set<int32_t> used;
    for (const auto& [sequence, tokens] : sequences_) {
      check(sequence, tokens);
      for (const int32_t page : pages_.pages(sequence)) used.insert(page);
    }
    const KvPages::Statistics now = pages_.statistics();
    ASSERT_EQ(now.used, static_cast<int64_t>(used.size()));
    ASSERT_EQ(now.free + now.used + now.cached, now.pages);
    ASSERT_EQ(now.sequences, static_cast<int64_t>(sequences_.size()));
  }

  /// At the end of all sequences nothing is lost.
  void finish() {
    while (!sequences_.empty()) end(sequences_.begin());
    ASSERT_EQ(pages_.statistics().used, 0);
    const auto all = pages_.begin();
    const List tokens(static_cast<size_t>(pages_.statistics().pages * page_size_), -5);
    ASSERT_TRUE(pages_.append(all->sequence, tokens).ok());
    ASSERT_EQ(pages_.pages(all->sequence).size(), static_cast<size_t>(pages_.statistics().pages));
  }

  int64_t refused() const { return refused_; }
  KvPages::Statistics statistics() const { return pages_.statistics(); }

 private:
  using Sequences = std::map<KvPages::Sequence, List>;

  /// Few different tokens, so that prefixes meet.
  List draw(size_t longest) {
    List list(random_() % (longest + 1));
    const bool common = random_() % 2 == 0;
    for (size_t i = 0; i < list.size(); ++i)
      list[i] = common ? static_cast<int32_t>(i % 5) : static_cast<int32_t>(random_() % 2);
    return list;
  }

  void check(KvPages::Sequence sequence, const List& tokens) {
    ASSERT_EQ(pages_.length(sequence), static_cast<int64_t>(tokens.size()));
    const auto pages = pages_.pages(sequence);
    ASSERT_EQ(static_cast<int64_t>(pages.size()), (static_cast<int64_t>(tokens.size()) + page_size_ - 1) / page_size_);
    uint64_t content = 0;
    for (size_t i = 0; i < tokens.size(); ++i) {
      content = content_of(content, tokens[i]);
      ASSERT_EQ(memory_[slot(pages, i)], content) << "sequence " << sequence << ", token " << i;
    }
  }
  static uint64_t content_of(uint64_t before, int32_t token) {
    return (before + static_cast<uint32_t>(token) + 1) * uint64_t{0x9e3779b97f4a7c15} ^ before >> 29;
  }
  size_t slot(std::span<const int32_t> pages, size_t token) const {
    const auto size = static_cast<size_t>(page_size_);
    return static_cast<size_t>(pages[token / size]) * size + token % size;
  }

  void begin() {
    const List tokens = draw(60);
    const auto begun = pages_.begin(tokens);
    ASSERT_TRUE(begun.ok());
    const auto cached = static_cast<size_t>(begun->cached_tokens);
    ASSERT_LE(cached, tokens.size());
    List& made = sequences_[begun->sequence] = List(tokens.begin(), tokens.begin() + static_cast<int64_t>(cached));
    check(begun->sequence, made);
  }

  void append(Sequences::value_type& entry) {
    auto& [sequence, tokens] = entry;
    const List more = draw(30);
    const KvPages::Statistics before = pages_.statistics();
    const size_t old_pages = pages_.pages(sequence).size();
    const auto copy = pages_.append(sequence, more);
    if (!copy.ok()) {
      ASSERT_EQ(copy.status().code(), StatusCode::out_of_memory);
      // There really was no room: the new pages, and one for a copy.
      const auto size = static_cast<size_t>(page_size_);
      const size_t needed = (tokens.size() + more.size() + size - 1) / size - old_pages + (tokens.size() % size != 0);
      ASSERT_GT(static_cast<int64_t>(needed), before.free + before.cached);
      ++refused_;
      return check(sequence, tokens);
    }
    if (copy->has_value())
      for (int64_t i = 0; i < (*copy)->tokens; ++i)
        memory_[static_cast<size_t>((*copy)->to * page_size_ + i)] =
            memory_[static_cast<size_t>((*copy)->from * page_size_ + i)];
    const auto pages = pages_.pages(sequence);
    uint64_t content = 0;
    for (const int32_t token : tokens) content = content_of(content, token);
    for (const int32_t token : more) {
      content = content_of(content, token);
      memory_[slot(pages, tokens.size())] = content;
      tokens.push_back(token);
    }
    check(sequence, tokens);
  }

  void fork(const Sequences::value_type& entry) {
    const auto made = pages_.fork(entry.first);
    ASSERT_TRUE(made.ok());
    const List tokens = entry.second;
    check(*made, tokens);
    sequences_[*made] = tokens;
  }

  void truncate(Sequences::value_type& entry) {
    entry.second.resize(random_() % (entry.second.size() + 1));
    ASSERT_TRUE(pages_.truncate(entry.first, static_cast<int64_t>(entry.second.size())).ok());
    check(entry.first, entry.second);
  }

  void end(Sequences::iterator at) {
    ASSERT_TRUE(pages_.end(at->first).ok());
    sequences_.erase(at);
  }

  KvPages pages_;
  int64_t page_size_;
  std::vector<uint64_t> memory_;  ///< what was written for each slot of each page
  Sequences sequences_;
  std::mt19937_64 random_;
  int64_t refused_ = 0;
};

TEST(KvPagesModel, a_million_calls_lose_and_mix_up_nothing) {
  const struct { int64_t pages, page_size; } caches[] = {{200, 4}, {40, 16}, {900, 1}, {3, 7}};
  for (const auto& cache : caches) {
    Model model(cache.pages, cache.page_size, static_cast<uint64_t>(cache.pages));
    for (int i = 0; i < 250'000; ++i) {
      model.step();
      if (i % 1000 == 0) model.check_all();
      if (HasFatalFailure()) FAIL() << "step " << i << ", pages of " << cache.page_size;
    }
    model.check_all();
    model.finish();
    // All of it has happened.
    EXPECT_GT(model.refused(), 100) << cache.page_size;
    EXPECT_GT(model.statistics().found_tokens, 1000) << cache.page_size;
    EXPECT_GT(model.statistics().evicted, 100) << cache.page_size;
    if (cache.page_size > 1) {
      EXPECT_GT(model.statistics().copied, 100) << cache.page_size;
    }
  }
}

}  // namespace
}  // namespace attend
