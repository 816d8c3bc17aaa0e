// SPDX-License-Identifier: Apache-2.0
// Public calls of exact forward attention: check, choose a row, run.
#include <attend/attention.hpp>
#include <memory>
#include <string>

#include "api/planned.hpp"
#include "api/registry.hpp"
#include "base/text.hpp"

namespace attend {
namespace {

constexpr const char* kOperation = "attention_fwd";

}  // namespace

struct AttentionFwdPlan::Impl {
  Planned<AttentionFwd, plan_detail::PreparedRun> planned;
};

const char* arithmetic_name(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::f32: return "f32";
    case Arithmetic::bf16_dot: return "bf16_dot";
    case Arithmetic::f32_scaled: return "f32_scaled";
    case Arithmetic::mma16: return "mma16";
  }
  return "?";
}

namespace {

constexpr const char* kGuarantees[] = {"deterministic", "fast", "batch_invariant"};

bool is_guarantee(Guarantee guarantee) {
  return guarantee >= Guarantee::deterministic && guarantee <= Guarantee::batch_invariant;
}

}  // namespace

const char* guarantee_name(Guarantee guarantee) {
  return is_guarantee(guarantee) ? kGuarantees[static_cast<int32_t>(guarantee)] : "?";
}

Result<Guarantee> parse_guarantee(std::string_view text) {
  for (const Guarantee each : {Guarantee::deterministic, Guarantee::fast, Guarantee::batch_invariant})
    if (text == guarantee_name(each)) return each;
  return invalid_argument("guarantee is " + in_quotes(text) + ", expected deterministic, fast or batch_invariant");
}

const AttentionFwd& AttentionFwdPlan::problem() const { return impl_->planned.problem; }
const std::string& AttentionFwdPlan::kernel() const { return impl_->planned.row.id; }
const std::string& AttentionFwdPlan::isa() const { return impl_->planned.row.isa; }
Arithmetic AttentionFwdPlan::arithmetic() const { return impl_->planned.row.arithmetic; }
int AttentionFwdPlan::threads() const { return impl_->planned.prepared->threads(); }
int64_t AttentionFwdPlan::tile_rows() const { return impl_->planned.prepared->tile_rows(); }
int64_t AttentionFwdPlan::tile_keys() const { return impl_->planned.prepared->tile_keys(); }
size_t AttentionFwdPlan::workspace_bytes() const { return impl_->planned.prepared->workspace_bytes(); }
const std::vector<Candidate>& AttentionFwdPlan::candidates() const { return impl_->planned.candidates; }
Result<MemoryTraffic> AttentionFwdPlan::memory_traffic(int64_t level_bytes) const {
  return impl_->planned.prepared->memory_traffic(level_bytes);
}
std::string AttentionFwdPlan::explain() const { return impl_->planned.explain(); }

Status AttentionFwdPlan::run(const AttentionFwdArgs& args, std::span<std::byte> workspace) const {
  const AttentionFwd& p = problem();
  const bool no_rows = p.b == 0 || p.sq == 0, no_keys = p.sk == 0;
  const NeededPointer pointers[] = {
      {"q", args.q, !no_rows && !no_keys},
      {"k", args.k, !no_rows && !no_keys},
      {"v", args.v, !no_rows && !no_keys},
      {"o", args.o, !no_rows},
      {"lse", args.lse, p.lse && !no_rows},
      {"alibi_slopes", args.alibi_slopes, p.alibi && !no_rows && !no_keys},
      {"bias", args.bias, p.bias.has_value() && !no_rows && !no_keys},
      {"sink", args.sink, p.sink && !no_rows},
      {"k_scales", args.k_scales, p.k_format() != KvFormat::plain && !no_rows && !no_keys},
      {"v_scales", args.v_scales, p.v_format() != KvFormat::plain && !no_rows && !no_keys},
      {"k_mean", args.k_mean, p.cache && p.cache->k_mean && !no_rows && !no_keys},
  };
  if (Status status = check_run(kOperation, p, pointers, workspace.size(), workspace_bytes()); !status.ok())
    return status;
  return impl_->planned.prepared->run(args, workspace.data());
}

Status AttentionFwdPlan::run(const AttentionFwdArgs& args) const {
  const Device& device = impl_->planned.device;
  if (device.is_cpu()) return run_with_own_workspace(kOperation, *this, args);
  if (workspace_bytes() == 0) return run(args, {});
  const Result<void*> memory = device.allocate(workspace_bytes());
  if (!memory.ok()) return memory.status();
  Status status = run(args, {static_cast<std::byte*>(*memory), workspace_bytes()});
  if (status.ok()) status = device.synchronize(args.stream);  // the work reads the workspace
  const Status freed = device.free(*memory);
  return status.ok() ? freed : status;
}

Result<AttentionFwdPlan> plan(const AttentionFwd& problem, const PlanOptions& options) {
  auto made = Planned<AttentionFwd, plan_detail::PreparedRun>::make(kOperation, attention_fwd_rows(options.device),
                                                                    problem, options);
  if (!made.ok()) return made.status();
  return AttentionFwdPlan(std::make_shared<AttentionFwdPlan::Impl>(AttentionFwdPlan::Impl{std::move(made).value()}));
}

namespace {

Status check_shape(const char* name, const char* dimension, int64_t found, int64_t expected, const char* source) {
  if (found == expected) return {};
  return invalid_argument(std::string("attention_fwd: ") + name + "." + dimension + " is " + std::to_string(found) +
                          ", expected " + std::to_string(expected) + " (= " + source + ")");
}

}  // namespace

Status attention(const ConstTensor& q, const ConstTensor& k, const ConstTensor& v, const Tensor& o,
                 const AttentionOptions& options) {
  const struct {
    const char *name, *dimension;
    int64_t found, expected;
    const char* source;
  } equal[] = {
      {"k", "batch", k.batch, q.batch, "q.batch"}, {"v", "batch", v.batch, q.batch, "q.batch"},
      {"o", "batch", o.batch, q.batch, "q.batch"}, {"k", "cols", k.cols, q.cols, "q.cols"},
      {"v", "rows", v.rows, k.rows, "k.rows"},     {"v", "heads", v.heads, k.heads, "k.heads"},
      {"o", "rows", o.rows, q.rows, "q.rows"},     {"o", "heads", o.heads, q.heads, "q.heads"},
      {"o", "cols", o.cols, v.cols, "v.cols"},
  };
  for (const auto& each : equal)
    if (Status status = check_shape(each.name, each.dimension, each.found, each.expected, each.source); !status.ok())
      return status;

  AttentionFwd problem;
  problem.b = q.batch;
  problem.hq = q.heads;
  problem.hk = k.heads;
  problem.sq = q.rows;
  problem.sk = k.rows;
  problem.d = q.cols;
  problem.dv = v.cols;
  problem.q_type = q.dtype;
  problem.k_type = k.dtype;
  problem.v_type = v.dtype;
  problem.o_type = o.dtype;
  problem.q_strides = q.strides;
  problem.k_strides = k.strides;
  problem.v_strides = v.strides;
  problem.o_strides = o.strides;
  problem.scale = options.scale;
  problem.softcap = options.softcap;
  problem.alibi = options.alibi_slopes != nullptr;
  problem.sink = options.sink != nullptr;
  problem.lse = options.lse != nullptr;
  problem.mask = options.mask;
  const Result<AttentionFwdPlan> ready = plan(problem, options.plan);
  if (!ready.ok()) return ready.status();
  AttentionFwdArgs args;
  args.q = q.data;
  args.k = k.data;
  args.v = v.data;
  args.o = o.data;
  args.lse = options.lse;
  args.alibi_slopes = options.alibi_slopes;
  args.sink = options.sink;
  return ready->run(args);
}

}  // namespace attend
