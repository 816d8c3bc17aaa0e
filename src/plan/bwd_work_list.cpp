// SPDX-License-Identifier: Apache-2.0
#include "plan/bwd_work_list.hpp"

#include <algorithm>

namespace attend::plan_detail {

namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

BwdWorkList BwdWorkList::make(const AttentionBwd& problem, const Shape& shape) {
  const AttentionFwd& p = problem.forward;
  BwdWorkList list;
  for (int64_t n = 0; n < p.b; ++n)
    for (int64_t key_head = 0; key_head < p.hk; ++key_head) {
      BwdUnit unit;
      unit.sequence = n;
      unit.key_head = key_head;
      unit.keys = p.key_length(n);
      unit.rows = p.group() * p.query_length(n);
      unit.first_row = list.rows;
      unit.first_block = static_cast<int64_t>(list.blocks.size());
      unit.chunks = ceil_div(unit.keys, shape.chunk_keys);
      for (int64_t g = 0; g < p.group(); ++g) {
        const Frame frame = p.frame(n, key_head * p.group() + g);
        for (int64_t begin = 0; begin < frame.sq; begin += shape.block_rows) {
          const int64_t rows = std::min(shape.block_rows, frame.sq - begin);
          const Range span = intersect(p.mask.key_span(frame, {begin, begin + rows}), {0, frame.sk});
          BwdBlockRows block{frame.head, begin, static_cast<int32_t>(rows), g * frame.sq + begin, 0, 0};
          if (!span.empty()) {
            block.first_chunk = span.begin / shape.chunk_keys;
            block.end_chunk = ceil_div(span.end, shape.chunk_keys);
          }
          list.blocks.push_back(block);
        }
      }
      unit.blocks = static_cast<int64_t>(list.blocks.size()) - unit.first_block;
      list.rows += unit.rows;
      if (unit.chunks > 1) list.max_unit_rows = std::max(list.max_unit_rows, unit.rows);
      list.max_chunks = std::max(list.max_chunks, unit.chunks);
      list.units.push_back(unit);
    }

  const auto units = static_cast<int64_t>(list.units.size());
  std::vector<int64_t> turns(static_cast<size_t>(list.max_chunks));
  for (int64_t first = 0; first < units; first += shape.units_at_once) {
    const int64_t end = std::min(first + shape.units_at_once, units);
    for (int64_t chunk = 0; chunk < list.max_chunks; ++chunk)
      for (int64_t u = first; u < end; ++u)
        if (chunk < list.units[static_cast<size_t>(u)].chunks)
          list.items.push_back({u, chunk, turns[static_cast<size_t>(chunk)]++});
  }
  return list;
}

}  // namespace attend::plan_detail
