// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdexcept>

namespace llm {

/// A sentence for the person who runs the program.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace llm
