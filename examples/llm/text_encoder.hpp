// SPDX-License-Identifier: Apache-2.0
// What cuts text into tokens: pieces of it, at first the smallest, of which neighbours are joined while that is
// possible (byte pair encoding; Sennrich, Haddow, Birch 2016, arXiv:1508.07909).
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <string_view>
#include <utility>
#include <vector>

#include "vocabulary.hpp"

namespace llm {

class TextEncoder {
 public:
  virtual ~TextEncoder() = default;
  /// Appends the tokens of the text, in which no token of the vocabulary is meant by its name. Throws TextError.
  virtual void encode(std::string_view text, std::vector<int32_t>& out) const = 0;
};

/// GPT-2's: words of bytes, with merges in the order in which they were learnt. The vocabulary outlives the encoder.
std::unique_ptr<TextEncoder> make_byte_bpe(const Gguf& in, const Vocabulary& vocabulary);
extern const Spelling kByteBpeSpelling;

/// SentencePiece's: a whole text of characters, joined by the scores of what they make.
std::unique_ptr<TextEncoder> make_sentence_piece(const Gguf& in, const Vocabulary& vocabulary);
extern const Spelling kSentencePieceSpelling;

/// A piece of a text.
struct Part {
  int64_t begin, bytes;    ///< no bytes: it has become part of the one before
  int32_t token;           ///< kNoToken where the vocabulary has none
  int64_t previous, next;  ///< neighbours; -1 at the ends
};

/// What two neighbours make, and how early it is made: of the lowest rank first.
struct Join {
  double rank;
  int32_t token;
};

/// Joins neighbours until none can be: the lowest rank first, then the leftmost. `find(left, right)` is an
/// std::optional<Join>. A queue holds what is possible; what has become impossible is left in it and passed over.
/// O(n log n).
template <class Find>
void join_neighbours(std::vector<Part>& parts, const Find& find) {
  const auto join_at = [&](int64_t left) -> std::optional<Join> {
    if (left < 0 || parts[left].bytes == 0 || parts[left].next < 0) return std::nullopt;
    return find(parts[left], parts[parts[left].next]);
  };
  using Candidate = std::pair<double, int64_t>;  // rank, left part
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](int64_t left) {
    if (const std::optional<Join> join = join_at(left)) queue.emplace(join->rank, left);
  };
  for (size_t i = 0; i < parts.size(); ++i) consider(static_cast<int64_t>(i));
  while (!queue.empty()) {
    const auto [rank, left] = queue.top();
    queue.pop();
    const std::optional<Join> join = join_at(left);
    if (!join || join->rank != rank) continue;
    Part &part = parts[left], &right = parts[part.next];
    part.token = join->token;
    part.bytes += right.bytes;
    part.next = right.next;
    right.bytes = 0;
    if (part.next >= 0) parts[part.next].previous = left;
    consider(part.previous);
    consider(left);
  }
}

}  // namespace llm
