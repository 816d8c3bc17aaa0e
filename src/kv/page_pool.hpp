// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <vector>

#include "kv/prefix_tree.hpp"

namespace attend::kv {

/// Pages and who uses them. A page is used (references), or cached (of the tree, used by nobody, in a list from least
/// to most recently used), or free.
///
/// In that list a page stands before the one that it lies behind in the tree: whoever uses a page uses all before it,
/// and lets go of the last one first. So the oldest page has none behind it, and can go.
class PagePool {
 public:
  PagePool(int64_t pages, int64_t page_size);

  PrefixTree& tree() { return tree_; }
  int64_t pages() const { return static_cast<int64_t>(references_.size()); }
  int64_t free() const { return static_cast<int64_t>(free_.size()); }
  int64_t cached() const { return cached_; }
  int64_t evicted() const { return evicted_; }
  int32_t references(int32_t page) const { return references_[page]; }

  /// A page with one reference, free or evicted; there must be one: free() + cached() > 0.
  int32_t take();
  void use(int32_t page);
  /// Who lets go of several pages of a sequence begins with the last.
  void let_go(int32_t page);

 private:
  void unlink(int32_t page);

  PrefixTree tree_;
  std::vector<int32_t> references_, free_;
  std::vector<int32_t> older_, newer_;  ///< neighbours in the list
  int32_t oldest_ = kNoPage, newest_ = kNoPage;
  int64_t cached_ = 0, evicted_ = 0;
};

}  // namespace attend::kv
