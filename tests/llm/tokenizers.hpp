// SPDX-License-Identifier: Apache-2.0
// Tokenizers of vocabularies that are made up, and what they complain of.
#pragma once
#include <functional>
#include <string>

#include "examples/llm/tokenizer.hpp"
#include "llm/gguf_bytes.hpp"

namespace llm::test {

using Tokens = std::vector<int32_t>;

inline Tokenizer tokenizer_of(const GgufBytes& file) {
  const std::string bytes = file.bytes();
  return Tokenizer(Gguf::parse(std::as_bytes(std::span(bytes)), "file"));
}

/// Of a Vocabulary or Pieces.
template <class Made>
Tokenizer tokenizer_of(const Made& vocabulary) {
  GgufBytes file;
  vocabulary.add_to(file);
  return tokenizer_of(file);
}

inline std::string complaint_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace llm::test
