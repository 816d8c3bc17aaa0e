// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdexcept>

namespace llm {

/// A sentence for the person who runs the program.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The same of a text that the vocabulary has no tokens for; another text may do.
struct TextError : Error {
  using Error::Error;
};

}  // namespace llm
