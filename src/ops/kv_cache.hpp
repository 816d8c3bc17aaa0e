// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attention.hpp>
#include <string>

#include "ops/problem_line.hpp"

namespace attend {

/// The part of AttentionFwd::check() about the cache that comes before strides and masks; sizes have been checked.
/// After it slot() may be asked for every token.
Status check_cache(const AttentionFwd& problem);
/// Strides of K, V and their scales.
Status check_cache_strides(const AttentionFwd& problem);

/// Fields of the text form (docs/problem-text.md, "Caches"). read_cache() turns the lengths in cu_k into the cache's.
void read_cache(Line& line, AttentionFwd& problem);
void read_scale_strides(Line& line, Layout layout, AttentionFwd& problem);
std::string print_cache_lengths(const KvCache& cache);
/// ` cache=... pages=... ...`, with the strides that `layout` does not give.
std::string print_cache(const AttentionFwd& problem, Layout layout);

}  // namespace attend
