// SPDX-License-Identifier: Apache-2.0
// WordPiece as BERT uses it (arXiv:1609.08144, section 4.1; arXiv:1810.04805): text in small letters without accents is
// cut into words, and each word into the longest pieces of a vocabulary.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "error.hpp"

namespace llm {

/// Tokens of a text with [CLS] before and [SEP] behind them.
struct TextTokens {
  std::vector<int32_t> ids;
  bool cut = false;  ///< there were more than the limit
};

class WordPiece {
 public:
  /// `vocabulary` is a vocab.txt: a token in each line, its number the line's. Throws Error, which begins with `name`,
  /// for a token that is there twice, and where [UNK], [CLS] or [SEP] is missing.
  WordPiece(std::string_view vocabulary, const std::string& name);

  /// Pieces of the text alone; [UNK] for a word that has no pieces or more than 100 characters. Names of tokens in the
  /// text ([SEP]) are text like any other. Throws Error for text that is not UTF-8.
  std::vector<int32_t> pieces(std::string_view text) const;
  /// The same between [CLS] and [SEP], together at most `limit` tokens, 2 or more: what is too long loses its end. A
  /// text without words gives the two alone.
  TextTokens encode(std::string_view text, int64_t limit) const;

  int64_t size() const { return size_; }

 private:
  void cut_word(std::string_view word, std::vector<int32_t>& ids) const;

  int64_t size_ = 0;
  std::map<std::string, int32_t, std::less<>> first_, next_;  ///< pieces that begin a word, and the others without ##
  size_t longest_ = 0;                                        ///< bytes of the longest piece
  int32_t unknown_ = 0, begin_ = 0, end_ = 0;
};

}  // namespace llm
