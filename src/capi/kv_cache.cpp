// SPDX-License-Identifier: Apache-2.0
#include "capi/kv_cache.hpp"

#include <algorithm>

#include "capi/mask.hpp"
#include "capi/problem.hpp"
#include "capi/structs.hpp"

namespace attend::capi {
namespace {

Status read_list(std::string_view operation, const char* name, const int32_t* data, int64_t count, Array<int32_t>* to) {
  const std::string argument = std::string("desc.cache.") + name;
  if (data == nullptr) return expect_zero(operation, argument + "_count", count, argument + " is NULL");
  Result<Array<int32_t>> list = copy_array<int32_t>(operation, argument, data, count, "int32_t");
  if (!list.ok()) return list.status();
  *to = std::move(list).value();
  return {};
}

/// b numbers: a wrong count is more likely than an array of the wrong length, so it is refused before it is read.
Status read_numbers(std::string_view operation, const char* name, const int32_t* data, int64_t count, int64_t b,
                    Array<int32_t>* to) {
  if (data != nullptr && count != b)
    return refuse(operation, std::string("desc.cache.") + name + "_count", std::to_string(count),
                  std::to_string(b) + " (= b)");
  return read_list(operation, name, data, count, to);
}

}  // namespace

Status read_cache(std::string_view operation, attend_layout layout, const attend_kv_cache_desc* from, int64_t b,
                  std::optional<KvCache>* to) {
  attend_kv_cache_desc desc = attend_kv_cache_desc_init();
  ATTEND_CAPI_TRY(read_struct(operation, "desc.cache", from, &desc));
  KvCache cache;
  cache.placement = static_cast<KvPlacement>(desc.placement);
  cache.k_format = static_cast<KvFormat>(desc.k_format);
  cache.v_format = static_cast<KvFormat>(desc.v_format);
  ATTEND_CAPI_TRY(read_flag(operation, "desc.cache.k_mean", desc.k_mean, &cache.k_mean));
  ATTEND_CAPI_TRY(expect_zero(operation, "desc.cache.reserved", desc.reserved, "it is reserved"));
  cache.entries = desc.entries;
  cache.rows = desc.rows;
  if (desc.lengths == nullptr && b > 0)
    return refuse_null(operation, "desc.cache.lengths", std::to_string(b) + " lengths");
  ATTEND_CAPI_TRY(read_numbers(operation, "lengths", desc.lengths, desc.lengths_count, b, &cache.lengths));
  ATTEND_CAPI_TRY(read_numbers(operation, "first", desc.first, desc.first_count, b, &cache.first));
  ATTEND_CAPI_TRY(read_numbers(operation, "entry", desc.entry, desc.entry_count, b, &cache.entry));
  ATTEND_CAPI_TRY(read_list(operation, "pages", desc.pages, desc.pages_count, &cache.pages));
  cache.table_width = desc.table_width;
  ATTEND_CAPI_TRY(read_offsets(operation, "desc.cache.cu_pages", desc.cu_pages, desc.cu_pages_count, desc.cu_pages_type,
                               b, "b", &cache.cu_pages));
  cache.k_scale_strides = to_strides(desc.k_scale_strides);
  cache.v_scale_strides = to_strides(desc.v_scale_strides);
  if (layout != ATTEND_STRIDED && (cache.k_scale_strides != Strides() || cache.v_scale_strides != Strides()))
    return refuse(operation, "desc.cache.k_scale_strides or v_scale_strides", "given",
                  "zeros: layout is not ATTEND_STRIDED");
  *to = std::move(cache);
  return {};
}

int64_t longest_length(const KvCache& cache) {
  int64_t most = 0;
  for (const int32_t length : cache.lengths) most = std::max<int64_t>(most, length);
  return most;
}

attend_kv_cache_desc describe_cache(const AttentionFwd& problem) {
  attend_kv_cache_desc to = attend_kv_cache_desc_init();
  if (!problem.cache) return to;
  const KvCache& cache = *problem.cache;
  to.placement = static_cast<attend_kv_placement>(cache.placement);
  to.k_format = static_cast<attend_kv_format>(cache.k_format);
  to.v_format = static_cast<attend_kv_format>(cache.v_format);
  to.k_mean = cache.k_mean ? 1 : 0;
  to.entries = cache.entries;
  to.rows = cache.rows;
  const auto list = [](const Array<int32_t>& values, const int32_t** data, int64_t* count) {
    *data = values.empty() ? nullptr : values.data();
    *count = values.size();
  };
  list(cache.lengths, &to.lengths, &to.lengths_count);
  list(cache.first, &to.first, &to.first_count);
  list(cache.entry, &to.entry, &to.entry_count);
  list(cache.pages, &to.pages, &to.pages_count);
  to.table_width = cache.table_width;
  describe_offsets(cache.cu_pages, &to.cu_pages, &to.cu_pages_count, &to.cu_pages_type);
  to.k_scale_strides = from_strides(cache.k_scale_strides);
  to.v_scale_strides = from_strides(cache.v_scale_strides);
  return to;
}

}  // namespace attend::capi
