// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>
#include <unordered_set>
#include <vector>

namespace attend::kv {

inline constexpr int32_t kNoPage = -1;

/// A radix tree over token ids whose edges are pages: a node is a full page, found by the page before it and its own
/// tokens. Nodes are the pages' numbers.
class PrefixTree {
 public:
  PrefixTree(int64_t pages, int64_t page_size);
  PrefixTree(const PrefixTree&) = delete;  // the set's functions point here
  PrefixTree& operator=(const PrefixTree&) = delete;

  /// Tokens of a page, in the tree or not.
  std::span<int32_t> tokens(int32_t page) {
    return {tokens_.data() + page * page_size_, static_cast<size_t>(page_size_)};
  }
  std::span<const int32_t> tokens(int32_t page) const {
    return {tokens_.data() + page * page_size_, static_cast<size_t>(page_size_)};
  }

  /// The page behind `parent` (kNoPage: the first of a sequence) that holds these page_size tokens, or kNoPage.
  int32_t find(int32_t parent, std::span<const int32_t> tokens) const;
  /// Puts a page, whose tokens are set, behind `parent`. There must be none with the same tokens.
  void insert(int32_t parent, int32_t page);
  /// Takes out a page that has none behind it.
  void erase(int32_t page);
  bool contains(int32_t page) const { return parents_[page] != kOutside; }

 private:
  static constexpr int32_t kOutside = -2;

  struct Key {
    int32_t parent;
    std::span<const int32_t> tokens;
  };
  struct Hash {
    using is_transparent = void;
    const PrefixTree* tree;
    size_t operator()(const Key& key) const;
    size_t operator()(int32_t page) const { return (*this)(tree->key_of(page)); }
  };
  struct Equal {
    using is_transparent = void;
    const PrefixTree* tree;
    bool operator()(const Key& a, const Key& b) const;
    bool operator()(int32_t a, int32_t b) const { return a == b; }
    bool operator()(const Key& a, int32_t b) const { return (*this)(a, tree->key_of(b)); }
    bool operator()(int32_t a, const Key& b) const { return (*this)(tree->key_of(a), b); }
  };
  Key key_of(int32_t page) const { return {parents_[page], tokens(page)}; }

  int64_t page_size_;
  std::vector<int32_t> tokens_, parents_;
  std::unordered_set<int32_t, Hash, Equal> nodes_;
};

}  // namespace attend::kv
