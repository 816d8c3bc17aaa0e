// SPDX-License-Identifier: Apache-2.0
// The mask of one block of query rows: which panels of keys it touches, and the bits of those that it keeps in part.
#pragma once
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

}  // namespace attend::cpu
