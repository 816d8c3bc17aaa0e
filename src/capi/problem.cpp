// SPDX-License-Identifier: Apache-2.0
// Problems: from a descriptor or a line of text, and back.
#include "capi/problem.hpp"

#include <algorithm>
#include <limits>
#include <memory>

#include "base/saturate.hpp"
#include "capi/handles.hpp"
#include "capi/kv_cache.hpp"
#include "capi/mask.hpp"
#include "capi/structs.hpp"

namespace attend::capi {

Status read_dtype(std::string_view operation, const char* name, attend_dtype from, DType* to) {
  *to = static_cast<DType>(from);
  if (dtype_bytes(*to) != 0) return {};
  return refuse(operation, name, std::to_string(from), "ATTEND_F32 (0), ATTEND_F16 (1) or ATTEND_BF16 (2)");
}

Status read_offsets(std::string_view operation, const std::string& name, const void* data, int64_t count,
                    attend_index_type type, int64_t lists, const char* lists_name, Offsets* to) {
  if (data == nullptr) {
    ATTEND_CAPI_TRY(expect_zero(operation, name + "_count", count, name + " is NULL"));
    return expect_zero(operation, name + "_type", type, name + " is NULL");
  }
  // Before the array is read: a wrong count is more likely than an array of the wrong length.
  if (count < 1 || count - 1 != lists)
    return refuse(operation, name + "_count", std::to_string(count),
                  std::to_string(lists) + " + 1 (= " + lists_name + " + 1)");
  if (type == ATTEND_INT32) {
    Result<Array<int32_t>> array = copy_array<int32_t>(operation, name, data, count, "int32_t");
    if (!array.ok()) return array.status();
    *to = std::move(array).value();
    return {};
  }
  if (type == ATTEND_INT64) {
    Result<Array<int64_t>> array = copy_array<int64_t>(operation, name, data, count, "int64_t");
    if (!array.ok()) return array.status();
    *to = std::move(array).value();
    return {};
  }
  return refuse(operation, name + "_type", std::to_string(type), "ATTEND_INT32 (0) or ATTEND_INT64 (1)");
}

void describe_offsets(const Offsets& from, const void** data, int64_t* count, attend_index_type* type) {
  if (from.empty()) return;
  *count = from.size();
  *type = from.is_wide() ? ATTEND_INT64 : ATTEND_INT32;
  *data = from.is_wide() ? static_cast<const void*>(from.wide().data()) : from.narrow().data();
}

namespace {

/// Longest sequence. What is not a cumulative list gives some number; check() then refuses the list.
int64_t longest(const Offsets& cu) {
  int64_t most = 0;
  for (int64_t n = 0; n + 1 < cu.size(); ++n) {
    if (cu[n] >= 0 && cu[n + 1] >= cu[n]) most = std::max(most, cu[n + 1] - cu[n]);
  }
  return most;
}

Status read_layout(std::string_view operation, const attend_attention_fwd_desc& desc, AttentionFwd* problem) {
  if (desc.layout == ATTEND_STRIDED) {
    problem->q_strides = to_strides(desc.q_strides);
    problem->k_strides = to_strides(desc.k_strides);
    problem->v_strides = to_strides(desc.v_strides);
    problem->o_strides = to_strides(desc.o_strides);
    return {};
  }
  if (desc.layout != ATTEND_BSHD && desc.layout != ATTEND_BHSD && desc.layout != ATTEND_THD) {
    return refuse(operation, "desc.layout", std::to_string(desc.layout),
                  "ATTEND_STRIDED (-1), ATTEND_BSHD (0), ATTEND_BHSD (1) or ATTEND_THD (2)");
  }
  struct Named {
    const char* name;
    const attend_strides* strides;
  };
  for (const Named& tensor : {Named{"q", &desc.q_strides}, Named{"k", &desc.k_strides}, Named{"v", &desc.v_strides},
                              Named{"o", &desc.o_strides}}) {
    const std::string name = std::string("desc.") + tensor.name + "_strides.";
    const std::string why = "layout is not ATTEND_STRIDED";
    ATTEND_CAPI_TRY(expect_zero(operation, name + "batch", tensor.strides->batch, why));
    ATTEND_CAPI_TRY(expect_zero(operation, name + "row", tensor.strides->row, why));
    ATTEND_CAPI_TRY(expect_zero(operation, name + "head", tensor.strides->head, why));
  }
  return {};
}

Status read_bias(std::string_view operation, const attend_attention_fwd_desc& desc, AttentionFwd* problem) {
  bool bias = false;
  BiasShape shape;
  ATTEND_CAPI_TRY(read_flag(operation, "desc.bias", desc.bias, &bias));
  ATTEND_CAPI_TRY(read_flag(operation, "desc.bias_batch", desc.bias_batch, &shape.batch));
  ATTEND_CAPI_TRY(read_flag(operation, "desc.bias_head", desc.bias_head, &shape.head));
  ATTEND_CAPI_TRY(read_flag(operation, "desc.bias_row", desc.bias_row, &shape.row));
  if (bias) {
    problem->bias = shape;
    return {};
  }
  ATTEND_CAPI_TRY(expect_zero(operation, "desc.bias_batch", desc.bias_batch, "bias is 0"));
  ATTEND_CAPI_TRY(expect_zero(operation, "desc.bias_head", desc.bias_head, "bias is 0"));
  return expect_zero(operation, "desc.bias_row", desc.bias_row, "bias is 0");
}

/// Dense strides are products of sizes, and sizes may be anything so far. Negative ones are left for check() to name.
Status set_dense(std::string_view operation, Layout layout, AttentionFwd* problem) {
  const int64_t columns = std::max(problem->d, problem->dv);
  if (std::min({problem->b, problem->sq, problem->sk, problem->hq, problem->hk, problem->d, problem->dv}) < 0)
    return {};
  const int64_t queries = saturating_product({problem->b, problem->sq, problem->hq, columns});
  // A group of an int4 cache may be wider than the columns.
  const int64_t keys =
      problem->cache ? saturating_product({problem->cache->entries, problem->cache->rows, problem->hk, columns + 64})
                     : saturating_product({problem->b, problem->sk, problem->hk, columns});
  if (std::max(queries, keys) == std::numeric_limits<int64_t>::max()) {
    return refuse(operation, "b * sq * hq * d or b * sk * hk * d", "too large for a dense layout",
                  "less than 2^63 elements");
  }
  problem->set_layout(layout);
  return {};
}

/// Everything but the meaning of the numbers, which check() knows.
Status read_problem(std::string_view operation, const attend_attention_fwd_desc& desc, AttentionFwd* problem) {
  problem->b = desc.b;
  problem->hq = desc.hq;
  problem->hk = desc.hk;
  problem->d = desc.d;
  problem->dv = desc.dv == 0 ? desc.d : desc.dv;
  ATTEND_CAPI_TRY(read_dtype(operation, "desc.q_type", desc.q_type, &problem->q_type));
  ATTEND_CAPI_TRY(read_dtype(operation, "desc.k_type", desc.k_type, &problem->k_type));
  ATTEND_CAPI_TRY(read_dtype(operation, "desc.v_type", desc.v_type, &problem->v_type));
  ATTEND_CAPI_TRY(read_dtype(operation, "desc.o_type", desc.o_type, &problem->o_type));
  ATTEND_CAPI_TRY(
      read_offsets(operation, "desc.cu_q", desc.cu_q, desc.cu_q_count, desc.cu_q_type, desc.b, "b", &problem->cu_q));
  ATTEND_CAPI_TRY(
      read_offsets(operation, "desc.cu_k", desc.cu_k, desc.cu_k_count, desc.cu_k_type, desc.b, "b", &problem->cu_k));
  if (desc.cache != nullptr) ATTEND_CAPI_TRY(read_cache(operation, desc.layout, desc.cache, desc.b, &problem->cache));
  problem->sq = desc.sq == 0 ? longest(problem->cu_q) : desc.sq;
  problem->sk = desc.sk != 0 ? desc.sk : problem->cache ? longest_length(*problem->cache) : longest(problem->cu_k);
  ATTEND_CAPI_TRY(read_layout(operation, desc, problem));

  bool has_scale = false;
  ATTEND_CAPI_TRY(read_flag(operation, "desc.has_scale", desc.has_scale, &has_scale));
  if (has_scale) {
    problem->scale = desc.scale;
  } else {
    ATTEND_CAPI_TRY(expect_zero(operation, "desc.scale", desc.scale, "has_scale is 0"));
  }
  problem->softcap = desc.softcap;
  ATTEND_CAPI_TRY(read_flag(operation, "desc.alibi", desc.alibi, &problem->alibi));
  ATTEND_CAPI_TRY(read_flag(operation, "desc.alibi_per_batch", desc.alibi_per_batch, &problem->alibi_per_batch));
  ATTEND_CAPI_TRY(read_flag(operation, "desc.sink", desc.sink, &problem->sink));
  ATTEND_CAPI_TRY(read_flag(operation, "desc.lse", desc.lse, &problem->lse));
  ATTEND_CAPI_TRY(read_bias(operation, desc, problem));
  ATTEND_CAPI_TRY(read_mask(operation, desc.mask_terms, desc.mask_count, *problem, &problem->mask));
  return desc.layout == ATTEND_STRIDED ? Status() : set_dense(operation, static_cast<Layout>(desc.layout), problem);
}

Status make(AttentionFwd problem, attend_attention_fwd** to) {
  auto made = std::make_unique<attend_attention_fwd>();
  made->problem = std::move(problem);
  made->terms = describe_mask(made->problem.mask);
  made->cache = describe_cache(made->problem);
  *to = made.release();
  return {};
}

attend_attention_fwd_desc describe(const attend_attention_fwd& from) {
  const AttentionFwd& problem = from.problem;
  attend_attention_fwd_desc to = attend_attention_fwd_desc_init();
  to.b = problem.b;
  to.hq = problem.hq;
  to.hk = problem.hk;
  to.sq = problem.sq;
  to.sk = problem.sk;
  to.d = problem.d;
  to.dv = problem.dv;
  to.q_type = static_cast<attend_dtype>(problem.q_type);
  to.k_type = static_cast<attend_dtype>(problem.k_type);
  to.v_type = static_cast<attend_dtype>(problem.v_type);
  to.o_type = static_cast<attend_dtype>(problem.o_type);
  to.layout = ATTEND_STRIDED;
  to.q_strides = from_strides(problem.q_strides);
  to.k_strides = from_strides(problem.k_strides);
  to.v_strides = from_strides(problem.v_strides);
  to.o_strides = from_strides(problem.o_strides);
  to.has_scale = problem.scale.has_value() ? 1 : 0;
  to.scale = problem.scale.value_or(0);
  to.softcap = problem.softcap;
  to.alibi = problem.alibi ? 1 : 0;
  to.alibi_per_batch = problem.alibi_per_batch ? 1 : 0;
  to.sink = problem.sink ? 1 : 0;
  to.lse = problem.lse ? 1 : 0;
  if (problem.bias.has_value()) {
    to.bias = 1;
    to.bias_batch = problem.bias->batch ? 1 : 0;
    to.bias_head = problem.bias->head ? 1 : 0;
    to.bias_row = problem.bias->row ? 1 : 0;
  }
  describe_offsets(problem.cu_q, &to.cu_q, &to.cu_q_count, &to.cu_q_type);
  describe_offsets(problem.cu_k, &to.cu_k, &to.cu_k_count, &to.cu_k_type);
  to.mask_terms = from.terms.empty() ? nullptr : from.terms.data();
  to.mask_count = static_cast<int64_t>(from.terms.size());
  to.cache = problem.cache ? &from.cache : nullptr;
  return to;
}

}  // namespace

Status write_traffic(std::string_view operation, const Result<MemoryTraffic>& found, attend_memory_traffic* to) {
  if (!found.ok()) return found.status();
  attend_memory_traffic known = attend_memory_traffic_init();
  known.read = found->read;
  known.written = found->written;
  return write_struct(operation, "traffic", known, to);
}

Status read_desc(std::string_view operation, const attend_attention_fwd_desc& desc, AttentionFwd* problem) {
  ATTEND_CAPI_TRY(read_problem(operation, desc, problem));
  return problem->check();
}

}  // namespace attend::capi

using attend::AttentionFwd;
using attend::Result;
using attend::Status;

attend_status attend_attention_fwd_create(const attend_attention_fwd_desc* desc, attend_attention_fwd** problem) {
  constexpr const char* kOperation = "attention_fwd_create";
  if (problem != nullptr) *problem = nullptr;
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (problem == nullptr) return attend::capi::refuse_null(kOperation, "problem", "where to put the handle");
    attend_attention_fwd_desc read = attend_attention_fwd_desc_init();
    ATTEND_CAPI_TRY(attend::capi::read_struct(kOperation, "desc", desc, &read));
    AttentionFwd asked;
    ATTEND_CAPI_TRY(attend::capi::read_desc(kOperation, read, &asked));
    return attend::capi::make(std::move(asked), problem);
  });
}

attend_status attend_attention_fwd_create_from_text(const char* text, attend_attention_fwd** problem) {
  constexpr const char* kOperation = "attention_fwd_create_from_text";
  if (problem != nullptr) *problem = nullptr;
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (problem == nullptr) return attend::capi::refuse_null(kOperation, "problem", "where to put the handle");
    if (text == nullptr) return attend::capi::refuse_null(kOperation, "text", "a line that begins with attention_fwd");
    Result<AttentionFwd> parsed = AttentionFwd::parse(text);
    if (!parsed.ok()) return parsed.status();
    return attend::capi::make(std::move(parsed).value(), problem);
  });
}

void attend_attention_fwd_destroy(attend_attention_fwd* problem) { delete problem; }

attend_status attend_attention_fwd_text(const attend_attention_fwd* problem, char* buffer, size_t size,
                                        size_t* length) {
  constexpr const char* kOperation = "attention_fwd_text";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (problem == nullptr) return attend::capi::refuse_null(kOperation, "problem", "a Problem");
    return attend::capi::copy_text(kOperation, problem->problem.text(), buffer, size, length);
  });
}

attend_status attend_attention_fwd_describe(const attend_attention_fwd* problem, attend_attention_fwd_desc* desc) {
  constexpr const char* kOperation = "attention_fwd_describe";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (problem == nullptr) return attend::capi::refuse_null(kOperation, "problem", "a Problem");
    return attend::capi::write_struct(kOperation, "desc", attend::capi::describe(*problem), desc);
  });
}

attend_status attend_attention_fwd_query_cost(const attend_attention_fwd* problem, attend_attention_fwd_cost* cost) {
  constexpr const char* kOperation = "attention_fwd_query_cost";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (problem == nullptr) return attend::capi::refuse_null(kOperation, "problem", "a Problem");
    const attend::Cost found = problem->problem.cost();
    attend_attention_fwd_cost known = attend_attention_fwd_cost_init();
    known.visible_pairs = found.visible_pairs;
    known.flops = found.flops;
    known.bytes = found.bytes;
    known.lse_elements = problem->problem.lse ? problem->problem.lse_size() : 0;
    known.bias_elements = problem->problem.bias_size();
    return attend::capi::write_struct(kOperation, "cost", known, cost);
  });
}

attend_status attend_attention_fwd_query_traffic(const attend_attention_fwd* problem, attend_schedule schedule,
                                                 int64_t level_bytes, attend_memory_traffic* traffic) {
  constexpr const char* kOperation = "attention_fwd_query_traffic";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (problem == nullptr) return attend::capi::refuse_null(kOperation, "problem", "a Problem");
    return attend::capi::write_traffic(
        kOperation, problem->problem.memory_traffic(static_cast<attend::Schedule>(schedule), level_bytes), traffic);
  });
}
