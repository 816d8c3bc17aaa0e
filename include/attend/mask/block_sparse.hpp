// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/array.hpp>
#include <attend/mask/tile.hpp>

namespace attend {

/// Tiles of q_tile x k_tile pairs that count, in compressed sparse rows, shared by all sequences of the batch
/// (top-left: tile row i covers queries [i * q_tile, (i + 1) * q_tile), tile column j likewise; the last ones may stick
/// out). FlashAttention, arXiv:2205.14135, section 3.3.
struct BlockSparse {
  int64_t q_tile = 64, k_tile = 64;
  Array<int64_t> row_ptr;  ///< [heads * tile_rows + 1], from 0, never falling; entry head * tile_rows + i begins row i
                           ///< of that head
  Array<int32_t> columns;  ///< [row_ptr.back()], rising within each row
  int64_t heads = 1;       ///< 1: shared by all query heads, else hq
  int64_t tile_rows = 0;

  TileClass classify(const Frame& frame, Range q, Range k) const;
  bool keep(const Frame& frame, int64_t q, int64_t k) const;
  /// Keys of [k.begin, k.end) that query q does not see lose their bit; bit i of the list stands for key k.begin + i.
  void restrict_row(const Frame& frame, int64_t q, Range k, uint64_t* bits) const;
  /// An interval that holds every key that a query of the range sees. Time O(tile rows of the range).
  Range key_span(const Frame& frame, Range q) const;
  bool differs_by_head() const { return heads > 1; }
};

}  // namespace attend
