// SPDX-License-Identifier: Apache-2.0
// A tile of 16-bit elements in shared memory, row behind row without gaps, in chunks of 16 bytes that change places
// within their row: eight rows of one column lie in different banks, and so do eight chunks of a row.
#pragma once
#include <cstdint>

#include "cuda/atoms/mma.cuh"

namespace attend::cuda::tiles {

/// Begins at a multiple of 128 bytes. Multiples of 64 columns change places among eight chunks, by the row; other
/// multiples of 32 among four, by every second row, since two rows lie in different halves of the banks already.
template <int kColumns>
struct Swizzled {
  static_assert(kColumns % 32 == 0);
  static constexpr int kRowBytes = 2 * kColumns;
  static constexpr int kChunks = kColumns % 64 == 0 ? 8 : 4;  ///< that change places
  static constexpr int kPanel = 8 * kChunks;                  ///< columns of so many chunks

  __device__ static constexpr uint32_t key(int row) { return kChunks == 8 ? row % 8 : row / 2 % 4; }
  /// Bytes from the tile's beginning.
  __device__ static constexpr uint32_t offset(int row, int column) {
    const int panel = column / kPanel, inside = column % kPanel;
    return row * kRowBytes + panel * 2 * kPanel + ((inside / 8 ^ key(row)) * 16) + inside % 8 * 2;
  }
};

/// Where a lane reads rows with ldmatrix: its row and chunk of a block of 16 x 16 elements, at any such block.
template <int kColumns>
struct LaneRow {
  uint32_t address;

  /// The left operand of a product, or the right one whose rows are summed over: matrices are rows 0 to 7, 8 to 15, and
  /// the same of the next eight columns.
  __device__ static LaneRow rows_first(uint32_t tile) { return of(tile, threadIdx.x % 16, threadIdx.x / 16 % 2); }
  /// The right operand whose columns are summed over: columns change first.
  __device__ static LaneRow columns_first(uint32_t tile) {
    return of(tile, threadIdx.x % 8 + threadIdx.x / 16 % 2 * 8, threadIdx.x / 8 % 2);
  }
  /// At multiples of 16 that the compiler knows.
  __device__ uint32_t at(int row, int column) const {
    using Tile = Swizzled<kColumns>;
    const int panel = column / Tile::kPanel, inside = column % Tile::kPanel;
    return (address ^ (2 * inside)) + row * Tile::kRowBytes + panel * 2 * Tile::kPanel;
  }

 private:
  __device__ static LaneRow of(uint32_t tile, int row, int chunk) {
    return {tile + Swizzled<kColumns>::offset(row, 8 * chunk)};
  }
};

/// Rows of a tensor into a tile, in the background, by all threads of the block: zeros for rows from `valid` (at least
/// 1) on and for columns that the tensor does not have. `from` says where a row lies.
template <int kColumns, int kRows, int kThreads, class From>
__device__ inline void load_rows(uint32_t tile, const From& from, int columns, int valid) {
  using Tile = Swizzled<kColumns>;
  constexpr int kStep = kThreads / Tile::kChunks;
  static_assert(kStep % 8 == 0 && kRows % kStep == 0);
  const int chunk = threadIdx.x % Tile::kChunks, first = threadIdx.x / Tile::kChunks;
  const uint32_t to = tile + Tile::offset(first, 8 * chunk);
#pragma unroll
  for (int i = 0; i < kRows; i += kStep) {
    const bool exists = first + i < valid;
    const uint16_t* row = from(exists ? first + i : 0);
#pragma unroll
    for (int panel = 0; panel < kColumns; panel += Tile::kPanel) {
      const int column = panel + 8 * chunk, left = 2 * (columns - column);
      // Where nothing is read the address is still one that exists.
      atoms::copy_async(to + i * Tile::kRowBytes + 2 * panel, left > 0 ? row + column : row,
                        exists ? max(min(left, 16), 0) : 0);
    }
  }
}

}  // namespace attend::cuda::tiles
