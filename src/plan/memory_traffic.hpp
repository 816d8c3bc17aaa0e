// SPDX-License-Identifier: Apache-2.0
// Tiles of the schedules that AttentionFwd::memory_traffic() counts: the largest that a level of some bytes holds.
#pragma once
#include <attend/attention.hpp>
#include <cstdint>

namespace attend::plan_detail {

/// invalid_argument: `memory_traffic: level_bytes is <found>, expected at least <least>: <what>`.
Status small_level(int64_t level_bytes, int64_t least, const char* what);

/// Of standard attention, pass by pass.
struct NaiveTiles {
  int64_t score_rows = 0;      ///< rows of Q that stay while K streams by, a key at a time
  bool score_row_fits = true;  ///< whether softmax reads a row of S once; else twice, first for its maximum and sum
  int64_t output_rows = 0;     ///< rows of O, summed in f32, that stay while V streams by
};
/// Error: invalid_argument for a level that is too small.
Result<NaiveTiles> naive_tiles(const AttentionFwd& problem, int64_t level_bytes);

/// Of FlashAttention-1: rows of Q, O, l and m, and keys. The paper's Bc = ceil(M / 4d) is up to a constant, as its M
/// is: it has no room for the scores. Here Bc is the largest with which K_j, V_j, Q_i, O_i, l_i, m_i and the f32 scores
/// of the tile are in the level together, and Br = min(Bc, d) as in the paper.
struct FlashTiles {
  int64_t rows = 0, keys = 0;
};
/// Error: invalid_argument for a level that is too small.
Result<FlashTiles> flash_attention_1_tiles(const AttentionFwd& problem, int64_t level_bytes);

}  // namespace attend::plan_detail
