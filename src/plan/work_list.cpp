// SPDX-License-Identifier: Apache-2.0
#include "plan/work_list.hpp"

#include <algorithm>
#include <variant>

namespace attend::plan_detail {

namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Keys that any row of any head of the group sees.
Range keys_of_group(const AttentionFwd& problem, int64_t sequence, int64_t key_head) {
  Range all;
  const int64_t heads = problem.mask.per_head() ? problem.group() : 1;
  for (int64_t i = 0; i < heads; ++i) {
    const Frame frame = problem.frame(sequence, key_head * problem.group() + i);
    const Range one = intersect(problem.mask.key_span(frame, {0, frame.sq}), {0, frame.sk});
    if (one.empty()) continue;
    all = all.empty() ? one : Range{std::min(all.begin, one.begin), std::max(all.end, one.end)};
  }
  return all;
}

/// Rows after which a block must end: whole tiles of the mask (a stripe that lies in two would compute the keys of
/// both), or all.
int64_t block_step(const Mask& mask, int64_t rows, int64_t fold, const WorkList::Shape& shape) {
  int64_t tile = 0;
  for (const MaskTerm& each : mask.terms())
    std::visit(
        [&]<class Term>(const Term& term) {
          if constexpr (requires { term.q_tile; }) tile = std::max<int64_t>(tile, term.q_tile);
        },
        each);
  if (tile == 0 || tile > rows) return std::max<int64_t>(rows, 1);
  // Small tiles share a block.
  return tile * fold * std::max<int64_t>(shape.block_rows / 2 / (tile * fold), 1);
}

void add_tasks(WorkList& list, const AttentionFwd& problem, const Unit& unit, int64_t unit_index,
               const WorkList::Shape& shape, int64_t head) {
  const int64_t fold = head < 0 ? problem.group() : 1;
  const Frame frame = problem.frame(unit.sequence, head < 0 ? unit.key_head * fold : head);
  const int64_t rows = frame.sq * fold;
  const int64_t step = block_step(problem.mask, rows, fold, shape);
  for (int64_t begin = 0; begin < rows;) {
    // Up to the next edge of the mask's own tiles; what lies between two edges is cut into whole stripes, as equal as
    // can be: 108 rows are 60 + 48, not 96 + 12.
    const int64_t edge = std::min((begin / step + 1) * step, rows), left = edge - begin;
    const int64_t blocks = ceil_div(left, shape.block_rows);
    const int64_t stripes = ceil_div(ceil_div(left, shape.stripe_rows), blocks);
    const int64_t end = std::min(begin + stripes * shape.stripe_rows, edge);
    const Range span = problem.mask.key_span(frame, {begin / fold, ceil_div(end, fold)});
    const int64_t cost = (end - begin) * std::max<int64_t>(intersect(span, unit.keys).size(), 1);
    list.tasks.push_back({unit_index, head, begin, static_cast<int32_t>(end - begin), cost});
    begin = end;
  }
}

}  // namespace

WorkList WorkList::make(const AttentionFwd& problem, const Shape& shape) {
  WorkList list;
  list.folded = problem.group() > 1 && !problem.mask.per_head();
  const int64_t wave_panels = std::max<int64_t>(shape.wave_bytes / std::max<int64_t>(shape.panel_bytes, 1), 1);

  Wave wave;
  const auto close_wave = [&] {
    wave.units = static_cast<int64_t>(list.units.size()) - wave.first_unit;
    wave.tasks = static_cast<int64_t>(list.tasks.size()) - wave.first_task;
    if (wave.tasks == 0) return;
    // Stable: equal costs keep the order of memory.
    std::stable_sort(list.tasks.begin() + wave.first_task, list.tasks.end(),
                     [](const Task& a, const Task& b) { return a.cost > b.cost; });
    list.max_wave_panels = std::max(list.max_wave_panels, wave.panels);
    list.waves.push_back(wave);
    wave = {static_cast<int64_t>(list.units.size()), 0, static_cast<int64_t>(list.tasks.size()), 0, 0, 0};
  };

  for (int64_t n = 0; n < problem.b; ++n) {
    if (problem.query_length(n) == 0 || shape.left_out.holds(problem, n)) continue;
    for (int64_t key_head = 0; key_head < problem.hk; ++key_head) {
      Range keys = keys_of_group(problem, n, key_head);
      keys.begin = keys.empty() ? keys.end : keys.begin / shape.panel_keys * shape.panel_keys;
      Unit unit{n, key_head, keys, ceil_div(keys.size(), shape.panel_keys), 0, 0};
      if (wave.panels > 0 && wave.panels + unit.panels > wave_panels) close_wave();
      unit.first_panel = wave.panels;
      unit.first_pack_task = wave.pack_tasks;
      wave.panels += unit.panels;
      wave.pack_tasks += ceil_div(unit.panels, shape.panels_per_pack_task);
      list.units.push_back(unit);
      const int64_t unit_index = static_cast<int64_t>(list.units.size()) - 1;
      if (problem.group() > 1 && !list.folded) {
        for (int64_t i = 0; i < problem.group(); ++i)
          add_tasks(list, problem, unit, unit_index, shape, key_head * problem.group() + i);
      } else {
        add_tasks(list, problem, unit, unit_index, shape, -1);
      }
    }
  }
  close_wave();
  return list;
}

}  // namespace attend::plan_detail
