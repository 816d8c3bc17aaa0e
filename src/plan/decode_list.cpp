// SPDX-License-Identifier: Apache-2.0
#include "plan/decode_list.hpp"

#include <algorithm>

namespace attend::plan_detail {
namespace {

/// Items that keep many workers busy; more of them would only add merges.
constexpr int64_t kItems = 128;
/// Below so many keys a chunk is not worth a merge.
constexpr int64_t kLeastChunkKeys = 512;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Keys that any row of these heads sees.
Range keys_of(const AttentionFwd& problem, int64_t sequence, int64_t first_row, int64_t rows, int64_t key_head,
              int64_t heads) {
  const int64_t group = problem.group();
  const Range queries{first_row / group, ceil_div(first_row + rows, group)};
  Range all;
  const int64_t end = problem.mask.per_head() ? (key_head + heads) * group : key_head * group + 1;
  for (int64_t head = key_head * group; head < end; ++head) {
    const Frame frame = problem.frame(sequence, head);
    const Range one = intersect(problem.mask.key_span(frame, queries), {0, frame.sk});
    if (one.empty()) continue;
    all = all.empty() ? one : Range{std::min(all.begin, one.begin), std::max(all.end, one.end)};
  }
  return all;
}

}  // namespace

DecodeList DecodeList::make(const AttentionFwd& problem, const Shape& shape) {
  DecodeList list;
  int64_t blocks = 0;
  for (int64_t n = 0; n < problem.b; ++n)
    if (shape.rule.holds(problem, n))
      blocks += ceil_div(problem.key_length(n), shape.block_keys) * (shape.heads_together ? 1 : problem.hk);
  const int64_t least = ceil_div(kLeastChunkKeys, shape.block_keys);
  const int64_t chunk = shape.chunk_blocks > 0 ? shape.chunk_blocks : std::max(least, ceil_div(blocks, kItems));
  list.chunk_keys = chunk * shape.block_keys;

  for (int64_t n = 0; n < problem.b; ++n) {
    if (!shape.rule.holds(problem, n)) continue;
    const int64_t rows = problem.query_length(n) * problem.group();
    const int64_t heads = shape.heads_together
                              ? std::clamp<int64_t>(shape.item_rows / std::min(rows, shape.item_rows), 1, problem.hk)
                              : 1;
    for (int64_t head = 0; head < problem.hk; head += heads) {
      const int64_t here = std::min(heads, problem.hk - head);
      for (int64_t row = 0; row < rows; row += shape.item_rows) {
        DecodeItem item{n, head, here, row, std::min(shape.item_rows, rows - row), {}, -1, 0};
        const Range keys = keys_of(problem, n, row, item.rows, head, here);
        // Chunks begin at multiples of their size, wherever the keys that are seen begin.
        const int64_t first = keys.begin / list.chunk_keys,
                      last = keys.empty() ? first : (keys.end - 1) / list.chunk_keys;
        if (last > first) {
          item.merge = static_cast<int64_t>(list.merges.size());
          list.merges.push_back({list.states, last - first + 1});
          list.states += (last - first + 1) * here * item.rows;
        }
        list.largest_item = std::max(list.largest_item, here * item.rows);
        for (int64_t part = first; part <= last; ++part) {
          item.keys = intersect(keys, {part * list.chunk_keys, (part + 1) * list.chunk_keys});
          item.part = part - first;
          list.items.push_back(item);
        }
      }
    }
  }
  return list;
}

}  // namespace attend::plan_detail
