// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attend.h>

#include <attend/attention.hpp>
#include <optional>

namespace attend::capi {

/// Reads a cache's descriptor. What the numbers mean is checked by AttentionFwd::check().
Status read_cache(std::string_view operation, attend_layout layout, const attend_kv_cache_desc* from, int64_t b,
                  std::optional<KvCache>* to);
/// Length of the longest sequence; negative ones are left for check() to name.
int64_t longest_length(const KvCache& cache);
/// The cache as views of the Problem's arrays.
attend_kv_cache_desc describe_cache(const AttentionFwd& problem);

}  // namespace attend::capi
