// SPDX-License-Identifier: Apache-2.0
#include "kv/page_pool.hpp"

namespace attend::kv {

PagePool::PagePool(int64_t pages, int64_t page_size)
    : tree_(pages, page_size),
      references_(static_cast<size_t>(pages)),
      older_(static_cast<size_t>(pages), kNoPage),
      newer_(static_cast<size_t>(pages), kNoPage) {
  free_.reserve(static_cast<size_t>(pages));
  for (int64_t page = pages; page-- > 0;) free_.push_back(static_cast<int32_t>(page));  // page 0 is the first to go
}

int32_t PagePool::take() {
  int32_t page = oldest_;
  if (!free_.empty()) {
    page = free_.back();
    free_.pop_back();
  } else {
    unlink(page);
    tree_.erase(page);
    ++evicted_;
  }
  references_[page] = 1;
  return page;
}

void PagePool::use(int32_t page) {
  if (references_[page]++ == 0) unlink(page);
}

void PagePool::let_go(int32_t page) {
  if (--references_[page] > 0) return;
  if (!tree_.contains(page)) {
    free_.push_back(page);
    return;
  }
  older_[page] = newest_;
  newer_[page] = kNoPage;
  (newest_ == kNoPage ? oldest_ : newer_[newest_]) = page;
  newest_ = page;
  ++cached_;
}

void PagePool::unlink(int32_t page) {
  (older_[page] == kNoPage ? oldest_ : newer_[older_[page]]) = newer_[page];
  (newer_[page] == kNoPage ? newest_ : older_[newer_[page]]) = older_[page];
  --cached_;
}

}  // namespace attend::kv
