// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attend.h>

#include <attend/attention.hpp>
#include <string>
#include <vector>

#include "capi/error.hpp"

namespace attend::capi {

/// A copy of `count` elements that the caller holds. Errors: negative count, NULL with a count, count without end.
template <class T>
Result<Array<T>> copy_array(std::string_view operation, std::string_view name, const void* data, int64_t count,
                            const char* type) {
  constexpr int64_t kMost = PTRDIFF_MAX / static_cast<int64_t>(sizeof(T));
  if (count < 0 || count > kMost) {
    return refuse(operation, std::string(name) + "'s count", std::to_string(count), "0 to " + std::to_string(kMost));
  }
  if (count == 0) return Array<T>();
  if (data == nullptr) return refuse_null(operation, name, std::to_string(count) + " values of type " + type);
  const auto* values = static_cast<const T*>(data);
  return Array<T>(std::vector<T>(values, values + count));
}

/// Reads the mask of a descriptor. `problem` has its sizes already: some terms are laid out by them. What the numbers
/// mean is checked by AttentionFwd::check().
Status read_mask(std::string_view operation, const attend_mask_term* terms, int64_t count, const AttentionFwd& problem,
                 Mask* mask);

/// The terms of a mask as views of its arrays.
std::vector<attend_mask_term> describe_mask(const Mask& mask);

}  // namespace attend::capi
