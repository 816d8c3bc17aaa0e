// SPDX-License-Identifier: Apache-2.0
#include "plan/tile_traffic.hpp"

#include <algorithm>
#include <set>
#include <tuple>

#include "ops/row_bytes.hpp"
#include "plan/memory_traffic.hpp"

namespace attend::plan_detail {

int64_t item_bytes(const AttentionFwd& problem, const TileList::Shape& shape) {
  return shape.rows * (RowBytes(problem).q + 4 * problem.dv + 8 + int64_t{4} * shape.keys);
}

Result<MemoryTraffic> memory_traffic(const AttentionFwd& problem, const TileList& list, const TileList::Shape& shape,
                                     const std::vector<Section>& sections, int64_t level_bytes) {
  const RowBytes row(problem);
  const int64_t key_bytes = row.k + row.v, least = item_bytes(problem, shape) + shape.keys * key_bytes;
  if (level_bytes < least)
    return small_level(level_bytes, least, "what an item computes in and a tile of keys and values");
  const int64_t room = (level_bytes - item_bytes(problem, shape)) / key_bytes;
  MemoryTraffic moved;
  for (const Section& section : sections) {
    int64_t visited = 0, distinct = 0;  // keys
    std::set<std::tuple<int32_t, int64_t, int32_t>> seen;
    for (int64_t i = section.first_item; i < section.first_item + section.items; ++i) {
      const TileItem& item = list.items[static_cast<size_t>(i)];
      moved.read += item.rows * row.q;
      moved.written += item.rows * (row.o + row.lse);
      for (int64_t t = item.first_tile; t < item.first_tile + item.tiles; ++t) {
        const int32_t key = list.tiles[static_cast<size_t>(t)].key;
        const int64_t keys = std::min<int64_t>(shape.keys, problem.key_length(item.sequence) - key);
        visited += keys;
        if (seen.emplace(item.sequence, item.head / problem.group(), key).second) distinct += keys;
      }
    }
    moved.read += (distinct <= room ? distinct : visited) * key_bytes;
  }
  return moved;
}

}  // namespace attend::plan_detail
