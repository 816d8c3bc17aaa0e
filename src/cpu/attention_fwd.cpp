// SPDX-License-Identifier: Apache-2.0
// The CPU's schedule of exact forward attention (FlashAttention-2, arXiv:2307.08691, section 3): pack K and V of some
// key heads, then hand out blocks of query rows, costliest first. Compiled for the baseline CPU; the arithmetic is
// behind AttentionFwdKernel.
#include "cpu/attention_fwd.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <limits>
#include <new>

#include "cpu/block.hpp"
#include "cpu/cascade.hpp"
#include "cpu/decode.hpp"
#include "cpu/isa.hpp"
#include "cpu/key_rows.hpp"
#include "cpu/parallel.hpp"
#include "cpu/targets/target.hpp"
#include "cpu/traffic.hpp"
#include "plan/work_list.hpp"

namespace attend::cpu {

namespace {

using plan_detail::DecodeRule;
using plan_detail::KernelRow;
using plan_detail::PreparedRun;
using plan_detail::Task;
using plan_detail::Unit;
using plan_detail::Wave;
using plan_detail::WorkList;

constexpr int64_t kPanelsPerPackTask = 8;
/// Packed bytes of a wave for each thread. Panels are read by every block of their head, so they should still lie in L2
/// then: packing all heads first costs 5 to 10 % at 8 heads of 1024 keys (written to L3, fetched back). A head that is
/// larger is a wave.
constexpr int64_t kWaveBytesPerThread = int64_t{1} << 20;

/// Waves whose packed panels exist at the same time. Two for several workers: while the last blocks of one are
/// computed, workers without a block pack the next. One worker stays in the buffer that is already in its L2.
constexpr int64_t kSharedBuffers = 2;

/// Offsets in the workspace: scratch of each worker, then per buffer the packed panels of one wave and a flag for each
/// of them, then the progress of each wave.
struct WorkspaceLayout {
  int64_t k_panel = 0, v_panel = 0;
  int64_t scratch = 0;                            ///< of one worker
  int64_t k_panels = 0, v_panels = 0, flags = 0;  ///< of buffer 0
  int64_t buffer = 0;                             ///< from one buffer to the next
  int64_t progress = 0;
  int64_t decode = 0;  ///< what Decode shares
  int64_t bytes = 0;
};

/// Keys of a chunk when results may not depend on the Problem: long enough to make merges cheap, short enough to give
/// many workers a part.
constexpr int64_t kInvariantChunk = 4096;

/// Few rows stream their keys past them in place; more pay for packing them. Packed keys of long caches leave L2 before
/// they are used: from 4096 keys on (d = 128) that costs as much as 64 rows' slower arithmetic. The two ways round
/// differently, so batch-invariant results take one of them always.
DecodeRule decode_rule(Guarantee guarantee) {
  constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
  if (guarantee == Guarantee::batch_invariant) return {kAll, kAll, 0};
  return {kDecodeRows, 64, 4096};
}

/// How many pack tasks and how many blocks of a wave are done.
struct WaveProgress {
  std::atomic<int64_t> packed{0}, computed{0};
};

/// Query rows of one work item. Twice as many halve the traffic of heads whose packed panels do not stay in L2 (5 % at
/// 4096 keys of 128 columns); for others the smaller block shares out better. Depends on the Problem alone, never on
/// threads.
int64_t block_rows(const AttentionFwd& problem, int64_t panel_bytes) {
  const bool beyond_l2 = problem.sk / kPanelKeys * panel_bytes > int64_t{1} << 20;
  return beyond_l2 && problem.sq >= 2048 ? kBlockRows : kBlockRows / 2;
}

class CpuRun final : public PreparedRun {
 public:
  CpuRun(const AttentionFwdKernel& kernel, Arithmetic arithmetic, const DecodeKernel& decode_kernel,
         const AttentionFwd& problem, const PlanOptions& options)
      : kernel_(kernel),
        arithmetic_(arithmetic),
        problem_(problem),
        executor_(options.executor),
        decode_(decode_kernel, problem_, decode_rule(options.guarantee),
                options.guarantee == Guarantee::batch_invariant ? kInvariantChunk : 0) {
    threads_ = options.threads > 0 ? options.threads : executor_ != nullptr ? executor_->workers : default_threads();
    layout_.k_panel = align_up(kernel.k_panel_bytes(static_cast<int32_t>(problem.d)));
    layout_.v_panel = align_up(kernel.v_panel_bytes(static_cast<int32_t>(problem.dv)));
    block_rows_ = block_rows(problem, layout_.k_panel + layout_.v_panel);
    work_ = WorkList::make(problem_,
                           {block_rows_, kStripeRows, kPanelKeys, kPanelsPerPackTask, layout_.k_panel + layout_.v_panel,
                            decode_rule(options.guarantee), kWaveBytesPerThread * threads_});
    int64_t most_tasks = 1;
    for (const Wave& wave : work_.waves) {
      most_tasks = std::max(most_tasks, wave.tasks);
      first_item_.push_back(items_);
      items_ += wave.pack_tasks + wave.tasks;
    }
    const auto decode_items = static_cast<int64_t>(decode_.list().items.size());
    workers_ = static_cast<int>(std::min<int64_t>(threads_, std::max(most_tasks, decode_items)));

    layout_.scratch =
        align_up(std::max(work_.waves.empty() ? 0 : BlockScratch::bytes(kernel_, problem_), decode_.scratch_bytes()));
    layout_.k_panels = layout_.scratch * workers_;
    layout_.v_panels = layout_.k_panels + work_.max_wave_panels * layout_.k_panel;
    layout_.flags = layout_.v_panels + work_.max_wave_panels * layout_.v_panel;
    layout_.buffer = layout_.flags + align_up(work_.max_wave_panels) - layout_.k_panels;
    buffers_ = workers_ == 1 ? 1 : std::min<int64_t>(kSharedBuffers, static_cast<int64_t>(work_.waves.size()));
    layout_.progress = layout_.k_panels + buffers_ * layout_.buffer;
    layout_.decode = align_up(layout_.progress + static_cast<int64_t>(work_.waves.size() * sizeof(WaveProgress)));
    layout_.bytes =
        layout_.decode + decode_.shared_bytes() + kWorkspaceAlignment;  // and room to align the caller's pointer
  }

  int threads() const override { return threads_; }
  int64_t tile_rows() const override { return kStripeRows; }
  int64_t tile_keys() const override { return kPanelKeys; }
  size_t workspace_bytes() const override { return static_cast<size_t>(layout_.bytes); }

  Result<MemoryTraffic> memory_traffic(int64_t level_bytes) const override {
    return cpu::memory_traffic(problem_, work_, decode_.list(),
                               {layout_.k_panel + layout_.v_panel, layout_.scratch, decode_.state_bytes()},
                               level_bytes);
  }

  std::string explain() const override {
    char text[1024];
    std::snprintf(
        text, sizeof text,
        "tiles      %lld query rows x %d keys a work item, stripes of %d rows, panels of %d keys, register tile %d "
        "rows\n"
        "work       %zu units (key heads), %zu blocks, %zu waves, %s\n"
        "workspace  %lld bytes = packed K and V %lld (%lld panels in flight) + scratch %lld (%d workers x %lld)\n",
        static_cast<long long>(block_rows_), kGroupPanels * kPanelKeys, kStripeRows, kPanelKeys, kernel_.tile_rows,
        work_.units.size(), work_.tasks.size(), work_.waves.size(),
        work_.folded ? "heads of a group folded into rows" : "one head a block", static_cast<long long>(layout_.bytes),
        static_cast<long long>(buffers_ * layout_.buffer), static_cast<long long>(buffers_ * work_.max_wave_panels),
        static_cast<long long>(layout_.scratch * workers_), workers_, static_cast<long long>(layout_.scratch));
    return text + (decode_.list().items.empty() ? std::string() : decode_.explain());
  }

  Status run(const AttentionFwdArgs& args, std::byte* workspace) const override {
    std::byte* base = workspace + (-reinterpret_cast<uintptr_t>(workspace) & (kWorkspaceAlignment - 1));
    auto* progress = reinterpret_cast<WaveProgress*>(base + layout_.progress);
    for (size_t i = 0; i < work_.waves.size(); ++i) new (progress + i) WaveProgress;
    decode_.begin(base + layout_.decode);
    const auto all = items_ + static_cast<int64_t>(decode_.list().items.size());
    parallel_for(executor_, workers_, all, [&](int64_t i, int worker, Ahead ahead) {
      if (i < items_) return run_item(args, base, progress, i, worker);
      decode_.run_item(args, i - items_, base + layout_.scratch * worker, base + layout_.decode,
                       [&] { return ahead.likely() - items_; });
    });
    return {};
  }

 private:
  /// Item `index` of the run, in the order in which workers take them: of each wave first its pack tasks, then its
  /// blocks. An item waits only for items before it, which running workers hold, so every executor gets through, a
  /// sequential one too.
  void run_item(const AttentionFwdArgs& args, std::byte* base, WaveProgress* progress, int64_t index,
                int worker) const {
    const auto after = std::upper_bound(first_item_.begin(), first_item_.end(), index);
    const int64_t w = after - first_item_.begin() - 1;
    const Wave& wave = work_.waves[static_cast<size_t>(w)];
    std::byte* buffer = base + w % buffers_ * layout_.buffer;
    const int64_t in_wave = index - first_item_[static_cast<size_t>(w)];
    if (in_wave < wave.pack_tasks) {
      if (w >= buffers_)
        wait_for(progress[w - buffers_].computed, work_.waves[static_cast<size_t>(w - buffers_)].tasks);
      pack(args, buffer, wave, in_wave, base + layout_.scratch * worker);
      count_up(progress[w].packed);
      return;
    }
    wait_for(progress[w].packed, wave.pack_tasks);
    const Task& task = work_.tasks[static_cast<size_t>(wave.first_task + in_wave - wave.pack_tasks)];
    run_task(args, buffer, task, base + layout_.scratch * worker);
    count_up(progress[w].computed);
  }

  void pack(const AttentionFwdArgs& args, std::byte* buffer, const Wave& wave, int64_t index,
            std::byte* scratch) const {
    // The unit whose pack tasks hold `index`: the last one that begins at or before it.
    int64_t low = wave.first_unit, high = wave.first_unit + wave.units;
    while (high - low > 1) {
      const int64_t middle = (low + high) / 2;
      (work_.units[static_cast<size_t>(middle)].first_pack_task <= index ? low : high) = middle;
    }
    const Unit& unit = work_.units[static_cast<size_t>(low)];
    const int64_t begin = (index - unit.first_pack_task) * kPanelsPerPackTask;
    const int64_t end = std::min(begin + kPanelsPerPackTask, unit.panels);
    BlockScratch at;
    at.place(kernel_, problem_, scratch);
    for (int64_t p = begin; p < end; ++p) {
      const int64_t key = unit.keys.begin + p * kPanelKeys, panel = unit.first_panel + p;
      const int32_t keys = static_cast<int32_t>(std::min<int64_t>(kPanelKeys, unit.keys.end - key));
      const KeyRows k = key_rows(problem_, args, unit.sequence, unit.key_head, key, keys, at.gather);
      kernel_.pack_k(buffer + layout_.k_panels + panel * layout_.k_panel, k.data, k.type, k.row_stride, keys,
                     static_cast<int32_t>(problem_.d));
      const KeyRows v = value_rows(problem_, args, unit.sequence, unit.key_head, key, keys, at.gather);
      const bool nonfinite = kernel_.pack_v(buffer + layout_.v_panels + panel * layout_.v_panel, v.data, v.type,
                                            v.row_stride, keys, static_cast<int32_t>(problem_.dv));
      buffer[layout_.flags + panel] = std::byte{nonfinite};
    }
  }

  void run_task(const AttentionFwdArgs& args, std::byte* buffer, const Task& task, std::byte* scratch) const {
    const Unit& unit = work_.units[static_cast<size_t>(task.unit)];
    const PackedPanels panels{buffer + layout_.k_panels + unit.first_panel * layout_.k_panel,
                              buffer + layout_.v_panels + unit.first_panel * layout_.v_panel,
                              buffer + layout_.flags + unit.first_panel,
                              layout_.k_panel,
                              layout_.v_panel,
                              unit.keys};
    run_block(kernel_, arithmetic_, problem_, args, unit, task, panels, scratch);
  }

  const AttentionFwdKernel& kernel_;
  Arithmetic arithmetic_;
  AttentionFwd problem_;
  const Executor* executor_;
  int64_t block_rows_ = kBlockRows;
  int threads_ = 1, workers_ = 1;
  WorkList work_;
  Decode decode_;
  std::vector<int64_t> first_item_;  ///< of each wave
  int64_t items_ = 0, buffers_ = 1;
  WorkspaceLayout layout_;
};

struct Row {
  const char* target;
  Arithmetic arithmetic;
  const char* arithmetic_name;
  const char* why;
  const AttentionFwdKernel* kernel;
};

struct DecodeRow {
  const char* target;
  const DecodeKernel* kernel;
};

const std::vector<Row>& rows() {
  static const std::vector<Row> table = {
#define ATTEND_CPU_ATTENTION_FWD(target, arithmetic, why) \
  {#target, Arithmetic::arithmetic, #arithmetic, why, &target::kAttentionFwd_##arithmetic},
#include "cpu/kernels.def"
  };
  return table;
}

const std::vector<DecodeRow>& decode_rows() {
  static const std::vector<DecodeRow> table = {
#define ATTEND_CPU_DECODE(target, arithmetic, why) {#target, &target::kDecode_##arithmetic},
#include "cpu/kernels.def"
  };
  return table;
}

/// The decoding kernel that goes with a row: the last of its target or a slower one.
const DecodeKernel& decode_kernel(const Row& row) {
  const DecodeKernel* found = nullptr;
  for (const Target& target : targets()) {
    for (const DecodeRow& each : decode_rows())
      if (target.name == each.target) found = each.kernel;
    if (target.name == row.target) break;
  }
  return *found;
}

std::string refuse(const KernelRow& row, const AttentionFwd& problem) {
  if (row.arithmetic != Arithmetic::bf16_dot) return {};
  const struct {
    const char* name;
    DType type;
  } operands[] = {{"q", problem.q_type}, {"k", problem.k_type}, {"v", problem.v_type}};
  for (const auto& operand : operands)
    if (operand.type != DType::bf16)
      return std::string(operand.name) + " is " + dtype_name(operand.type) + ", this row takes bf16";
  return {};
}

Result<std::shared_ptr<const PreparedRun>> prepare(const KernelRow& row, const AttentionFwd& problem,
                                                   const PlanOptions& options) {
  const Row& mine = rows()[static_cast<size_t>(row.index)];
  const auto prepare_one = [&](const AttentionFwd& part) -> std::shared_ptr<const PreparedRun> {
    return std::make_shared<CpuRun>(*mine.kernel, row.arithmetic, decode_kernel(mine), part, options);
  };
  if (auto cascade = prepare_cascade(problem, options, prepare_one)) return cascade;
  return prepare_one(problem);
}

}  // namespace

std::vector<KernelRow> attention_fwd_rows() {
  std::vector<KernelRow> result;
  const std::vector<Target> machine = targets();
  for (const Row& row : rows()) {
    KernelRow out;
    out.id = std::string("attention_fwd.") + row.target + "." + row.arithmetic_name;
    out.isa = row.target;
    out.arithmetic = row.arithmetic;
    out.why = row.why;
    for (const Target& target : machine)
      if (target.name == row.target) out.unavailable = target.unavailable;
    if (row.arithmetic == Arithmetic::bf16_dot) out.slower = slow_bf16_dot();
    out.index = static_cast<int>(result.size());
    out.refuse = refuse;
    out.prepare = prepare;
    result.push_back(std::move(out));
  }
  return result;
}

}  // namespace attend::cpu
