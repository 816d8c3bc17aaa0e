// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/status.hpp>
#include <concepts>
#include <string>
#include <string_view>

#include "base/text.hpp"

namespace attend {

/// invalid_argument: `<operation>: <argument> is <found>, expected <expected>`.
inline Status wrong(std::string_view operation, std::string_view argument, std::string_view found,
                    std::string_view expected) {
  std::string text(operation);
  text.append(": ").append(argument).append(" is ").append(found).append(", expected ").append(expected);
  return invalid_argument(std::move(text));
}

/// The same of `attention_fwd`.
inline Status wrong_argument(std::string_view argument, std::string_view found, std::string_view expected) {
  return wrong("attention_fwd", argument, found, expected);
}

template <class T>
requires(std::integral<T> || std::floating_point<T>) Status
    wrong_argument(std::string_view argument, T found, std::string_view expected) {
  return wrong_argument(argument, print_number(found), expected);
}

/// Lengths, heads and sequences stay below 2^31, products of them and element offsets below 2^60, so that neither bytes
/// nor pairs overflow int64 anywhere behind check().
inline constexpr int64_t kMaxExtent = (int64_t{1} << 31) - 1;
inline constexpr int64_t kMaxElements = int64_t{1} << 60;
/// What one line of text may expand to, in list entries, so that a line of a few bytes takes neither minutes nor gigabytes:
/// lists of masks made by recipes, and those of a cache (lengths and pages), whose entries take more work each.
inline constexpr int64_t kMaxMaskExpansion = int64_t{1} << 24;
inline constexpr int64_t kMaxCacheExpansion = int64_t{1} << 20;

}  // namespace attend
