// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/array.hpp>
#include <attend/mask/tile.hpp>

namespace attend {

/// Draft trees of speculative decoding: all keys before the last `size` count for everyone; of the last `size`, query
/// row r sees those in its bit set (bit i stands for key sk - size + i).
struct Tree {
  int64_t size = 0;
  Array<uint64_t>
      bits;  ///< [rows or b * rows][ceil(size / 64)], rows = the Problem's sq: one tree for all sequences, or one each
  int64_t rows = 0;

  TileClass classify(const Frame& frame, Range q, Range k) const;
  bool keep(const Frame& frame, int64_t q, int64_t k) const;
  void restrict_row(const Frame& frame, int64_t q, Range k, uint64_t* bits) const;
  int64_t words() const { return size / 64 + (size % 64 != 0); }  ///< of one row's set
  bool differs_by_batch() const { return bits.size() > rows * words(); }
};

}  // namespace attend
