// SPDX-License-Identifier: Apache-2.0
// Public calls of exact forward attention: check, choose a row, run.
#include <attend/attention.hpp>
#include <cstdio>
#include <memory>
#include <new>
#include <string>

#include "api/registry.hpp"
#include "base/text.hpp"

namespace attend {

using plan_detail::KernelRow;
using plan_detail::PreparedRun;

struct AttentionFwdPlan::Impl {
  AttentionFwd problem;
  KernelRow row;
  std::vector<Candidate> candidates;
  std::shared_ptr<const PreparedRun> prepared;
  Device device;
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

const AttentionFwd& AttentionFwdPlan::problem() const { return impl_->problem; }
const std::string& AttentionFwdPlan::kernel() const { return impl_->row.id; }
const std::string& AttentionFwdPlan::isa() const { return impl_->row.isa; }
Arithmetic AttentionFwdPlan::arithmetic() const { return impl_->row.arithmetic; }
int AttentionFwdPlan::threads() const { return impl_->prepared->threads(); }
int64_t AttentionFwdPlan::tile_rows() const { return impl_->prepared->tile_rows(); }
int64_t AttentionFwdPlan::tile_keys() const { return impl_->prepared->tile_keys(); }
size_t AttentionFwdPlan::workspace_bytes() const { return impl_->prepared->workspace_bytes(); }
const std::vector<Candidate>& AttentionFwdPlan::candidates() const { return impl_->candidates; }

Result<MemoryTraffic> AttentionFwdPlan::memory_traffic(int64_t level_bytes) const {
  return impl_->prepared->memory_traffic(level_bytes);
}

std::string AttentionFwdPlan::explain() const {
  const Cost cost = problem().cost();
  char line[256];
  std::string text = "problem    " + problem().text() + "\n";
  std::snprintf(line, sizeof line, "cost       %lld visible pairs, %.4g flop, %.4g bytes\n",
                static_cast<long long>(cost.visible_pairs), cost.flops, cost.bytes);
  text += line;
  text += "kernel     " + kernel();
  if (threads() > 0) text += " on " + std::to_string(threads()) + (threads() == 1 ? " thread" : " threads");
  text += "\n";
  text += impl_->prepared->explain();
  for (const Candidate& candidate : candidates())
    text += (candidate.accepted ? "chosen     " : "refused    ") + candidate.kernel + ": " + candidate.reason + "\n";
  return text;
}

Status AttentionFwdPlan::run(const AttentionFwdArgs& args, std::span<std::byte> workspace) const {
  const AttentionFwd& p = problem();
  const bool no_rows = p.b == 0 || p.sq == 0, no_keys = p.sk == 0;
  const struct {
    const char* name;
    const void* pointer;
    bool needed;
  } pointers[] = {
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
  for (const auto& each : pointers)
    if (each.needed && each.pointer == nullptr)
      return invalid_argument(std::string("attention_fwd: args.") + each.name + " is null, expected " +
                              "a pointer, as " + p.text() + " asks for it");
  if (workspace.size() < workspace_bytes())
    return invalid_argument("attention_fwd: workspace is " + std::to_string(workspace.size()) +
                            " bytes, expected at least " + std::to_string(workspace_bytes()));
  return impl_->prepared->run(args, workspace.data());
}

Status AttentionFwdPlan::run(const AttentionFwdArgs& args) const {
  const Device& device = impl_->device;
  if (!device.is_cpu()) {
    if (workspace_bytes() == 0) return run(args, {});
    const Result<void*> memory = device.allocate(workspace_bytes());
    if (!memory.ok()) return memory.status();
    Status status = run(args, {static_cast<std::byte*>(*memory), workspace_bytes()});
    if (status.ok()) status = device.synchronize(args.stream);  // the work reads the workspace
    const Status freed = device.free(*memory);
    return status.ok() ? freed : status;
  }
  const std::unique_ptr<std::byte[]> memory(new (std::nothrow) std::byte[workspace_bytes()]);
  if (memory == nullptr)
    return {StatusCode::out_of_memory,
            "attention_fwd: workspace of " + std::to_string(workspace_bytes()) + " bytes could not be allocated"};
  return run(args, {memory.get(), workspace_bytes()});
}

Result<AttentionFwdPlan> plan(const AttentionFwd& problem, const PlanOptions& options) {
  if (Status status = problem.check(); !status.ok()) return status;
  if (options.threads < 0)
    return invalid_argument("attention_fwd: options.threads is " + std::to_string(options.threads) +
                            ", expected 0 or more");
  if (options.executor != nullptr && (options.executor->parallel == nullptr || options.executor->workers < 1))
    return invalid_argument("attention_fwd: options.executor has no function or " +
                            std::to_string(options.executor->workers) + " workers, expected a function and at least 1");

  if (!is_guarantee(options.guarantee))
    return invalid_argument("attention_fwd: options.guarantee is " +
                            std::to_string(static_cast<int32_t>(options.guarantee)) +
                            ", expected deterministic (0), fast (1) or batch_invariant (2)");

  auto impl = std::make_shared<AttentionFwdPlan::Impl>();
  impl->problem = problem;
  const std::vector<KernelRow> rows = attention_fwd_rows(options.device);
  const KernelRow* chosen = nullptr;
  bool known = options.kernel.empty();
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
    Candidate candidate{row->id, false, row->unavailable};
    known = known || row->id == options.kernel;
    if (candidate.reason.empty()) candidate.reason = row->refuse(*row, problem);
    if (candidate.reason.empty() && options.kernel.empty()) candidate.reason = row->slower;
    if (candidate.reason.empty() && !options.kernel.empty() && row->id != options.kernel)
      candidate.reason = "options.kernel asks for " + options.kernel;
    if (candidate.reason.empty() && chosen != nullptr) candidate.reason = "slower than " + chosen->id;
    if (candidate.reason.empty()) {
      chosen = &*row;
      candidate.accepted = true;
      candidate.reason = row->why;
    }
    impl->candidates.push_back(std::move(candidate));
  }
  if (chosen == nullptr) {
    std::string text = known
                           ? "attention_fwd: no kernel takes " + problem.text()
                           : "attention_fwd: options.kernel is " + options.kernel + ", expected one of the rows below";
    for (const Candidate& candidate : impl->candidates) text += "\n  " + candidate.kernel + ": " + candidate.reason;
    return Status(known ? StatusCode::unsupported : StatusCode::invalid_argument, std::move(text));
  }
  impl->row = *chosen;
  impl->device = options.device;
  Result<std::shared_ptr<const PreparedRun>> prepared = chosen->prepare(*chosen, problem, options);
  if (!prepared.ok()) return prepared.status();
  impl->prepared = std::move(prepared).value();
  return AttentionFwdPlan(std::move(impl));
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
