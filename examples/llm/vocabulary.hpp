// SPDX-License-Identifier: Apache-2.0
// The tokens of a file, whatever it is that cuts text into them.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gguf.hpp"

namespace llm {

constexpr int32_t kNoToken = -1;

/// How the names of normal tokens spell bytes.
struct Spelling {
  std::optional<std::string> (*bytes)(std::string_view name);  ///< nothing for a name that spells none
  const char* expected;                                        ///< what the names are made of, for errors
  bool byte_tokens;  ///< tokens named <0x00> to <0xFF> stand for bytes that no other token spells
};

struct Vocabulary {
  struct Named {
    std::string name;
    int32_t token;
    bool control;
  };

  std::string file;                                        ///< for errors
  std::vector<std::string> bytes;                          ///< of each token; none for a token of no text
  std::unordered_map<std::string_view, int32_t> token_of;  ///< normal tokens by their bytes, which are those above
  std::array<int32_t, 256> token_of_byte{};                ///< kNoToken where there is none
  std::array<std::vector<Named>, 256> named;         ///< control and user-defined tokens by first byte, longest first
  std::unordered_map<std::string, int32_t> control;  ///< by name

  /// Throws Error where metadata contradicts itself or a token spells nothing.
  Vocabulary(const Gguf& in, const Spelling& spelling);
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  /// The token named at the front of the text, nullptr when there is none; control tokens only with `special`.
  const Named* name_at(std::string_view text, bool special) const;
  /// Throws TextError where there is none.
  int32_t byte_token(char byte) const;
  [[noreturn]] void fail(const std::string& what) const { throw Error(file + ": " + what); }
};

}  // namespace llm
