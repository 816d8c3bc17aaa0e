// SPDX-License-Identifier: Apache-2.0
// How one forward pass is cut: units (a key head of a sequence, whose K and V are packed once), tasks (a block of query
// rows of a unit) and waves (units whose packed panels are alive at the same time).
#pragma once
#include <attend/attention.hpp>
#include <cstdint>
#include <vector>

#include "plan/decode_list.hpp"

namespace attend::plan_detail {

struct Unit {
  int64_t sequence = 0, key_head = 0;
  Range keys;                   ///< keys that any row may see, begin rounded down to a panel; empty: nothing to pack
  int64_t panels = 0;           ///< ceil(keys.size() / panel keys)
  int64_t first_panel = 0;      ///< among the panels of the wave
  int64_t first_pack_task = 0;  ///< among the pack tasks of the wave
};

/// Rows of one unit. With folding, row r is query r / g of head key_head * g + r % g, so that a block of rows holds all
/// heads of the group; without, rows are queries of one head.
struct Task {
  int64_t unit = 0;
  int64_t head = -1;  ///< query head, or -1 when folded
  int64_t first_row = 0;
  int32_t rows = 0;
  int64_t cost = 0;  ///< rows times keys in their span
};

struct Wave {
  int64_t first_unit = 0, units = 0;
  int64_t first_task = 0, tasks = 0;
  int64_t panels = 0, pack_tasks = 0;
};

struct WorkList {
  struct Shape {
    int64_t block_rows = 0, stripe_rows = 0, panel_keys = 0, panels_per_pack_task = 0;
    int64_t panel_bytes = 0;  ///< of K and V together
    DecodeRule left_out;      ///< sequences that are not cut here
    int64_t wave_bytes = 0;   ///< packed bytes that a wave should not exceed when it holds more than one unit
  };

  std::vector<Unit> units;
  std::vector<Task> tasks;  ///< of each wave, costliest first
  std::vector<Wave> waves;
  bool folded = false;  ///< heads of a group share a block; not when the mask differs between heads
  int64_t max_wave_panels = 0;

  static WorkList make(const AttentionFwd& problem, const Shape& shape);
};

}  // namespace attend::plan_detail
