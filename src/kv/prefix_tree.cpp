// SPDX-License-Identifier: Apache-2.0
#include "kv/prefix_tree.hpp"

#include <algorithm>

namespace attend::kv {

PrefixTree::PrefixTree(int64_t pages, int64_t page_size)
    : page_size_(page_size),
      tokens_(static_cast<size_t>(pages * page_size)),
      parents_(static_cast<size_t>(pages), kOutside),
      nodes_(0, Hash{this}, Equal{this}) {}

size_t PrefixTree::Hash::operator()(const Key& key) const {
  uint64_t hash = static_cast<uint32_t>(key.parent) + uint64_t{0x9e3779b97f4a7c15};
  for (const int32_t token : key.tokens) {  // the finaliser of SplitMix64
    hash += static_cast<uint32_t>(token) + uint64_t{0x9e3779b97f4a7c15};
    hash = (hash ^ hash >> 30) * uint64_t{0xbf58476d1ce4e5b9};
    hash = (hash ^ hash >> 27) * uint64_t{0x94d049bb133111eb};
    hash ^= hash >> 31;
  }
  return hash;
}

bool PrefixTree::Equal::operator()(const Key& a, const Key& b) const {
  return a.parent == b.parent && std::equal(a.tokens.begin(), a.tokens.end(), b.tokens.begin(), b.tokens.end());
}

int32_t PrefixTree::find(int32_t parent, std::span<const int32_t> tokens) const {
  const auto found = nodes_.find(Key{parent, tokens});
  return found == nodes_.end() ? kNoPage : *found;
}

void PrefixTree::insert(int32_t parent, int32_t page) {
  parents_[page] = parent;
  nodes_.insert(page);
}

void PrefixTree::erase(int32_t page) {
  nodes_.erase(page);
  parents_[page] = kOutside;
}

}  // namespace attend::kv
