// SPDX-License-Identifier: Apache-2.0
#include "plan/head_packing.hpp"

namespace attend::plan_detail {
namespace {

int64_t row_blocks(const AttentionFwd& problem, const TileList::Shape& shape) {
  const int64_t step = shape.rows / shape.pack;
  int64_t blocks = 0;
  for (int64_t n = 0; n < problem.b; ++n) blocks += (problem.query_length(n) + step - 1) / step;
  return blocks * (problem.hq / shape.pack);
}

bool pays(int64_t packed, int64_t unpacked) { return 10 * packed <= 9 * unpacked; }

}  // namespace

HeadPacking HeadPacking::choose(const AttentionFwd& problem, TileList::Shape shape, int32_t most) {
  TileList::Shape packed = shape;
  while (packed.pack < most && problem.group() % (2 * packed.pack) == 0) packed.pack *= 2;
  const std::string heads = std::to_string(packed.pack) + " heads";
  // Items that are no fewer visit no fewer tiles, but for the granularity of their edges; no list is made to see that.
  const int64_t blocks = row_blocks(problem, shape), packed_blocks = row_blocks(problem, packed);
  if (packed.pack == 1 || !pays(packed_blocks, blocks)) {
    const std::string why = most == 1              ? "the kernel takes one head at a time"
                            : problem.group() == 1 ? "one query head for each key head"
                            : packed.pack == 1
                                ? "a group of " + std::to_string(problem.group()) + " heads has no power of two in it"
                                : "rows fill their tiles: " + std::to_string(packed_blocks) + " items with " + heads +
                                      " in each, " + std::to_string(blocks) + " with one";
    return {1, "none, " + why, TileList::make(problem, shape)};
  }
  TileList without = TileList::make(problem, shape), with = TileList::make(problem, packed);
  const std::string visits = std::to_string(with.visits()) + " tiles instead of " + std::to_string(without.visits());
  // Heads whose masks differ visit what any of them sees.
  if (!pays(with.visits(), without.visits()))
    return {1, "none, " + heads + " in the rows of an item would visit " + visits, std::move(without)};
  return {packed.pack, heads + " in the rows of an item: " + visits, std::move(with)};
}

}  // namespace attend::plan_detail
