// SPDX-License-Identifier: Apache-2.0
#include "plan/item_order.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <queue>
#include <utility>

namespace attend::plan_detail {
namespace {

/// A key head of a sequence.
struct Unit {
  int32_t longest = 0;
  Range keys;
  std::vector<TileItem> items;
};

/// Tiles as long as an item takes before its first and after its last.
constexpr int64_t kItemCost = 1;

}  // namespace

std::vector<Section> order_by_section(TileList& list, const SectionShape& shape) {
  std::vector<Unit> units;
  std::map<std::pair<int64_t, int64_t>, size_t> known;
  for (const TileItem& item : list.items) {
    const auto [at, is_new] = known.try_emplace({item.sequence, item.head / shape.group}, units.size());
    if (is_new) units.emplace_back();
    Unit& unit = units[at->second];
    unit.items.push_back(item);
    unit.longest = std::max(unit.longest, item.tiles);
    if (item.tiles == 0) continue;
    const auto first = static_cast<size_t>(item.first_tile), last = first + static_cast<size_t>(item.tiles) - 1;
    const Range keys{list.tiles[first].key, int64_t{list.tiles[last].key} + shape.tile_keys};
    unit.keys =
        unit.keys.empty() ? keys : Range{std::min(unit.keys.begin, keys.begin), std::max(unit.keys.end, keys.end)};
  }
  std::stable_sort(units.begin(), units.end(), [](const Unit& a, const Unit& b) { return a.longest > b.longest; });

  std::vector<Section> sections;
  list.items.clear();
  for (const Unit& unit : units) {
    const int64_t bytes = unit.keys.size() * shape.key_bytes;
    if (sections.empty() || sections.back().bytes + bytes > shape.budget)
      sections.push_back({static_cast<int64_t>(list.items.size()), 0, 0});
    Section& section = sections.back();
    section.items += static_cast<int64_t>(unit.items.size());
    section.bytes += bytes;
    list.items.insert(list.items.end(), unit.items.begin(), unit.items.end());
  }
  for (const Section& section : sections)
    std::stable_sort(list.items.begin() + section.first_item, list.items.begin() + section.first_item + section.items,
                     [](const TileItem& a, const TileItem& b) { return a.tiles > b.tiles; });
  return sections;
}

std::vector<int32_t> share_out(TileList& list, int64_t workers) {
  using Load = std::pair<int64_t, int64_t>;  // what it has to do, which one
  std::priority_queue<Load, std::vector<Load>, std::greater<>> queue;
  for (int64_t worker = 0; worker < workers; ++worker) queue.push({0, worker});
  std::vector<std::vector<TileItem>> shares(static_cast<size_t>(workers));
  for (const TileItem& item : list.items) {
    const auto [load, worker] = queue.top();
    queue.pop();
    shares[static_cast<size_t>(worker)].push_back(item);
    queue.push({load + item.tiles + kItemCost, worker});
  }
  std::vector<int32_t> first = {0};
  list.items.clear();
  for (const std::vector<TileItem>& share : shares) {
    list.items.insert(list.items.end(), share.begin(), share.end());
    first.push_back(static_cast<int32_t>(list.items.size()));
  }
  return first;
}

}  // namespace attend::plan_detail
