// SPDX-License-Identifier: Apache-2.0
#include "plan/tile_list.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <unordered_map>

#include "ops/mask/bits.hpp"
#include "ops/mask/terms.hpp"

namespace attend::plan_detail {
namespace {

/// Lists of one frame: where those of its row blocks begin, and where the last one ends.
using FrameLists = std::vector<int64_t>;

class Builder {
 public:
  Builder(const AttentionFwd& problem, const TileList::Shape& shape, TileList& list)
      : problem_(problem), shape_(shape), list_(list) {
    list_.block_words = int64_t{shape.rows} * shape.keys / 32;
    words_.resize(static_cast<size_t>(words_of(shape.keys)));
  }

  void add(int64_t n, int64_t head) {
    const FrameLists& lists = lists_of(n, head);
    const int32_t step = shape_.rows / shape_.pack;
    const int64_t rows = problem_.query_length(n);
    for (size_t i = 0; i + 1 < lists.size(); ++i) {
      TileItem item;
      item.sequence = static_cast<int32_t>(n);
      item.head = static_cast<int32_t>(head);
      item.first_row = static_cast<int32_t>(i) * step;
      item.rows = static_cast<int32_t>(std::min<int64_t>(step, rows - item.first_row)) * shape_.pack;
      item.first_tile = lists[i];
      item.tiles = static_cast<int32_t>(lists[i + 1] - lists[i]);
      for (int64_t t = lists[i]; t < lists[i + 1]; ++t)
        ++(list_.tiles[static_cast<size_t>(t)].bits < 0 ? list_.full_tiles : list_.partial_tiles);
      list_.items.push_back(item);
    }
  }

 private:
  const FrameLists& lists_of(int64_t n, int64_t head) {
    const Frame frame = problem_.frame(n, head);
    const std::tuple key{frame.sq, frame.sk, differs_by_batch(problem_.mask) ? n : 0,
                         problem_.mask.per_head() ? head : 0};
    const auto [at, is_new] = known_.try_emplace(key);
    if (!is_new) return at->second;
    FrameLists& lists = at->second;
    frames_.assign(1, frame);
    if (problem_.mask.per_head())
      for (int32_t i = 1; i < shape_.pack; ++i) frames_.push_back(problem_.frame(n, head + i));
    const int64_t step = shape_.rows / shape_.pack;
    for (int64_t row = 0; row < frame.sq; row += step) {
      lists.push_back(static_cast<int64_t>(list_.tiles.size()));
      add_block({row, std::min(row + step, frame.sq)});
    }
    lists.push_back(static_cast<int64_t>(list_.tiles.size()));
    return lists;
  }

  void add_block(Range rows) {
    Range span;
    for (const Frame& frame : frames_) {
      const Range one = problem_.mask.key_span(frame, rows);
      if (!one.empty()) span = span.empty() ? one : Range{std::min(span.begin, one.begin), std::max(span.end, one.end)};
    }
    for (int64_t key = span.begin / shape_.keys * shape_.keys; key < span.end; key += shape_.keys) {
      const Range keys{key, key + shape_.keys};
      const TileClass what = classify(rows, keys);
      if (what == TileClass::skip) continue;
      int32_t bits = -1;
      if (what == TileClass::partial) {
        bits = block_of(rows, keys);
        if (bits < 0) continue;
      }
      list_.tiles.push_back({static_cast<int32_t>(key), bits});
    }
  }

  TileClass classify(Range rows, Range keys) const {
    const TileClass first = problem_.mask.classify(frames_[0], rows, keys);
    for (size_t i = 1; i < frames_.size(); ++i)
      if (problem_.mask.classify(frames_[i], rows, keys) != first) return TileClass::partial;
    return first;
  }

  /// The number of the block with these bits; -1 when it keeps nothing.
  int32_t block_of(Range rows, Range keys) {
    const size_t begin = list_.bits.size(), row_words = static_cast<size_t>(shape_.keys) / 32;
    list_.bits.resize(begin + static_cast<size_t>(list_.block_words), 0);
    uint32_t any = 0;
    uint32_t* to = list_.bits.data() + begin;
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      for (size_t i = 0; i < static_cast<size_t>(shape_.pack); ++i, to += row_words) {
        if (i > 0 && i >= frames_.size()) {  // heads see the same
          std::copy(to - row_words, to, to);
          continue;
        }
        problem_.mask.row_bits(frames_[i], row, keys, words_.data());
        for (size_t j = 0; j < row_words; ++j) {
          to[j] = static_cast<uint32_t>(words_[j / 2] >> 32 * (j % 2));
          any |= to[j];
        }
      }
    }
    int32_t found = -1;
    if (any != 0) {
      const auto next = static_cast<int32_t>(begin / static_cast<size_t>(list_.block_words));
      const std::string_view content(reinterpret_cast<const char*>(list_.bits.data() + begin),
                                     static_cast<size_t>(list_.block_words) * 4);
      // Candidates of one hash; the text of a block is compared, not only its hash.
      auto& candidates = blocks_[std::hash<std::string_view>{}(content)];
      const auto same = std::find_if(candidates.begin(), candidates.end(), [&](int32_t block) {
        const uint32_t* at = list_.bits.data() + block * list_.block_words;
        return std::equal(at, at + list_.block_words, list_.bits.data() + begin);
      });
      if (same == candidates.end()) {
        candidates.push_back(next);
        return next;
      }
      found = *same;
    }
    list_.bits.resize(begin);
    return found;
  }

  const AttentionFwd& problem_;
  const TileList::Shape& shape_;
  TileList& list_;
  std::vector<uint64_t> words_;
  std::vector<Frame> frames_;  ///< of the heads whose lists are made; one, where all see the same
  std::map<std::tuple<int64_t, int64_t, int64_t, int64_t>, FrameLists> known_;
  std::unordered_map<size_t, std::vector<int32_t>> blocks_;
};

}  // namespace

TileList TileList::make(const AttentionFwd& problem, const Shape& shape) {
  TileList list;
  Builder builder(problem, shape, list);
  for (int64_t n = 0; n < problem.b; ++n)
    for (int64_t head = 0; head < problem.hq; head += shape.pack) builder.add(n, head);
  return list;
}

}  // namespace attend::plan_detail
