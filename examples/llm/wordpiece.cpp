// SPDX-License-Identifier: Apache-2.0
#include "wordpiece.hpp"

#include <algorithm>
#include <limits>

#include "unicode.hpp"

namespace llm {

namespace {

constexpr size_t kMostCharacters = 100;  // of a word that is cut; the limit of BERT's own tokenizer

}  // namespace

WordPiece::WordPiece(std::string_view vocabulary, const std::string& name) {
  while (!vocabulary.empty()) {
    const std::string_view line = vocabulary.substr(0, vocabulary.find('\n'));
    vocabulary.remove_prefix(std::min(line.size() + 1, vocabulary.size()));
    const bool begins = !line.starts_with("##");
    if (size_ == std::numeric_limits<int32_t>::max()) throw Error(name + ": has more than 2^31 - 1 tokens");
    const auto id = static_cast<int32_t>(size_++);
    if (!(begins ? first_ : next_).emplace(line.substr(begins ? 0 : 2), id).second)
      throw Error(name + ": line " + std::to_string(size_) + " has a token that is there already");
    longest_ = std::max(longest_, line.size());
  }
  const auto special = [&](const char* token) {
    const auto found = first_.find(token);
    if (found == first_.end()) throw Error(name + ": has no token " + token);
    return found->second;
  };
  unknown_ = special("[UNK]");
  begin_ = special("[CLS]");
  end_ = special("[SEP]");
}

void WordPiece::cut_word(std::string_view word, std::vector<int32_t>& ids) const {
  const size_t before = ids.size();
  const auto inside = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };  // of a character
  const auto characters = std::ranges::count_if(word, [&](char c) { return !inside(c); });
  bool known = static_cast<size_t>(characters) <= kMostCharacters;
  for (size_t at = 0; known && at < word.size();) {
    const auto& pieces = at == 0 ? first_ : next_;
    auto found = pieces.end();
    size_t size = std::min(longest_, word.size() - at);
    for (; size > 0; --size) {
      if (at + size < word.size() && inside(word[at + size])) continue;
      found = pieces.find(word.substr(at, size));
      if (found != pieces.end()) break;
    }
    known = found != pieces.end();
    if (known) ids.push_back(found->second);
    at += size;
  }
  if (known) return;
  ids.resize(before);
  ids.push_back(unknown_);
}

std::vector<int32_t> WordPiece::pieces(std::string_view text) const {
  std::vector<int32_t> ids;
  for (const std::string& word : plain_words(text)) cut_word(word, ids);
  return ids;
}

TextTokens WordPiece::encode(std::string_view text, int64_t limit) const {
  std::vector<int32_t> ids = pieces(text);
  const auto most = static_cast<size_t>(limit - 2);
  TextTokens tokens{{begin_}, ids.size() > most};
  if (tokens.cut) ids.resize(most);
  tokens.ids.insert(tokens.ids.end(), ids.begin(), ids.end());
  tokens.ids.push_back(end_);
  return tokens;
}

}  // namespace llm
