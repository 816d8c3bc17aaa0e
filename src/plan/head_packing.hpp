// SPDX-License-Identifier: Apache-2.0
// Query heads that share a key head, packed into the rows of one item: keys and values are loaded, and multiplied, once
// for all of them.
#pragma once
#include <string>

#include "plan/tile_list.hpp"

namespace attend::plan_detail {

struct HeadPacking {
  int32_t heads = 1;  ///< in the rows of an item: a power of two that divides the group; 1: not packed
  std::string why;    ///< the line of explain()
  TileList list;

  /// Packs where the items then visit at most 9 tiles for 10 that they visit otherwise: rows of a tile would be empty.
  /// `most` heads are what the kernel can take, a power of two; 1 where it cannot pack.
  static HeadPacking choose(const AttentionFwd& problem, TileList::Shape shape, int32_t most);
};

}  // namespace attend::plan_detail
