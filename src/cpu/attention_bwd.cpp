// SPDX-License-Identifier: Apache-2.0
// The CPU's schedule of the exact backward pass (FlashAttention-2, arXiv:2307.08691, algorithm 2). A work item is a
// chunk of keys of one key head: it passes over the blocks of query rows from the last to the first, keeps dK and dV to
// itself, and adds its part of each block's dQ when the chunks before it have. So no sum depends on who computes it,
// and items of one head run side by side, each a block behind the other at worst.
#include "cpu/attention_bwd.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <limits>
#include <new>

#include "cpu/block.hpp"
#include "cpu/bwd_item.hpp"
#include "cpu/isa.hpp"
#include "cpu/parallel.hpp"
#include "cpu/targets/target.hpp"

namespace attend::cpu {

namespace {

using plan_detail::BwdBlockRows;
using plan_detail::BwdItem;
using plan_detail::BwdKernelRow;
using plan_detail::BwdUnit;
using plan_detail::BwdWorkList;
using plan_detail::PreparedBwdRun;

constexpr double kLog2e = 1.4426950408889634;
constexpr int64_t kBlocksPerPrepareTask = 8;
constexpr int64_t kFloatsPerZeroTask = int64_t{1} << 16;
/// Packed K and V of a chunk with its dK and dV: they stay in L2 while Q and dO pass by.
constexpr int64_t kChunkBytes = int64_t{640} << 10;
/// Work items that a Problem should have, that its threads share them evenly.
constexpr int64_t kEnoughItems = 32;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Panels of a chunk. Depends on the Problem alone, and where a sequence's bits may not depend on its batch, on its
/// columns alone.
int64_t chunk_panels(const AttentionFwd& problem, int64_t panel_bytes, Guarantee guarantee) {
  int64_t panels = std::clamp<int64_t>(kChunkBytes / panel_bytes, 1, kBwdChunkPanels);
  if (guarantee == Guarantee::batch_invariant) return panels;
  const int64_t units = std::max<int64_t>(problem.b * problem.hk, 1);
  while (panels > 2 && units * ceil_div(problem.sk, panels * kPanelKeys) < kEnoughItems) panels = (panels + 1) / 2;
  return panels;
}

/// Offsets in the workspace.
struct WorkspaceLayout {
  int64_t scratch = 0;                     ///< of one worker; those of all workers come first
  int64_t minus_lse = 0, minus_delta = 0;  ///< [rows]
  int64_t dq = 0, dq_unit = 0;             ///< sums over chunks, one buffer for each unit under way
  int64_t turns = 0;                       ///< per block: chunks that have added their part
  int64_t unit_done = 0;                   ///< per unit: chunks that are finished
  int64_t bias_turns = 0;                  ///< per chunk of keys: units that have added to dbias
  int64_t bytes = 0;
};

using Counter = std::atomic<int64_t>;

class CpuBwdRun final : public PreparedBwdRun {
 public:
  CpuBwdRun(const AttentionBwdKernel& kernel, Arithmetic arithmetic, const AttentionBwd& problem,
            const PlanOptions& options)
      : kernel_(kernel), arithmetic_(arithmetic), problem_(problem), executor_(options.executor) {
    threads_ = options.threads > 0 ? options.threads : executor_ != nullptr ? executor_->workers : default_threads();
    const AttentionFwd& p = problem_.forward;
    const int64_t dq_stride = kernel.forward->out_stride(static_cast<int32_t>(p.d));
    const int64_t one = BwdScratch::bytes(kernel, arithmetic, p, 1), two = BwdScratch::bytes(kernel, arithmetic, p, 2);
    panels_ = chunk_panels(p, two - one, options.guarantee);
    work_ = BwdWorkList::make(problem_, {kBwdRows, panels_ * kPanelKeys, threads_});
    const auto items = static_cast<int64_t>(work_.items.size()), blocks = static_cast<int64_t>(work_.blocks.size()),
               units = static_cast<int64_t>(work_.units.size());
    workers_ = static_cast<int>(std::min<int64_t>(threads_, std::max<int64_t>(items, 1)));
    const BiasShape shape = p.bias.value_or(BiasShape());
    shared_bias_ = problem_.dbias && ((!shape.batch && p.b > 1) || (!shape.head && p.hk > 1));
    zero_tasks_ = problem_.dbias ? ceil_div(p.bias_size(), kFloatsPerZeroTask) : 0;
    prepare_tasks_ = ceil_div(blocks, kBlocksPerPrepareTask);
    sink_tasks_ = problem_.dsink ? p.hq : 0;

    dq_buffers_ = work_.max_unit_rows == 0 ? 0 : std::min<int64_t>(workers_ + 1, units);
    if (workers_ == 1) dq_buffers_ = std::min<int64_t>(dq_buffers_, 1);
    layout_.scratch = align_up(BwdScratch::bytes(kernel, arithmetic, p, panels_));
    int64_t used = layout_.scratch * workers_;
    const auto take = [&](int64_t& at, int64_t bytes) {
      at = used;
      used += align_up(bytes);
    };
    layout_.dq_unit = align_up(work_.max_unit_rows * dq_stride * 4);
    take(layout_.minus_lse, work_.rows * 4);
    take(layout_.minus_delta, work_.rows * 4);
    take(layout_.dq, dq_buffers_ * layout_.dq_unit);
    take(layout_.turns, blocks * static_cast<int64_t>(sizeof(Counter)));
    take(layout_.unit_done, units * static_cast<int64_t>(sizeof(Counter)));
    take(layout_.bias_turns, work_.max_chunks * static_cast<int64_t>(sizeof(Counter)));
    layout_.bytes = used + kWorkspaceAlignment;  // and room to align the caller's pointer
  }

  int threads() const override { return threads_; }
  int64_t tile_rows() const override { return kStripeRows; }
  int64_t tile_keys() const override { return kPanelKeys; }
  size_t workspace_bytes() const override { return static_cast<size_t>(layout_.bytes); }

  std::string explain() const override {
    char text[1024];
    std::snprintf(
        text, sizeof text,
        "tiles      %d query rows x %lld keys a step, panels of %d keys, register tile %d rows\n"
        "work       %zu units (key heads), %zu chunks of keys, %zu blocks of query rows\n"
        "workspace  %lld bytes = scratch %lld (%d workers x %lld) + dQ %lld (%lld key heads under way) + lse, D "
        "and counters\n",
        kBwdRows, static_cast<long long>(panels_ * kPanelKeys), kPanelKeys, kernel_.forward->tile_rows,
        work_.units.size(), work_.items.size(), work_.blocks.size(), static_cast<long long>(layout_.bytes),
        static_cast<long long>(layout_.scratch * workers_), workers_, static_cast<long long>(layout_.scratch),
        static_cast<long long>(dq_buffers_ * layout_.dq_unit), static_cast<long long>(dq_buffers_));
    return text;
  }

  Status run(const AttentionBwdArgs& args, std::byte* workspace) const override {
    std::byte* base = workspace + (-reinterpret_cast<uintptr_t>(workspace) & (kWorkspaceAlignment - 1));
    const auto counters = [&](int64_t offset, size_t count) {
      auto* first = reinterpret_cast<Counter*>(base + offset);
      for (size_t i = 0; i < count; ++i) new (first + i) Counter(0);
      return first;
    };
    Counter prepared{0};
    const Run run{args,
                  base,
                  &prepared,
                  counters(layout_.turns, work_.blocks.size()),
                  counters(layout_.unit_done, work_.units.size()),
                  counters(layout_.bias_turns, static_cast<size_t>(work_.max_chunks)),
                  reinterpret_cast<float*>(base + layout_.minus_lse),
                  reinterpret_cast<float*>(base + layout_.minus_delta)};
    const auto items = static_cast<int64_t>(work_.items.size());
    parallel_for(executor_, workers_, zero_tasks_ + prepare_tasks_ + items + sink_tasks_,
                 [&](int64_t i, int worker) { run_task(run, i, worker); });
    return {};
  }

 private:
  /// What the tasks of one run share.
  struct Run {
    const AttentionBwdArgs& args;
    std::byte* base;
    Counter* prepared;
    Counter *turns, *unit_done, *bias_turns;
    float *minus_lse, *minus_delta;
  };

  /// Task `index` in the order in which workers take them. A task waits only for tasks before it, which running workers
  /// hold, so every executor gets through, a sequential one too.
  void run_task(const Run& run, int64_t index, int worker) const {
    if (index < zero_tasks_) {
      const int64_t begin = index * kFloatsPerZeroTask;
      std::fill_n(run.args.dbias + begin, std::min(kFloatsPerZeroTask, problem_.forward.bias_size() - begin), 0.0F);
      return count_up(*run.prepared);
    }
    index -= zero_tasks_;
    if (index < prepare_tasks_) {
      const int64_t begin = index * kBlocksPerPrepareTask, blocks = static_cast<int64_t>(work_.blocks.size());
      for (int64_t i = begin; i < std::min(begin + kBlocksPerPrepareTask, blocks); ++i) prepare_block(run, i);
      return count_up(*run.prepared);
    }
    index -= prepare_tasks_;
    wait_for(*run.prepared, zero_tasks_ + prepare_tasks_);
    const auto items = static_cast<int64_t>(work_.items.size());
    if (index < items) return run_item(run, work_.items[static_cast<size_t>(index)], worker);
    sum_sink(run, index - items);
  }

  const BwdUnit& unit_of_block(int64_t block) const {
    const auto after = std::upper_bound(work_.units.begin(), work_.units.end(), block,
                                        [](int64_t b, const BwdUnit& unit) { return b < unit.first_block; });
    return *(after - 1);
  }

  /// -lse in log2 units and -D of the block's rows. A block that no chunk sees has a dQ of 0.
  void prepare_block(const Run& run, int64_t index) const {
    const AttentionFwd& p = problem_.forward;
    const BwdUnit& unit = unit_of_block(index);
    const BwdBlockRows& block = work_.blocks[static_cast<size_t>(index)];
    for (int64_t i = 0; i < block.rows; ++i) {
      const int64_t n = unit.sequence, query = block.first_query + i, row = unit.first_row + block.first_row + i;
      const double lse = run.args.lse[p.lse_offset(n, query, block.head)];
      run.minus_lse[row] = static_cast<float>(-lse * kLog2e);
      if (lse == -std::numeric_limits<double>::infinity()) {
        run.minus_delta[row] = 0;  // the row has no weight: whatever its dO holds
      } else {
        const auto* dout = static_cast<const char*>(run.args.dout) +
                           problem_.do_offset(n, query, block.head) * dtype_bytes(problem_.do_type);
        const auto* o = static_cast<const char*>(run.args.o) + p.o_offset(n, query, block.head) * dtype_bytes(p.o_type);
        run.minus_delta[row] =
            -kernel_.dot(dout, element(problem_.do_type), o, element(p.o_type), static_cast<int32_t>(p.dv));
      }
    }
    if (block.first_chunk < block.end_chunk) return;
    alignas(64) static constexpr float kZeros[512] = {};  // as many columns as a Problem may have
    for (int64_t i = 0; i < block.rows; ++i) store_dq(run, unit, block, i, kZeros);
  }

  void store_dq(const Run& run, const BwdUnit& unit, const BwdBlockRows& block, int64_t row, const float* sums) const {
    const AttentionFwd& p = problem_.forward;
    auto* dq = static_cast<char*>(run.args.dq) +
               problem_.dq_offset(unit.sequence, block.first_query + row, block.head) * dtype_bytes(problem_.dq_type);
    kernel_.forward->store_row(dq, element(problem_.dq_type), sums, static_cast<int32_t>(p.d),
                               static_cast<float>(p.effective_scale()));
  }

  void run_item(const Run& run, const BwdItem& item, int worker) const {
    const BwdUnit& unit = work_.units[static_cast<size_t>(item.unit)];
    float* sums = nullptr;
    if (unit.chunks > 1 && dq_buffers_ > 0) {  // none where no sequence of several chunks has a query
      // The unit that had the buffer before is through.
      const int64_t before = item.unit - dq_buffers_;
      if (before >= 0) wait_for(run.unit_done[before], work_.units[static_cast<size_t>(before)].chunks);
      sums = reinterpret_cast<float*>(run.base + layout_.dq + item.unit % dq_buffers_ * layout_.dq_unit);
    }
    if (shared_bias_) wait_for(run.bias_turns[item.chunk], item.bias_turn);

    const BwdContext context{kernel_, arithmetic_, problem_, run.args, panels_, run.minus_lse, run.minus_delta};
    BwdChunk chunk(context, unit, item.chunk, run.base + layout_.scratch * worker);
    // From the last block on: with a causal mask all chunks see that one, and none waits for another to begin.
    for (int64_t i = unit.first_block + unit.blocks; i-- > unit.first_block;) {
      const BwdBlockRows& block = work_.blocks[static_cast<size_t>(i)];
      if (item.chunk < block.first_chunk || item.chunk >= block.end_chunk) continue;
      chunk.block(block);
      add_dq(run, unit, block, item.chunk, chunk.dq(), sums, run.turns[i]);
    }
    chunk.finish();
    if (shared_bias_) count_up(run.bias_turns[item.chunk]);
    count_up(run.unit_done[item.unit]);
  }

  /// Adds the chunk's part of a block's dQ to those of the chunks before it; the last chunk writes the sum.
  void add_dq(const Run& run, const BwdUnit& unit, const BwdBlockRows& block, int64_t chunk, const float* part,
              float* unit_sums, Counter& turn) const {
    const bool first = chunk == block.first_chunk, last = chunk + 1 == block.end_chunk;
    const int64_t stride = kernel_.forward->out_stride(static_cast<int32_t>(problem_.forward.d));
    float* sums = unit_sums != nullptr ? unit_sums + block.first_row * stride : nullptr;
    if (!first) wait_for(turn, chunk - block.first_chunk);
    if (first && last) {
      for (int64_t row = 0; row < block.rows; ++row) store_dq(run, unit, block, row, part + row * stride);
    } else if (first) {
      std::copy_n(part, block.rows * stride, sums);
    } else {
      for (int64_t i = 0; i < block.rows * stride; ++i) sums[i] += part[i];
      for (int64_t row = 0; last && row < block.rows; ++row) store_dq(run, unit, block, row, sums + row * stride);
    }
    count_up(turn);
  }

  /// dsink of one head, in the order of sequences and rows.
  void sum_sink(const Run& run, int64_t head) const {
    const AttentionFwd& p = problem_.forward;
    double sum = 0;
    for (int64_t n = 0; n < p.b; ++n) {
      const BwdUnit& unit = work_.units[static_cast<size_t>(n * p.hk + head / p.group())];
      const int64_t rows = p.query_length(n), first = unit.first_row + head % p.group() * rows;
      for (int64_t row = 0; row < rows; ++row) {
        const double lse = run.args.lse[p.lse_offset(n, row, head)];
        if (lse == -std::numeric_limits<double>::infinity()) continue;
        sum += std::exp(run.args.sink[head] - lse) * run.minus_delta[first + row];
      }
    }
    run.args.dsink[head] = static_cast<float>(sum);
  }

  const AttentionBwdKernel& kernel_;
  Arithmetic arithmetic_;
  AttentionBwd problem_;
  const Executor* executor_;
  int64_t panels_ = 1;
  int threads_ = 1, workers_ = 1;
  BwdWorkList work_;
  bool shared_bias_ = false;  ///< units add to the same elements of dbias
  int64_t zero_tasks_ = 0, prepare_tasks_ = 0, sink_tasks_ = 0, dq_buffers_ = 0;
  WorkspaceLayout layout_;
};

struct Row {
  const char* target;
  Arithmetic arithmetic;
  const char* arithmetic_name;
  const char* why;
  const AttentionBwdKernel* kernel;
};

const std::vector<Row>& rows() {
  static const std::vector<Row> table = {
#define ATTEND_CPU_ATTENTION_BWD(target, arithmetic, why) \
  {#target, Arithmetic::arithmetic, #arithmetic, why, &target::kAttentionBwd_##arithmetic},
#include "cpu/kernels.def"
  };
  return table;
}

std::string refuse(const BwdKernelRow& row, const AttentionBwd& problem) {
  if (row.arithmetic != Arithmetic::bf16_dot) return {};
  const AttentionFwd& forward = problem.forward;
  const struct {
    const char* name;
    DType type;
  } operands[] = {{"q", forward.q_type}, {"k", forward.k_type}, {"v", forward.v_type}, {"do", problem.do_type}};
  for (const auto& operand : operands)
    if (operand.type != DType::bf16)
      return std::string(operand.name) + " is " + dtype_name(operand.type) + ", this row takes bf16";
  return {};
}

Result<std::shared_ptr<const PreparedBwdRun>> prepare(const BwdKernelRow& row, const AttentionBwd& problem,
                                                      const PlanOptions& options) {
  return std::shared_ptr<const PreparedBwdRun>(
      std::make_shared<CpuBwdRun>(*rows()[static_cast<size_t>(row.index)].kernel, row.arithmetic, problem, options));
}

}  // namespace

std::vector<BwdKernelRow> attention_bwd_rows() {
  std::vector<BwdKernelRow> result;
  const std::vector<Target> machine = targets();
  for (const Row& row : rows()) {
    BwdKernelRow out;
    out.id = std::string("attention_bwd.") + row.target + "." + row.arithmetic_name;
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
