// SPDX-License-Identifier: Apache-2.0
// Plans: creation, questions, runs; and the one call that does it all.
#include <memory>
#include <span>

#include "capi/executor.hpp"
#include "capi/handles.hpp"
#include "capi/plan.hpp"
#include "capi/problem.hpp"
#include "capi/structs.hpp"

namespace attend::capi {

Status read_options(std::string_view operation, const attend_plan_options* from, Executor* executor, PlanOptions* to) {
  if (from == nullptr) return {};
  attend_plan_options options = attend_plan_options_init();
  ATTEND_CAPI_TRY(read_struct(operation, "options", from, &options));
  if (options.guarantee < ATTEND_DETERMINISTIC || options.guarantee > ATTEND_BATCH_INVARIANT)
    return refuse(operation, "options.guarantee", std::to_string(options.guarantee),
                  "ATTEND_DETERMINISTIC (0), ATTEND_FAST (1) or ATTEND_BATCH_INVARIANT (2)");
  to->guarantee = static_cast<Guarantee>(options.guarantee);
  bool flat = false;
  ATTEND_CAPI_TRY(read_flag(operation, "options.flat", options.flat, &flat));
  ATTEND_CAPI_TRY(expect_zero(operation, "options.reserved", options.reserved, "reserved"));
  to->cascade = !flat;
  if (options.threads < 0) {
    return refuse(operation, "options.threads", std::to_string(options.threads), "0 (as many as there are) or more");
  }
  to->threads = options.threads;
  if (options.executor != nullptr) {
    ATTEND_CAPI_TRY(read_executor(operation, "options.executor", options.executor, executor));
    to->executor = executor;
  }
  if (options.kernel != nullptr) to->kernel = options.kernel;
  if (options.device != nullptr) to->device = options.device->device;
  return {};
}

namespace {

/// Query rows, or keys, of all sequences.
bool any_rows(const AttentionFwd& problem, const Offsets& cu, int64_t fixed) {
  return problem.b > 0 && (cu.empty() ? fixed > 0 : cu[problem.b] > 0);
}

/// `expected` is called on failure only: a run must not allocate, and texts do.
template <class Expected>
Status require(std::string_view operation, const char* argument, const void* pointer, bool needed,
               Expected&& expected) {
  if (pointer != nullptr || !needed) return {};
  return refuse_null(operation, argument, expected());
}

/// Names the pointers that the Problem asks for and the caller left out. Those into tensors without elements may be
/// NULL.
Status read_args(std::string_view operation, const AttentionFwd& problem, const attend_attention_fwd_args* from,
                 AttentionFwdArgs* to) {
  attend_attention_fwd_args args = attend_attention_fwd_args_init();
  ATTEND_CAPI_TRY(read_struct(operation, "args", from, &args));
  const bool rows = any_rows(problem, problem.cu_q, problem.sq), keys = any_rows(problem, problem.cu_k, problem.sk);
  const auto tensor = [](DType type, int64_t heads, int64_t columns) {
    return [=] {
      return std::string("a tensor of ") + dtype_name(type) + ", " + std::to_string(heads) + " heads, " +
             std::to_string(columns) + " columns";
    };
  };
  const auto floats = [](int64_t count, const char* why) {
    return [=] { return std::to_string(count) + " floats (the Problem has " + why + ")"; };
  };
  ATTEND_CAPI_TRY(require(operation, "args.q", args.q, rows && keys, tensor(problem.q_type, problem.hq, problem.d)));
  ATTEND_CAPI_TRY(require(operation, "args.k", args.k, rows && keys, tensor(problem.k_type, problem.hk, problem.d)));
  ATTEND_CAPI_TRY(require(operation, "args.v", args.v, rows && keys, tensor(problem.v_type, problem.hk, problem.dv)));
  ATTEND_CAPI_TRY(require(operation, "args.o", args.o, rows, tensor(problem.o_type, problem.hq, problem.dv)));
  ATTEND_CAPI_TRY(require(operation, "args.lse", args.lse, rows && problem.lse, floats(problem.lse_size(), "lse")));
  ATTEND_CAPI_TRY(require(operation, "args.alibi_slopes", args.alibi_slopes, rows && keys && problem.alibi,
                          floats(problem.alibi_per_batch ? problem.b * problem.hq : problem.hq, "alibi")));
  ATTEND_CAPI_TRY(require(operation, "args.bias", args.bias, rows && keys && problem.bias.has_value(),
                          floats(problem.bias_size(), "a bias")));
  ATTEND_CAPI_TRY(require(operation, "args.sink", args.sink, rows && problem.sink, floats(problem.hq, "a sink")));
  const bool cached = rows && keys && problem.cache.has_value();
  ATTEND_CAPI_TRY(require(operation, "args.k_scales", args.k_scales, cached && problem.k_format() != KvFormat::plain,
                          [] { return "scales, as k_format asks for them"; }));
  ATTEND_CAPI_TRY(require(operation, "args.v_scales", args.v_scales, cached && problem.v_format() != KvFormat::plain,
                          [] { return "scales, as v_format asks for them"; }));
  ATTEND_CAPI_TRY(require(operation, "args.k_mean", args.k_mean, cached && problem.cache->k_mean,
                          floats(problem.hk * problem.d, "k_mean")));
  *to = {args.q,    args.k,    args.v,        args.o,        args.lse,    args.alibi_slopes,
         args.bias, args.sink, args.k_scales, args.v_scales, args.k_mean, args.stream};
  return {};
}

}  // namespace
}  // namespace attend::capi

using attend::AttentionFwdArgs;
using attend::AttentionFwdPlan;
using attend::Result;
using attend::Status;
using attend::capi::refuse;
using attend::capi::refuse_null;

attend_status attend_attention_fwd_plan_create(const attend_attention_fwd* problem, const attend_plan_options* options,
                                               attend_attention_fwd_plan** plan) {
  constexpr const char* kOperation = "attention_fwd_plan_create";
  if (plan != nullptr) *plan = nullptr;
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (plan == nullptr) return refuse_null(kOperation, "plan", "where to put the handle");
    if (problem == nullptr) return refuse_null(kOperation, "problem", "a Problem");
    auto made = std::make_unique<attend_attention_fwd_plan>();
    attend::PlanOptions asked;
    ATTEND_CAPI_TRY(attend::capi::read_options(kOperation, options, &made->executor, &asked));
    Result<AttentionFwdPlan> planned = attend::plan(problem->problem, asked);
    if (!planned.ok()) return planned.status();
    made->plan = std::move(planned).value();
    *plan = made.release();
    return {};
  });
}

void attend_attention_fwd_plan_destroy(attend_attention_fwd_plan* plan) { delete plan; }

attend_status attend_attention_fwd_plan_query(const attend_attention_fwd_plan* plan, attend_plan_info* info) {
  constexpr const char* kOperation = "attention_fwd_plan_query";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (plan == nullptr) return refuse_null(kOperation, "plan", attend::capi::kAPlan);
    return attend::capi::write_struct(kOperation, "info", attend::capi::describe(*plan->plan), info);
  });
}

attend_status attend_attention_fwd_plan_candidate(const attend_attention_fwd_plan* plan, int64_t index,
                                                  attend_candidate* candidate) {
  constexpr const char* kOperation = "attention_fwd_plan_candidate";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (plan == nullptr) return refuse_null(kOperation, "plan", attend::capi::kAPlan);
    const std::vector<attend::Candidate>& all = plan->plan->candidates();
    if (index < 0 || index >= static_cast<int64_t>(all.size())) {
      return refuse(kOperation, "index", std::to_string(index), "0 to " + std::to_string(all.size()) + " - 1");
    }
    const attend::Candidate& found = all[static_cast<size_t>(index)];
    attend_candidate known = attend_candidate_init();
    known.kernel = found.kernel.c_str();
    known.reason = found.reason.c_str();
    known.accepted = found.accepted ? 1 : 0;
    return attend::capi::write_struct(kOperation, "candidate", known, candidate);
  });
}

attend_status attend_attention_fwd_plan_query_traffic(const attend_attention_fwd_plan* plan, int64_t level_bytes,
                                                      attend_memory_traffic* traffic) {
  constexpr const char* kOperation = "attention_fwd_plan_query_traffic";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (plan == nullptr) return refuse_null(kOperation, "plan", attend::capi::kAPlan);
    return attend::capi::write_traffic(kOperation, plan->plan->memory_traffic(level_bytes), traffic);
  });
}

attend_status attend_attention_fwd_plan_explain(const attend_attention_fwd_plan* plan, char* buffer, size_t size,
                                                size_t* length) {
  constexpr const char* kOperation = "attention_fwd_plan_explain";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (plan == nullptr) return refuse_null(kOperation, "plan", attend::capi::kAPlan);
    return attend::capi::copy_text(kOperation, plan->plan->explain(), buffer, size, length);
  });
}

attend_status attend_attention_fwd_run(const attend_attention_fwd_plan* plan, const attend_attention_fwd_args* args,
                                       void* workspace, size_t workspace_bytes) {
  constexpr const char* kOperation = "attention_fwd_run";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (plan == nullptr) return refuse_null(kOperation, "plan", attend::capi::kAPlan);
    AttentionFwdArgs read;
    ATTEND_CAPI_TRY(attend::capi::read_args(kOperation, plan->plan->problem(), args, &read));
    const size_t needed = plan->plan->workspace_bytes();
    if (workspace == nullptr && needed > 0) {
      return refuse_null(kOperation, "workspace", std::to_string(needed) + " bytes (the plan's workspace_bytes)");
    }
    if (workspace_bytes < needed) {
      return refuse(kOperation, "workspace_bytes", std::to_string(workspace_bytes),
                    "at least " + std::to_string(needed) + " (the plan's workspace_bytes)");
    }
    const size_t given = workspace == nullptr ? 0 : workspace_bytes;
    return plan->plan->run(read, std::span<std::byte>(static_cast<std::byte*>(workspace), given));
  });
}

attend_status attend_attention_fwd_run_alloc(const attend_attention_fwd_plan* plan,
                                             const attend_attention_fwd_args* args) {
  constexpr const char* kOperation = "attention_fwd_run_alloc";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (plan == nullptr) return refuse_null(kOperation, "plan", attend::capi::kAPlan);
    AttentionFwdArgs read;
    ATTEND_CAPI_TRY(attend::capi::read_args(kOperation, plan->plan->problem(), args, &read));
    return plan->plan->run(read);
  });
}

attend_status attend_attention(const void* q, const void* k, const void* v, void* o, float* lse, attend_dtype dtype,
                               attend_layout layout, int64_t b, int64_t hq, int64_t hk, int64_t sq, int64_t sk,
                               int64_t d, double softmax_scale, int32_t causal, int64_t window_left,
                               int64_t window_right, double softcap) {
  constexpr const char* kOperation = "attention";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (layout != ATTEND_BSHD && layout != ATTEND_BHSD) {
      return refuse(kOperation, "layout", std::to_string(layout), "ATTEND_BSHD (0) or ATTEND_BHSD (1)");
    }
    if (attend_dtype_bytes(dtype) == 0) {
      return refuse(kOperation, "dtype", std::to_string(dtype), "ATTEND_F32 (0), ATTEND_F16 (1) or ATTEND_BF16 (2)");
    }
    bool has_causal = false;
    ATTEND_CAPI_TRY(attend::capi::read_flag(kOperation, "causal", causal, &has_causal));
    std::vector<attend_mask_term> terms;
    if (has_causal) terms.push_back(attend_mask_term_init(ATTEND_MASK_CAUSAL));
    if (window_left != -1 || window_right != -1) terms.push_back(attend_mask_window(window_left, window_right));

    attend_attention_fwd_desc desc = attend_attention_fwd_desc_init();
    desc.b = b;
    desc.hq = hq;
    desc.hk = hk;
    desc.sq = sq;
    desc.sk = sk;
    desc.d = d;
    desc.q_type = desc.k_type = desc.v_type = desc.o_type = dtype;
    desc.layout = layout;
    desc.has_scale = softmax_scale != 0 ? 1 : 0;
    desc.scale = softmax_scale;
    desc.softcap = softcap;
    desc.lse = lse != nullptr ? 1 : 0;
    desc.mask_terms = terms.empty() ? nullptr : terms.data();
    desc.mask_count = static_cast<int64_t>(terms.size());
    attend::AttentionFwd problem;
    ATTEND_CAPI_TRY(attend::capi::read_desc(kOperation, desc, &problem));
    Result<AttentionFwdPlan> planned = attend::plan(problem);
    if (!planned.ok()) return planned.status();

    attend_attention_fwd_args args = attend_attention_fwd_args_init();
    args.q = q;
    args.k = k;
    args.v = v;
    args.o = o;
    args.lse = lse;
    AttentionFwdArgs read;
    ATTEND_CAPI_TRY(attend::capi::read_args(kOperation, problem, &args, &read));
    return planned->run(read);
  });
}
