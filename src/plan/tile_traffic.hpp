// SPDX-License-Identifier: Apache-2.0
// Bytes that a list of tiles moves through a memory level: AttentionFwdPlan::memory_traffic() of devices.
#pragma once
#include <attend/attention.hpp>
#include <cstdint>
#include <vector>

#include "plan/item_order.hpp"
#include "plan/tile_list.hpp"

namespace attend::plan_detail {

/// What an item computes in: its rows of Q, their f32 sums of O with maximum and sum, and the scores of one tile.
int64_t item_bytes(const AttentionFwd& problem, const TileList::Shape& shape);

/// Items one after the other, as order_by_section() left them. Beside item_bytes() the level holds either every tile of
/// keys and values that the section visits, each read once, or one tile, read by every item that visits it. Error:
/// invalid_argument for a level without room for a tile.
Result<MemoryTraffic> memory_traffic(const AttentionFwd& problem, const TileList& list, const TileList::Shape& shape,
                                     const std::vector<Section>& sections, int64_t level_bytes);

}  // namespace attend::plan_detail
