// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attention.hpp>

namespace attend {

/// The part of AttentionFwd::check() that comes before strides and masks: sizes, types and offsets. After it, no
/// product of sizes overflows.
Status check_sizes(const AttentionFwd& problem);

/// dense_strides for sizes that nobody has checked yet: zeros where the products overflow.
Strides checked_dense_strides(Layout layout, int64_t rows, int64_t heads, int64_t columns);

}  // namespace attend
