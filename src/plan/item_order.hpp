// SPDX-License-Identifier: Apache-2.0
// In which order blocks of threads take the items of a list: sections of heads whose keys and values stay in the cache
// that all share, and in each section the longest items first.
#pragma once
#include <cstdint>
#include <vector>

#include "plan/tile_list.hpp"

namespace attend::plan_detail {

/// Items that follow one another, of whole key heads.
struct Section {
  int64_t first_item = 0, items = 0;
  int64_t bytes = 0;  ///< of the keys and values that they read
};

struct SectionShape {
  int64_t budget = 0;     ///< bytes of a section that holds more than one key head
  int64_t key_bytes = 0;  ///< of K and V, for one key of one head
  int64_t group = 1;      ///< query heads per key head
  int32_t tile_keys = 0;
};

/// Sorts the items. Key heads come in the order of their longest item, so that the shortest items of all are in the
/// last section and fill what the long ones have left uneven.
std::vector<Section> order_by_section(TileList& list, const SectionShape& shape);

/// Items for each of `workers` blocks of threads: each item in turn goes to the one that has least to do so far, as if
/// they took items when they are free. Sorts the items by worker, otherwise as they were. Returns where each worker's
/// begin, and the end.
std::vector<int32_t> share_out(TileList& list, int64_t workers);

}  // namespace attend::plan_detail
