// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attend.hpp>
#include <cstdint>
#include <vector>

namespace attend::cli {

/// A grid of cells over the (query, key) pairs of one head; the last ones may stick out.
struct CellGrid {
  int64_t sq = 0, sk = 0;
  int64_t cell_rows = 1, cell_keys = 1;

  int64_t rows() const { return (sq + cell_rows - 1) / cell_rows; }
  int64_t columns() const { return (sk + cell_keys - 1) / cell_keys; }
};

/// The largest attention probability in each cell; negative where no pair of it counts.
struct PooledMap {
  CellGrid grid;
  std::vector<float> peak;  ///< [rows][columns]
  float at(int64_t row, int64_t column) const { return peak[static_cast<size_t>(row * grid.columns() + column)]; }
};

/// Computes the probabilities of one head in fp64 by plain loops, as the formula in attend/attention.hpp has them, and
/// pools them into every grid. The library itself never holds them all, which is why this does not ask it. Time O(sq *
/// sk * d), memory O(sk * d + cells). `problem` has passed check(), the grids have its lengths for sequence n.
std::vector<PooledMap> attention_maps(const AttentionFwd& problem, const AttentionFwdArgs& args, int64_t n,
                                      int64_t head, const std::vector<CellGrid>& grids);

/// What the mask says of each cell.
struct ClassMap {
  CellGrid grid;
  std::vector<TileClass> classes;  ///< [rows][columns]
  int64_t skipped = 0, partial = 0, full = 0;
  TileClass at(int64_t row, int64_t column) const {
    return classes[static_cast<size_t>(row * grid.columns() + column)];
  }
};
ClassMap tile_classes(const AttentionFwd& problem, int64_t n, int64_t head, const CellGrid& grid);

}  // namespace attend::cli
