// SPDX-License-Identifier: Apache-2.0
// Public calls of the exact backward pass: check, choose a row, run.
#include <attend/attention_bwd.hpp>
#include <memory>

#include "api/planned.hpp"
#include "api/registry.hpp"

namespace attend {
namespace {

constexpr const char* kOperation = "attention_bwd";

}  // namespace

struct AttentionBwdPlan::Impl {
  Planned<AttentionBwd, plan_detail::PreparedBwdRun> planned;
};

const AttentionBwd& AttentionBwdPlan::problem() const { return impl_->planned.problem; }
const std::string& AttentionBwdPlan::kernel() const { return impl_->planned.row.id; }
const std::string& AttentionBwdPlan::isa() const { return impl_->planned.row.isa; }
Arithmetic AttentionBwdPlan::arithmetic() const { return impl_->planned.row.arithmetic; }
int AttentionBwdPlan::threads() const { return impl_->planned.prepared->threads(); }
int64_t AttentionBwdPlan::tile_rows() const { return impl_->planned.prepared->tile_rows(); }
int64_t AttentionBwdPlan::tile_keys() const { return impl_->planned.prepared->tile_keys(); }
size_t AttentionBwdPlan::workspace_bytes() const { return impl_->planned.prepared->workspace_bytes(); }
const std::vector<Candidate>& AttentionBwdPlan::candidates() const { return impl_->planned.candidates; }
std::string AttentionBwdPlan::explain() const { return impl_->planned.explain(); }

Status AttentionBwdPlan::run(const AttentionBwdArgs& args, std::span<std::byte> workspace) const {
  const AttentionBwd& p = problem();
  const AttentionFwd& f = p.forward;
  const bool rows = f.b > 0 && f.sq > 0, keys = f.b > 0 && f.sk > 0;
  const NeededPointer pointers[] = {
      {"q", args.q, rows && keys},
      {"k", args.k, rows && keys},
      {"v", args.v, rows && keys},
      {"o", args.o, rows},
      {"lse", args.lse, rows},
      {"dout", args.dout, rows},
      {"alibi_slopes", args.alibi_slopes, f.alibi && rows && keys},
      {"bias", args.bias, f.bias.has_value() && rows && keys},
      {"sink", args.sink, p.dsink && rows},
      {"dq", args.dq, rows},
      {"dk", args.dk, keys},
      {"dv", args.dv, keys},
      {"dbias", args.dbias, p.dbias && f.bias_size() > 0},
      {"dsink", args.dsink, p.dsink},
  };
  if (Status status = check_run(kOperation, p, pointers, workspace.size(), workspace_bytes()); !status.ok())
    return status;
  return impl_->planned.prepared->run(args, workspace.data());
}

Status AttentionBwdPlan::run(const AttentionBwdArgs& args) const {
  return run_with_own_workspace(kOperation, *this, args);
}

Result<AttentionBwdPlan> plan(const AttentionBwd& problem, const PlanOptions& options) {
  if (!options.device.is_cpu())
    return unsupported(std::string(kOperation) +
                       ": options.device is no CPU, expected the CPU: no device has a row yet");
  auto made =
      Planned<AttentionBwd, plan_detail::PreparedBwdRun>::make(kOperation, attention_bwd_rows(), problem, options);
  if (!made.ok()) return made.status();
  return AttentionBwdPlan(std::make_shared<AttentionBwdPlan::Impl>(AttentionBwdPlan::Impl{std::move(made).value()}));
}

}  // namespace attend
