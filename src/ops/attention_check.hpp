// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attention.hpp>
#include <string>

namespace attend {

/// The part of AttentionFwd::check() that comes before strides and masks: sizes, types and offsets. After it, no
/// product of sizes overflows.
Status check_sizes(const AttentionFwd& problem);

/// That the element type exists.
Status check_type(const char* argument, DType type);
/// That the strides of `tensor` reach no element beyond 2^60 and, when it is written, that its rows do not overlap.
Status check_strides(const std::string& tensor, const Strides& strides, const Offsets& cu, int64_t b, int64_t rows,
                     int64_t heads, int64_t columns, bool written);

/// dense_strides for sizes that nobody has checked yet: zeros where the products overflow.
Strides checked_dense_strides(Layout layout, int64_t rows, int64_t heads, int64_t columns);

}  // namespace attend
