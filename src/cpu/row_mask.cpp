// SPDX-License-Identifier: Apache-2.0
#include "cpu/row_mask.hpp"

#include <algorithm>
#include <variant>

namespace attend::cpu {

namespace {

bool only_intervals(const Mask& mask) {
  return std::all_of(mask.terms().begin(), mask.terms().end(), [](const MaskTerm& term) {
    return std::visit([]<class Term>(const Term&) { return IntervalMask<Term>; }, term);
  });
}

Range row_interval(const Mask& mask, const Frame& frame, int64_t q) {
  Range keys{0, frame.sk};
  for (const MaskTerm& term : mask.terms())
    std::visit(
        [&]<class Term>(const Term& t) {
          if constexpr (IntervalMask<Term>) keys = intersect(keys, t.keys(frame, q));
        },
        term);
  return keys;
}

/// Bits [begin, end) of a word; end <= 64.
uint64_t ones(int64_t begin, int64_t end) {
  if (begin >= end) return 0;
  return (~uint64_t{0} >> (64 - (end - begin))) << begin;
}

}  // namespace

void RowMask::Bounds::add(Range keys) {
  core = intersect(core, keys);
  if (keys.empty()) return;
  span = span.empty() ? keys : Range{std::min(span.begin, keys.begin), std::max(span.end, keys.end)};
}

RowMask::RowMask(const Mask& mask, const Frame& frame, const int64_t* queries, int rows)
    : mask_(mask), frame_(frame), queries_(queries), rows_(rows), intervals_(only_intervals(mask)) {
  if (!intervals_) {
    block_.span = mask.key_span(frame, {queries[0], queries[rows - 1] + 1});
    return;
  }
  const Range every{0, frame.sk};
  if (mask.none()) {
    block_ = {every, every};
    std::fill_n(stripes_, (rows + kStripeRows - 1) / kStripeRows, block_);
    std::fill_n(keys_.begin(), rows, every);
    return;
  }
  const Bounds none{{}, every};
  block_ = none;
  for (int i = 0; i < rows; ++i) {
    keys_[i] = repeats(i) ? keys_[i - 1] : row_interval(mask, frame, queries[i]);
    if (i % kStripeRows == 0) stripes_[i / kStripeRows] = none;
    stripes_[i / kStripeRows].add(keys_[i]);
    block_.add(keys_[i]);
  }
}

TileClass RowMask::classify_stripe(int stripe, Range keys) const {
  const int begin = stripe * kStripeRows;
  return classify(stripes_[stripe], begin, std::min(begin + kStripeRows, rows_), keys);
}

TileClass RowMask::classify(const Bounds& bounds, int begin, int end, Range keys) const {
  if (!intervals_) return mask_.classify(frame_, {queries_[begin], queries_[end - 1] + 1}, keys);
  if (intersect(bounds.span, keys).empty()) return TileClass::skip;
  return intersect(bounds.core, keys) == keys ? TileClass::full : TileClass::partial;
}

uint64_t RowMask::bits(int row, Range keys) const {
  if (intervals_) {
    const Range kept = intersect(keys_[row], keys);
    return ones(kept.begin - keys.begin, kept.end - keys.begin);
  }
  uint64_t word = 0;
  mask_.row_bits(frame_, queries_[row], keys, &word);
  return word;
}

}  // namespace attend::cpu
