// SPDX-License-Identifier: Apache-2.0
// Text as pre-tokenizers see it: classes of characters, and the words that they make.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "error.hpp"

namespace llm {

/// \p{L}, \p{N}, \s and the rest of Unicode.
enum class CharClass : uint8_t { letter, number, space, other };

struct Char {
  int32_t code_point = -1;  ///< -1 for a byte that is no part of a UTF-8 sequence; it is a character of class other
  int32_t bytes = 1;
  CharClass kind = CharClass::other;
};

/// The character that the text, not empty, begins with.
Char first_char(std::string_view text);

/// Cuts the text into the pieces that merges stay inside of; together they are the text. These are the matches of
/// GPT-2's
///   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// and with `lone_numbers` each \p{N} is a word first, and the pattern sees only what lies between them.
std::vector<std::string_view> split_words(std::string_view text, bool lone_numbers);

/// Words as BERT's uncased models see them: control characters are left out, letters made small and accents taken off
/// (of the canonical decomposition, every mark of category Mn); what white space separates is a word, and each
/// punctuation mark and each Chinese character is one. Throws Error for text that is not UTF-8.
std::vector<std::string> plain_words(std::string_view text);

}  // namespace llm
