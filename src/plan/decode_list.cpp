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

/// What the mask says of an item's rows.
class SeenKeys {
 public:
  SeenKeys(const AttentionFwd& problem, const DecodeItem& item) : mask_(problem.mask) {
    const int64_t group = problem.group(), first = item.key_head * group;
    queries_ = {item.first_row / group, ceil_div(item.first_row + item.rows, group)};
    const int64_t end = mask_.per_head() ? first + item.heads * group : first + 1;
    for (int64_t head = first; head < end; ++head) frames_.push_back(problem.frame(item.sequence, head));
  }

  /// Holds every key that a row of the item sees.
  Range span() const {
    Range all;
    for (const Frame& frame : frames_) {
      const Range one = intersect(mask_.key_span(frame, queries_), {0, frame.sk});
      if (one.empty()) continue;
      all = all.empty() ? one : Range{std::min(all.begin, one.begin), std::max(all.end, one.end)};
    }
    return all;
  }

  /// False only when no row of the item sees any of them.
  bool any_of(Range keys) const {
    return std::any_of(frames_.begin(), frames_.end(),
                       [&](const Frame& frame) { return mask_.classify(frame, queries_, keys) != TileClass::skip; });
  }

 private:
  const Mask& mask_;
  Range queries_;
  std::vector<Frame> frames_;  ///< of the heads that may differ
};

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
        const SeenKeys seen(problem, item);
        const Range span = seen.span();
        // Chunks begin at multiples of their size, wherever the keys that are seen begin.
        std::vector<Range> chunks;
        for (int64_t at = span.begin / list.chunk_keys * list.chunk_keys; at < span.end; at += list.chunk_keys) {
          const Range keys = intersect(span, {at, at + list.chunk_keys});
          if (seen.any_of(keys)) chunks.push_back(keys);
        }
        if (chunks.empty()) chunks.emplace_back();  // rows that see no key are written, too
        const auto parts = static_cast<int64_t>(chunks.size());
        if (parts > 1) {
          item.merge = static_cast<int64_t>(list.merges.size());
          list.merges.push_back({list.states, parts});
          list.states += parts * here * item.rows;
        }
        list.largest_item = std::max(list.largest_item, here * item.rows);
        for (item.part = 0; item.part < parts; ++item.part) {
          item.keys = chunks[static_cast<size_t>(item.part)];
          list.items.push_back(item);
        }
      }
    }
  }
  return list;
}

}  // namespace attend::plan_detail
