// SPDX-License-Identifier: Apache-2.0
// The backward pass.
#include <attend/attention_bwd.hpp>
#include <memory>
#include <span>

#include "capi/handles.hpp"
#include "capi/plan.hpp"
#include "capi/problem.hpp"
#include "capi/structs.hpp"

namespace attend::capi {
namespace {

attend_strides from_strides(const Strides& s) { return {s.batch, s.row, s.head}; }

attend_attention_bwd_desc desc_of(const AttentionBwd& problem) {
  attend_attention_bwd_desc desc = attend_attention_bwd_desc_init();
  desc.do_type = static_cast<attend_dtype>(problem.do_type);
  desc.dq_type = static_cast<attend_dtype>(problem.dq_type);
  desc.dk_type = static_cast<attend_dtype>(problem.dk_type);
  desc.dv_type = static_cast<attend_dtype>(problem.dv_type);
  desc.do_strides = from_strides(problem.do_strides);
  desc.dq_strides = from_strides(problem.dq_strides);
  desc.dk_strides = from_strides(problem.dk_strides);
  desc.dv_strides = from_strides(problem.dv_strides);
  return desc;
}

Status read_bwd_desc(std::string_view operation, const attend_attention_bwd_desc* from, AttentionBwd* to) {
  if (from == nullptr) return {};
  attend_attention_bwd_desc desc = attend_attention_bwd_desc_init();
  ATTEND_CAPI_TRY(read_struct(operation, "desc", from, &desc));
  ATTEND_CAPI_TRY(read_dtype(operation, "desc.do_type", desc.do_type, &to->do_type));
  ATTEND_CAPI_TRY(read_dtype(operation, "desc.dq_type", desc.dq_type, &to->dq_type));
  ATTEND_CAPI_TRY(read_dtype(operation, "desc.dk_type", desc.dk_type, &to->dk_type));
  ATTEND_CAPI_TRY(read_dtype(operation, "desc.dv_type", desc.dv_type, &to->dv_type));
  to->do_strides = to_strides(desc.do_strides);
  to->dq_strides = to_strides(desc.dq_strides);
  to->dk_strides = to_strides(desc.dk_strides);
  to->dv_strides = to_strides(desc.dv_strides);
  ATTEND_CAPI_TRY(read_flag(operation, "desc.dbias", desc.dbias, &to->dbias));
  return read_flag(operation, "desc.dsink", desc.dsink, &to->dsink);
}

Status read_args(std::string_view operation, const attend_attention_bwd_args* from, AttentionBwdArgs* to) {
  attend_attention_bwd_args args = attend_attention_bwd_args_init();
  ATTEND_CAPI_TRY(read_struct(operation, "args", from, &args));
  *to = {args.q,    args.k,    args.v,  args.o,  args.lse, args.dout,  args.alibi_slopes,
         args.bias, args.sink, args.dq, args.dk, args.dv,  args.dbias, args.dsink};
  return {};
}

}  // namespace
}  // namespace attend::capi

using attend::AttentionBwd;
using attend::AttentionBwdArgs;
using attend::AttentionBwdPlan;
using attend::Result;
using attend::Status;
using attend::capi::refuse_null;

attend_status attend_attention_bwd_desc_of(const attend_attention_fwd* forward, attend_attention_bwd_desc* desc) {
  constexpr const char* kOperation = "attention_bwd_desc_of";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (forward == nullptr) return refuse_null(kOperation, "forward", "a Problem");
    return attend::capi::write_struct(kOperation, "desc", attend::capi::desc_of(AttentionBwd::of(forward->problem)),
                                      desc);
  });
}

attend_status attend_attention_bwd_plan_create(const attend_attention_fwd* forward,
                                               const attend_attention_bwd_desc* desc,
                                               const attend_plan_options* options, attend_attention_bwd_plan** plan) {
  constexpr const char* kOperation = "attention_bwd_plan_create";
  if (plan != nullptr) *plan = nullptr;
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (plan == nullptr) return refuse_null(kOperation, "plan", "where to put the handle");
    if (forward == nullptr) return refuse_null(kOperation, "forward", "a Problem");
    auto made = std::make_unique<attend_attention_bwd_plan>();
    AttentionBwd problem = AttentionBwd::of(forward->problem);
    ATTEND_CAPI_TRY(attend::capi::read_bwd_desc(kOperation, desc, &problem));
    attend::PlanOptions asked;
    ATTEND_CAPI_TRY(attend::capi::read_options(kOperation, options, &made->executor, &asked));
    Result<AttentionBwdPlan> planned = attend::plan(problem, asked);
    if (!planned.ok()) return planned.status();
    made->plan = std::move(planned).value();
    *plan = made.release();
    return {};
  });
}

void attend_attention_bwd_plan_destroy(attend_attention_bwd_plan* plan) { delete plan; }

attend_status attend_attention_bwd_plan_query(const attend_attention_bwd_plan* plan, attend_plan_info* info) {
  constexpr const char* kOperation = "attention_bwd_plan_query";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (plan == nullptr) return refuse_null(kOperation, "plan", attend::capi::kAPlan);
    return attend::capi::write_struct(kOperation, "info", attend::capi::describe(*plan->plan), info);
  });
}

attend_status attend_attention_bwd_plan_explain(const attend_attention_bwd_plan* plan, char* buffer, size_t size,
                                                size_t* length) {
  constexpr const char* kOperation = "attention_bwd_plan_explain";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (plan == nullptr) return refuse_null(kOperation, "plan", attend::capi::kAPlan);
    return attend::capi::copy_text(kOperation, plan->plan->explain(), buffer, size, length);
  });
}

attend_status attend_attention_bwd_run(const attend_attention_bwd_plan* plan, const attend_attention_bwd_args* args,
                                       void* workspace, size_t workspace_bytes) {
  constexpr const char* kOperation = "attention_bwd_run";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (plan == nullptr) return refuse_null(kOperation, "plan", attend::capi::kAPlan);
    AttentionBwdArgs read;
    ATTEND_CAPI_TRY(attend::capi::read_args(kOperation, args, &read));
    if (workspace == nullptr && plan->plan->workspace_bytes() > 0)
      return refuse_null(kOperation, "workspace",
                         std::to_string(plan->plan->workspace_bytes()) + " bytes (the plan's workspace_bytes)");
    return plan->plan->run(read, std::span<std::byte>(static_cast<std::byte*>(workspace), workspace_bytes));
  });
}

attend_status attend_attention_bwd_run_alloc(const attend_attention_bwd_plan* plan,
                                             const attend_attention_bwd_args* args) {
  constexpr const char* kOperation = "attention_bwd_run_alloc";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (plan == nullptr) return refuse_null(kOperation, "plan", attend::capi::kAPlan);
    AttentionBwdArgs read;
    ATTEND_CAPI_TRY(attend::capi::read_args(kOperation, args, &read));
    return plan->plan->run(read);
  });
}
