// SPDX-License-Identifier: Apache-2.0
// Byte pair encoding as SentencePiece has it (Kudo, Richardson 2018, arXiv:1808.06226): a text begins as its
// characters, spaces among them, and the neighbours that make the token of the best score are joined until none is
// left. Characters that no token holds are spelled by the tokens of their bytes.
#include <algorithm>
#include <cmath>
#include <string>

#include "text_encoder.hpp"
#include "unicode.hpp"

namespace llm {
namespace {

constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581, which names of tokens have for the space

std::string with_spaces(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const bool space = text.substr(at).starts_with(kSpace);
    out += space ? ' ' : text[at];
    at += space ? kSpace.size() : 1;
  }
  return out;
}

class SentencePiece final : public TextEncoder {
 public:
  SentencePiece(const Gguf& in, const Vocabulary& vocabulary)
      : vocabulary_(vocabulary), scores_(in.reals("tokenizer.ggml.scores")) {
    if (scores_.size() != vocabulary.bytes.size()) {
      vocabulary.fail("tokenizer.ggml.scores has " + std::to_string(scores_.size()) + " elements, expected " +
                      std::to_string(vocabulary.bytes.size()) + ", one for each token");
    }
    for (size_t i = 0; i < scores_.size(); ++i) {
      if (!std::isfinite(scores_[i])) {
        vocabulary.fail("the score of token " + std::to_string(i) + " is " + std::to_string(scores_[i]) +
                        ", expected a finite number");
      }
    }
    for (const auto& [bytes, token] : vocabulary.token_of)
      longest_ = std::max(longest_, static_cast<int64_t>(bytes.size()));
  }

  void encode(std::string_view text, std::vector<int32_t>& out) const override {
    const std::string spaced = with_spaces(text);  // the two characters are one to SentencePiece
    text = spaced;
    const auto token_of = [&](int64_t begin, int64_t bytes) {
      const auto found = vocabulary_.token_of.find(text.substr(static_cast<size_t>(begin), static_cast<size_t>(bytes)));
      return found == vocabulary_.token_of.end() ? kNoToken : found->second;
    };
    std::vector<Part> parts;
    const auto size = static_cast<int64_t>(text.size());
    for (int64_t at = 0; at < size;) {
      const int64_t bytes = first_char(text.substr(static_cast<size_t>(at))).bytes;
      const auto index = static_cast<int64_t>(parts.size());
      parts.push_back({at, bytes, token_of(at, bytes), index - 1, at + bytes < size ? index + 1 : -1});
      at += bytes;
    }
    join_neighbours(parts, [&](const Part& left, const Part& right) -> std::optional<Join> {
      const int64_t bytes = left.bytes + right.bytes;
      const int32_t token = bytes > longest_ ? kNoToken : token_of(left.begin, bytes);
      if (token == kNoToken) return std::nullopt;
      return Join{-scores_[static_cast<size_t>(token)], token};
    });
    for (const Part& part : parts) {
      if (part.bytes > 0 && part.token != kNoToken) {
        out.push_back(part.token);
        continue;
      }
      for (const char byte : text.substr(static_cast<size_t>(part.begin), static_cast<size_t>(part.bytes)))
        out.push_back(vocabulary_.byte_token(byte));
    }
  }

 private:
  const Vocabulary& vocabulary_;
  std::vector<double> scores_;  // of each token
  int64_t longest_ = 0;         // bytes of a token
};

}  // namespace

const Spelling kSentencePieceSpelling = {[](std::string_view name) { return std::optional(with_spaces(name)); },
                                         "a name", true};

std::unique_ptr<TextEncoder> make_sentence_piece(const Gguf& in, const Vocabulary& vocabulary) {
  return std::make_unique<SentencePiece>(in, vocabulary);
}

}  // namespace llm
