// SPDX-License-Identifier: Apache-2.0
// What host code hands to a kernel of exact forward attention: plain structs, the same for nvcc and the host compiler.
#pragma once
#include <attend/mask/tile.hpp>
#include <cstdint>

namespace attend::cuda::attention_fwd {

/// Element types, as the kernels number them.
enum class Element : int32_t { f32, f16, bf16 };

/// A matrix of rows and heads per sequence; the sequence's first element is in Sequence. Strides in elements.
struct Tensor {
  const void* data;
  int64_t row, head;
  Element type;
};

/// Where a sequence begins, in elements of each tensor (rows of lse for one head), and its lengths. The last four are
/// its first row and its index in the tensor maps of queries and of keys.
struct Sequence {
  int64_t q, k, v, o, lse, bias;
  int32_t sq, sk;
  int32_t q_row, q_index, k_row, k_index;
};

/// A block of query rows of a sequence, and the tiles of keys that it visits: of one head, or of 2^pack_shift heads
/// that follow one another, packed row by row.
struct Item {
  int32_t sequence, head, first_row, rows;
  int32_t first_tile, tiles;
};

/// `bits` < 0: every row of the item keeps every key of the tile.
struct KeyTile {
  int32_t key, bits;
};

struct Params {
  Tensor q, k, v, o;
  float* lse;  ///< null: not asked for. Of head h, row r: sequence.lse + h * lse_head + r
  int64_t lse_head;
  const Sequence* sequences;
  const Item* items;
  const KeyTile* tiles;
  const uint32_t* bits;  ///< blocks of tile_rows rows of ceil(tile_keys / 32) words
  int32_t item_count, tile_rows, tile_keys;
  int32_t pack_shift;          ///< 2^this heads in the rows of an item
  const int32_t* first_items;  ///< for each block of threads, and the end; null: all take items in turn
  /// Blocks of kSimpleRows rows of items, numbered through, whose output is not finite: the kernel appends them, and
  /// the simple kernel computes them again, for it looks at no value that a row does not see. redo_count is 0 at the
  /// start.
  int32_t* redo_count;
  int32_t* redo;
  int32_t d, dv;
  int32_t group;  ///< query heads per key head

  // Score terms, in the order in which they are applied: softcap, ALiBi, bias.
  float scale;
  float softcap;              ///< 0: none
  const float* alibi_slopes;  ///< null: none; [hq], or [b][hq] with a stride
  int64_t alibi_sequence;
  const float* bias;  ///< null: none
  int64_t bias_head, bias_row;
  const float* sink;  ///< null: none; [hq]
};

/// Where row `row` of an item lies.
ATTEND_HD inline int32_t row_of(const Params& p, const Item& item, int32_t row) {
  return item.first_row + (row >> p.pack_shift);
}
ATTEND_HD inline int32_t head_of(const Params& p, const Item& item, int32_t row) {
  return item.head + (row & ((1 << p.pack_shift) - 1));
}

/// What a block of the kernel that takes every Problem looks at together: rows of an item, keys of a tile.
inline constexpr int32_t kSimpleRows = 16, kSimpleKeys = 32, kSimpleThreads = 128, kMaxColumns = 512;
/// Dynamic shared memory: queries and a tile of keys, a column more so that a column of keys lies in different banks,
/// and a tile of values; all as f32.
inline constexpr int32_t simple_shared_bytes(int32_t d, int32_t dv) {
  return 4 * (kSimpleRows * d + kSimpleKeys * (d + 1) + kSimpleKeys * dv);
}

}  // namespace attend::cuda::attention_fwd
