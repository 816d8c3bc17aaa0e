// SPDX-License-Identifier: Apache-2.0
// The mask of one block of query rows: which panels of keys it touches, and the bits of those that it keeps in part.
#pragma once
#include <algorithm>
#include <array>
#include <attend/attention.hpp>
#include <cstdint>

#include "cpu/kernel.hpp"

namespace attend::cpu {

/// Masks that keep one interval of keys per row (most do) are turned into two numbers per row once; after that a
/// panel's class and bits are arithmetic. Others are asked tile by tile.
class RowMask {
 public:
  /// `queries` holds each row's query index, never falling, and outlives this.
  RowMask(const Mask& mask, const Frame& frame, const int64_t* queries, int rows);

  /// Keys that any row of the block sees lie inside.
  Range span() const { return block_.span; }
  /// Of `keys` against all rows. As with masks, `partial` is always a safe answer.
  TileClass classify_block(Range keys) const { return classify(block_, 0, rows_, keys); }
  /// Of `keys` against stripe `stripe`: rows [stripe * kStripeRows, (stripe + 1) * kStripeRows).
  TileClass classify_stripe(int stripe, Range keys) const;
  /// Bits of row `row` on at most 64 keys; clear from keys.size() on.
  uint64_t bits(int row, Range keys) const;
  /// Whether rows `row` and `row - 1` are the same query, so that their bits are equal.
  bool repeats(int row) const { return row > 0 && queries_[row] == queries_[row - 1]; }

 private:
  /// What the intervals of some rows have in common.
  struct Bounds {
    Range span;  ///< holds every key that any row sees
    Range core;  ///< keys that every row sees
    void add(Range keys);
  };

  TileClass classify(const Bounds& bounds, int begin, int end, Range keys) const;

  const Mask& mask_;
  Frame frame_;
  const int64_t* queries_;
  int rows_;
  bool intervals_;
  Bounds block_;
  Bounds stripes_[kBlockRows / kStripeRows];
  std::array<Range, kBlockRows> keys_;  ///< per row, when the mask is made of intervals
};

/// A panel of a unit that a block of rows touches.
struct LivePanel {
  int64_t index = 0;  ///< among the unit's
  Range keys;
  bool full = false;  ///< every row keeps all of its 64 keys
};

/// Calls f(LivePanel) for the panels of `unit_keys`, the first of which begins at its first key, that the mask does not
/// skip, in order. Panels are asked for in eights first.
template <class F>
void for_live_panels(const RowMask& mask, Range unit_keys, F&& f) {
  const Range span = intersect(mask.span(), unit_keys);
  if (span.empty()) return;
  const auto keys_of = [&](int64_t first, int64_t end) {
    return Range{unit_keys.begin + first * kPanelKeys, std::min(unit_keys.begin + end * kPanelKeys, unit_keys.end)};
  };
  const int64_t last = (span.end - unit_keys.begin + kPanelKeys - 1) / kPanelKeys;
  for (int64_t super = (span.begin - unit_keys.begin) / kPanelKeys; super < last; super += kGroupPanels) {
    const int64_t super_end = std::min(super + kGroupPanels, last);
    const TileClass all = mask.classify_block(keys_of(super, super_end));
    if (all == TileClass::skip) continue;
    for (int64_t p = super; p < super_end; ++p) {
      const Range keys = keys_of(p, p + 1);
      const TileClass one = all == TileClass::full ? all : mask.classify_block(keys);
      if (one != TileClass::skip) f(LivePanel{p, keys, one == TileClass::full && keys.size() == kPanelKeys});
    }
  }
}

}  // namespace attend::cpu
