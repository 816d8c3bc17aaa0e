// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <attend/attend.hpp>
#include <cstring>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace attend::test {

/// Sequences as an engine serves them, in pages whose K and V kv_append() writes and attention reads, next to a model:
/// a sequence is the list of its tokens, and K and V of a token depend on it and on all tokens before it. What lies in
/// the pages of a sequence must always be its own.
class Served {
 public:
  using List = std::vector<int32_t>;
  using Sequence = KvPages::Sequence;

  Served(int64_t pages, int64_t page_size, bool share_prefixes = true)
      : pages_(KvPages::create({pages, page_size, share_prefixes}).value()),
        k_(static_cast<size_t>(pages * page_size * kColumns), -1e30F),
        v_(k_) {}

  const std::map<Sequence, List>& sequences() const { return sequences_; }
  KvPages::Statistics statistics() const { return pages_.statistics(); }
  std::pair<std::vector<float>, std::vector<float>> memory() const { return {k_, v_}; }

  /// A sequence of those of the tokens that are cached.
  Sequence begin(const List& tokens = {}) {
    const auto begun = pages_.begin(tokens);
    EXPECT_TRUE(begun.ok());
    EXPECT_LE(begun->cached_tokens, static_cast<int64_t>(tokens.size()));
    sequences_[begun->sequence] = List(tokens.begin(), tokens.begin() + begun->cached_tokens);
    check(begun->sequence);
    return begun->sequence;
  }

  /// Room, the copy that is asked for, then K and V. A refusal must come for lack of pages, and change nothing.
  Status append(Sequence sequence, const List& more) {
    List& tokens = sequences_.at(sequence);
    const KvPages::Statistics before = pages_.statistics();
    const int64_t size = pages_.page_size(), old_pages = std::ssize(pages_.pages(sequence));
    const auto copy = pages_.append(sequence, more);
    if (!copy.ok()) {
      EXPECT_EQ(copy.status().code(), StatusCode::out_of_memory);
      // The new pages, and one for a copy.
      const int64_t length = std::ssize(tokens);
      const int64_t needed = (length + std::ssize(more) + size - 1) / size - old_pages + (length % size != 0 ? 1 : 0);
      EXPECT_GT(needed, before.free + before.cached);
      check(sequence);
      return copy.status();
    }
    if (copy->has_value())
      for (std::vector<float>* memory : {&k_, &v_})
        std::copy_n(memory->begin() + (*copy)->from * size * kColumns, (*copy)->tokens * kColumns,
                    memory->begin() + (*copy)->to * size * kColumns);
    std::vector<float> k, v;
    uint64_t content = content_of(tokens);
    for (const int32_t token : more) {
      content = content_of(content, token);
      for (const float x : key_of(content)) k.push_back(x);
      for (const float x : value_of(content)) v.push_back(x);
    }
    tokens.insert(tokens.end(), more.begin(), more.end());
    if (!more.empty()) {
      KvAppendArgs args;
      args.new_k = k.data();
      args.new_v = v.data();
      args.new_k_strides = args.new_v_strides = {0, kColumns, kColumns};
      args.k = k_.data();
      args.v = v_.data();
      const Status status = kv_append(problem({sequence}, std::ssize(more)), args, {.threads = 1});
      EXPECT_TRUE(status.ok()) << status.message();
    }
    check(sequence);
    return {};
  }

  Sequence fork(Sequence sequence) {
    const auto made = pages_.fork(sequence);
    EXPECT_TRUE(made.ok());
    sequences_[*made] = List(sequences_.at(sequence));
    check(*made);
    return *made;
  }

  void truncate(Sequence sequence, int64_t length) {
    sequences_.at(sequence).resize(static_cast<size_t>(length));
    EXPECT_TRUE(pages_.truncate(sequence, length).ok());
    check(sequence);
  }

  void end(Sequence sequence) {
    EXPECT_TRUE(pages_.end(sequence).ok());
    sequences_.erase(sequence);
  }

  /// Every sequence, who uses what, and what attention makes of all of them.
  void check_all() const {
    std::set<int32_t> used;
    std::vector<Sequence> filled;
    for (const auto& [sequence, tokens] : sequences_) {
      check(sequence);
      for (const int32_t page : pages_.pages(sequence)) used.insert(page);
      if (!tokens.empty()) filled.push_back(sequence);
    }
    const KvPages::Statistics now = pages_.statistics();
    EXPECT_EQ(now.used, std::ssize(used));
    EXPECT_EQ(now.free + now.used + now.cached, now.pages);
    EXPECT_EQ(now.sequences, std::ssize(sequences_));
    if (!filled.empty()) check_attention(filled);
  }

  /// When all sequences have ended nothing is lost: one can have all pages.
  void finish() {
    while (!sequences_.empty()) end(sequences_.begin()->first);
    EXPECT_EQ(pages_.statistics().used, 0);
    const Sequence all = begin();
    EXPECT_TRUE(append(all, List(static_cast<size_t>(pages_.statistics().pages * pages_.page_size()), -5)).ok());
    EXPECT_EQ(std::ssize(pages_.pages(all)), pages_.statistics().pages);
    check_all();
  }

  /// The step in which each of the sequences computes its last `queries` tokens: two query heads, one key head.
  AttentionFwd problem(const std::vector<Sequence>& sequences, int64_t queries) const {
    std::vector<int32_t> lengths, pages;
    std::vector<int64_t> starts{0};
    for (const Sequence sequence : sequences) {
      lengths.push_back(static_cast<int32_t>(pages_.length(sequence)));
      const auto its = pages_.pages(sequence);
      pages.insert(pages.end(), its.begin(), its.end());
      starts.push_back(std::ssize(pages));
    }
    AttentionFwd problem = step(std::move(lengths), queries, KvPlacement::paged);
    problem.cache->entries = pages_.statistics().pages;
    problem.cache->rows = pages_.page_size();
    problem.cache->pages = std::move(pages);
    problem.cache->cu_pages = Array<int64_t>(std::move(starts));
    problem.set_layout(Layout::bshd);
    return problem;
  }

 private:
  static constexpr int64_t kColumns = 2;
  using Row = std::array<float, kColumns>;

  static uint64_t content_of(uint64_t before, int32_t token) {
    return (before + static_cast<uint32_t>(token) + 1) * uint64_t{0x9e3779b97f4a7c15} ^ before >> 29;
  }
  static uint64_t content_of(const List& tokens) {
    uint64_t content = 0;
    for (const int32_t token : tokens) content = content_of(content, token);
    return content;
  }
  /// Bits of the content as a number from -1 to 1, exact in f32.
  static float part(uint64_t content, int shift) {
    return static_cast<float>(static_cast<int64_t>(content >> shift & 0xffffff) - 0x800000) * 0x1p-23F;
  }
  static Row key_of(uint64_t content) { return {part(content, 40), part(content, 16)}; }
  static Row value_of(uint64_t content) { return {part(content, 0), part(content, 24)}; }

  void check(Sequence sequence) const {
    const List& tokens = sequences_.at(sequence);
    const int64_t size = pages_.page_size();
    ASSERT_EQ(pages_.length(sequence), std::ssize(tokens));
    const auto pages = pages_.pages(sequence);
    ASSERT_EQ(std::ssize(pages), (std::ssize(tokens) + size - 1) / size);
    uint64_t content = 0;
    for (int64_t i = 0; i < std::ssize(tokens); ++i) {
      content = content_of(content, tokens[static_cast<size_t>(i)]);
      const auto at = static_cast<size_t>((pages[static_cast<size_t>(i / size)] * size + i % size) * kColumns);
      const Row k = key_of(content), v = value_of(content);
      ASSERT_TRUE(std::memcmp(&k_[at], k.data(), sizeof k) == 0 && std::memcmp(&v_[at], v.data(), sizeof v) == 0)
          << "sequence " << sequence << ", token " << i;
    }
  }

  static AttentionFwd step(std::vector<int32_t> lengths, int64_t queries, KvPlacement placement) {
    const auto longest = *std::max_element(lengths.begin(), lengths.end());
    AttentionFwd problem =
        AttentionFwd::dense(Layout::bshd, DType::f32, std::ssize(lengths), 2, 1, queries, longest, kColumns);
    problem.mask = Mask::causal();
    problem.cache.emplace();
    problem.cache->placement = placement;
    problem.cache->lengths = std::move(lengths);
    return problem;
  }

  /// The last token of each sequence against its pages, and against the model's rows one behind the other.
  void check_attention(const std::vector<Sequence>& sequences) const {
    const AttentionFwd paged = problem(sequences, 1);
    AttentionFwd flat = step({paged.cache->lengths.begin(), paged.cache->lengths.end()}, 1, KvPlacement::contiguous);
    flat.cache->entries = paged.b;
    flat.cache->rows = paged.sk;
    flat.set_layout(Layout::bshd);
    std::vector<float> k(static_cast<size_t>(paged.b * paged.sk * kColumns)), v(k);
    for (int64_t n = 0; n < paged.b; ++n) {
      uint64_t content = 0;
      int64_t at = n * paged.sk * kColumns;
      for (const int32_t token : sequences_.at(sequences[static_cast<size_t>(n)])) {
        content = content_of(content, token);
        std::ranges::copy(key_of(content), k.begin() + at);
        std::ranges::copy(value_of(content), v.begin() + at);
        at += kColumns;
      }
    }
    std::vector<float> q(static_cast<size_t>(paged.b * paged.hq * kColumns));
    for (size_t i = 0; i < q.size(); ++i) q[i] = static_cast<float>(i % 7) - 3;
    const std::vector<float> found = attention(paged, q, k_, v_), expected = attention(flat, q, k, v);
    ASSERT_EQ(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)), 0);
  }

  static std::vector<float> attention(const AttentionFwd& problem, const std::vector<float>& q,
                                      const std::vector<float>& k, const std::vector<float>& v) {
    PlanOptions options;
    options.threads = 1;
    options.cascade = false;  // it would sum in another order
    const auto planned = plan(problem, options);
    EXPECT_TRUE(planned.ok()) << planned.status().message();
    std::vector<float> o(q.size());
    AttentionFwdArgs args;
    args.q = q.data();
    args.k = k.data();
    args.v = v.data();
    args.o = o.data();
    const Status status = planned->run(args);
    EXPECT_TRUE(status.ok()) << status.message();
    return o;
  }

  KvPages pages_;
  std::vector<float> k_, v_;
  std::map<Sequence, List> sequences_;
};

}  // namespace attend::test
