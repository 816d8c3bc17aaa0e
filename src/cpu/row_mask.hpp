// SPDX-License-Identifier: Apache-2.0
// The mask of one block of query rows: which panels of keys it touches, and the bits of those that it keeps in part.
#pragma once
#include <attend/attention.hpp>
#include <cstdint>

#include "cpu/kernel.hpp"

namespace attend::cpu {

/// Rows are positions q_of(row) = first + row / fold. Masks that keep one interval per row (most do) are turned into two numbers
/// per row once; after that a panel's class and bits are arithmetic. Others are asked tile by tile.
class RowMask {
 public:
  RowMask(const Mask& mask, const Frame& frame, int64_t first_row, int rows, int64_t fold);

  /// Keys that any row of the block sees lie inside.
  Range span() const { return span_; }
  /// Of `keys` against rows [begin, end) of the block.
  TileClass classify(int begin, int end, Range keys) const;
  /// Bits of row `row` on at most 64 keys; clear from keys.size() on.
  uint64_t bits(int row, Range keys) const;
  /// Whether rows `row` and `row - 1` are the same query, so that their bits are equal.
  bool repeats(int row) const { return (first_row_ + row) % fold_ != 0; }

 private:
  int64_t q_of(int row) const { return (first_row_ + row) / fold_; }

  const Mask& mask_;
  Frame frame_;
  int64_t first_row_, fold_;
  bool intervals_;
  Range span_;
  Range keys_[kBlockRows];  ///< per row, when the mask is made of intervals
};

}  // namespace attend::cpu
