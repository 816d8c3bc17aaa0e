// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attention.hpp>
#include <string>

#include <gtest/gtest.h>

namespace attend::test {

/// The Problem of a line that must be right.
inline AttentionFwd parsed(const std::string& line) {
  auto result = AttentionFwd::parse(line);
  if (!result.ok()) {
    ADD_FAILURE() << line << "\n" << result.status().message();
    return {};
  }
  return *result;
}

/// Why a line is refused; empty when it is not.
inline std::string refusal(const std::string& line) { return AttentionFwd::parse(line).status().message(); }

}  // namespace attend::test
