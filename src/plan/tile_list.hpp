// SPDX-License-Identifier: Apache-2.0
// Which tiles of keys each block of query rows visits, for kernels that are told so: a mask of any kind becomes lists
// and, where a tile is cut, bits. Skipped tiles are in no list.
#pragma once
#include <attend/attention.hpp>
#include <cstdint>
#include <vector>

namespace attend::plan_detail {

/// A tile of keys, all of it inside the sequence unless it has bits.
struct KeyTile {
  int32_t key = 0;    ///< the first, in the sequence
  int32_t bits = -1;  ///< which block of bits says what is kept; -1: everything
};

/// A block of query rows of one sequence and head; packed, of `pack` heads that follow one another, with rows r and
/// heads r0 h0, r0 h1, ..., r1 h0, ...
struct TileItem {
  int32_t sequence = 0, head = 0;   ///< the first head
  int32_t first_row = 0, rows = 0;  ///< query row that it begins with; how many rows, each head's counted
  int64_t first_tile = 0;           ///< among the tiles
  int32_t tiles = 0;                ///< 0: no key is seen; the rows are still to be written
};

struct TileList {
  struct Shape {
    int32_t rows = 0, keys = 0;  ///< of a tile; keys a multiple of 32
    int32_t pack = 1;            ///< heads in the rows of an item; divides rows and the group
  };

  std::vector<TileItem> items;  ///< by sequence, head, row
  std::vector<KeyTile> tiles;
  /// Blocks of shape.rows x shape.keys / 32 words: bit i of word j of a row is key 32 j + i of the tile. Rows past the
  /// item's last are zeros. Equal blocks are kept once.
  std::vector<uint32_t> bits;
  int64_t block_words = 0;
  int64_t full_tiles = 0, partial_tiles = 0;  ///< that the items visit, those of equal lists counted each time
  int64_t visits() const { return full_tiles + partial_tiles; }

  /// Time O(tiles), and O(rows * keys / 64) for the tiles that are cut. Heads and sequences of equal lengths share
  /// lists unless the mask tells them apart.
  static TileList make(const AttentionFwd& problem, const Shape& shape);
};

}  // namespace attend::plan_detail
