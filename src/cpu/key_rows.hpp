// SPDX-License-Identifier: Apache-2.0
// Keys or values of a sequence as the packers read them: rows of one element type at one distance. From a cache they
// are gathered, and decoded where they have scales.
#pragma once
#include <attend/attention.hpp>
#include <cstddef>

#include "cpu/kernel.hpp"

namespace attend::cpu {

struct KeyRows {
  const void* data = nullptr;
  Element type = Element::f32;
  int64_t row_stride = 0;  ///< elements
};

/// Bytes that gathering one panel may need; 0 for a Problem without a cache.
int64_t gather_bytes(const AttentionFwd& problem);

/// Keys [first, first + count) of sequence n and key head `head`, count at most kPanelKeys. `scratch` has
/// gather_bytes() and holds the rows that do not lie in memory as they are needed.
KeyRows key_rows(const AttentionFwd& problem, const AttentionFwdArgs& args, int64_t n, int64_t head, int64_t first,
                 int64_t count, std::byte* scratch);
/// The same of values.
KeyRows value_rows(const AttentionFwd& problem, const AttentionFwdArgs& args, int64_t n, int64_t head, int64_t first,
                   int64_t count, std::byte* scratch);

}  // namespace attend::cpu
