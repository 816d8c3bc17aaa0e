// SPDX-License-Identifier: Apache-2.0
#include "cpu/traffic.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "cpu/decode_kernel.hpp"
#include "cpu/row_mask.hpp"
#include "ops/mask/terms.hpp"
#include "ops/row_bytes.hpp"
#include "plan/memory_traffic.hpp"

namespace attend::cpu {
namespace {

using plan_detail::DecodeItem;
using plan_detail::DecodeList;
using plan_detail::Task;
using plan_detail::Unit;
using plan_detail::WorkList;

/// How often blocks read panels that do not stay. Blocks that see the same are counted once.
class PanelReads {
 public:
  PanelReads(const AttentionFwd& problem, const WorkList& work, bool by_stripe)
      : problem_(problem), work_(work), by_stripe_(by_stripe) {}

  int64_t of(const Task& task) {
    const Unit& unit = work_.units[static_cast<size_t>(task.unit)];
    const int64_t fold = task.head < 0 ? problem_.group() : 1, head = task.head < 0 ? unit.key_head * fold : task.head;
    const Frame frame = problem_.frame(unit.sequence, head);
    const std::tuple key{frame.sq, frame.sk, differs_by_batch(problem_.mask) ? frame.batch : 0,
                         problem_.mask.per_head() ? frame.head : 0, task.first_row};
    const auto [at, is_new] = known_.try_emplace(key, 0);
    int64_t& reads = at->second;
    if (!is_new) return reads;

    std::array<int64_t, kBlockRows> queries;
    for (int32_t i = 0; i < task.rows; ++i) queries[static_cast<size_t>(i)] = (task.first_row + i) / fold;
    const RowMask mask(problem_.mask, frame, queries.data(), task.rows);
    for_live_panels(mask, unit.keys, [&](const LivePanel& panel) {
      if (!by_stripe_) ++reads;
      for (int stripe = 0; by_stripe_ && stripe * kStripeRows < task.rows; ++stripe)
        reads += panel.full || mask.classify_stripe(stripe, panel.keys) != TileClass::skip ? 1 : 0;
    });
    return reads;
  }

 private:
  const AttentionFwd& problem_;
  const WorkList& work_;
  bool by_stripe_;
  std::map<std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t>, int64_t> known_;
};

/// Keys that a decoding item reads, summed over its heads.
int64_t keys_read(const AttentionFwd& problem, const DecodeItem& item) {
  const int64_t group = problem.group();
  int64_t keys = 0;
  for (int64_t h = item.key_head; h < item.key_head + item.heads; ++h)
    for (Range block{item.keys.begin, 0}; block.begin < item.keys.end; block.begin = block.end) {
      block.end = std::min((block.begin / kDecodeKeys + 1) * kDecodeKeys, item.keys.end);
      bool seen = false;
      for (int64_t row = 0; row < item.rows && !seen; row += kDecodeRows) {
        const int64_t first = item.first_row + row, end = item.first_row + std::min(row + kDecodeRows, item.rows);
        const Range queries{first / group, (end - 1) / group + 1};
        for (int64_t i = 0; i < (problem.mask.per_head() ? group : 1) && !seen; ++i)
          seen = problem.mask.classify(problem.frame(item.sequence, h * group + i), queries, block) != TileClass::skip;
      }
      keys += seen ? block.size() : 0;
    }
  return keys;
}

}  // namespace

Result<MemoryTraffic> memory_traffic(const AttentionFwd& problem, const WorkList& work, const DecodeList& decode,
                                     const Residents& residents, int64_t level_bytes) {
  const RowBytes row(problem);
  const int64_t panel = residents.panel_bytes;
  const int64_t least = residents.scratch_bytes + std::max(work.max_wave_panels > 0 ? panel : 0,
                                                           decode.items.empty() ? 0 : kDecodeKeys * (row.k + row.v));
  if (level_bytes < least)
    return plan_detail::small_level(level_bytes, least, "what a worker computes in and a panel of K and V");
  const int64_t room = level_bytes - residents.scratch_bytes;
  MemoryTraffic moved;
  PanelReads reads(problem, work, /*by_stripe=*/room < kGroupPanels * panel);
  for (const plan_detail::Wave& wave : work.waves) {
    const bool stays = wave.panels * panel <= room;
    for (int64_t i = wave.first_unit; i < wave.first_unit + wave.units; ++i)
      moved.read += work.units[static_cast<size_t>(i)].keys.size() * (row.k + row.v);
    if (!stays) moved.written += wave.panels * panel;
    for (int64_t i = wave.first_task; i < wave.first_task + wave.tasks; ++i) {
      const Task& task = work.tasks[static_cast<size_t>(i)];
      moved.read += task.rows * row.q;
      moved.written += task.rows * (row.o + row.lse);
      if (!stays) moved.read += reads.of(task) * panel;
    }
  }
  for (const DecodeItem& item : decode.items) {
    const int64_t rows = item.heads * item.rows;
    if (!item.keys.empty()) moved.read += rows * row.q;
    moved.read += keys_read(problem, item) * (row.k + row.v);
    if (item.merge >= 0) {
      moved.written += rows * residents.state_bytes;
      moved.read += rows * residents.state_bytes;
    }
    if (item.part == 0) moved.written += rows * (row.o + row.lse);
  }
  return moved;
}

}  // namespace attend::cpu
