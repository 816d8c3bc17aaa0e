// SPDX-License-Identifier: Apache-2.0
// Byte pair encoding over bytes, as in GPT-2: a word begins as one token a byte, and the neighbours whose merge was
// learnt first are joined until none is left.
#include <algorithm>
#include <limits>
#include <string>
#include <unordered_map>

#include "text_encoder.hpp"
#include "unicode.hpp"

namespace llm {
namespace {

struct PreTokenizer {
  std::string_view name;
  bool lone_numbers;
};
constexpr PreTokenizer kPreTokenizers[] = {{"gpt-2", false}, {"smollm", true}};

constexpr int16_t kNoByte = -1;

/// GPT-2 spells each byte as a printable character: itself where it is one, else the next free from U+0100.
/// Code points to bytes; kNoByte for those that spell none.
constexpr std::array<int16_t, 0x144> kByteOf = [] {
  std::array<int16_t, 0x144> bytes{};
  bytes.fill(kNoByte);
  size_t next = 0x100;
  for (int16_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte > ' ' && byte < 0x7f) || (byte > 0xa0 && byte != 0xad);
    bytes[printable ? static_cast<size_t>(byte) : next++] = byte;
  }
  return bytes;
}();

std::optional<std::string> unspelled(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    const Char next = first_char(name);
    if (next.code_point < 0 || next.code_point >= static_cast<int32_t>(kByteOf.size())) return std::nullopt;
    const int16_t byte = kByteOf[static_cast<size_t>(next.code_point)];
    if (byte == kNoByte) return std::nullopt;
    out += static_cast<char>(byte);
    name.remove_prefix(next.bytes);
  }
  return out;
}

class ByteBpe final : public TextEncoder {
 public:
  ByteBpe(const Gguf& in, const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
    const std::string_view pre = in.text("tokenizer.ggml.pre", "gpt-2");
    const PreTokenizer* row = std::find_if(std::begin(kPreTokenizers), std::end(kPreTokenizers),
                                           [&](const PreTokenizer& each) { return each.name == pre; });
    if (row == std::end(kPreTokenizers)) {
      vocabulary.fail("tokenizer.ggml.pre is '" + std::string(pre) + "', expected gpt-2 or smollm");
    }
    lone_numbers_ = row->lone_numbers;
    read_merges(in);
  }

  void encode(std::string_view text, std::vector<int32_t>& out) const override {
    for (const std::string_view word : split_words(text, lone_numbers_)) encode_word(word, out);
  }

 private:
  static uint64_t pair_key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }

  void read_merges(const Gguf& in) {
    const std::vector<std::string_view>& lines = in.texts("tokenizer.ggml.merges");
    if (lines.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
      vocabulary_.fail("tokenizer.ggml.merges has " + std::to_string(lines.size()) +
                       " merges, expected at most 2^31 - 1");
    }
    merges_.reserve(lines.size());
    const auto token_of = [&](const std::optional<std::string>& bytes) {
      const auto found = vocabulary_.token_of.find(bytes.value_or(""));
      return found == vocabulary_.token_of.end() ? kNoToken : found->second;
    };
    for (size_t i = 0; i < lines.size(); ++i) {
      const size_t space = std::min(lines[i].find(' '), lines[i].size());
      const std::optional<std::string> left = unspelled(lines[i].substr(0, space)),
                                       right = unspelled(lines[i].substr(std::min(space + 1, lines[i].size())));
      const int32_t l = token_of(left), r = token_of(right),
                    whole = l == kNoToken || r == kNoToken ? kNoToken : token_of(*left + *right);
      if (whole == kNoToken) {
        vocabulary_.fail("merge " + std::to_string(i) + " is not of two tokens that make a third, expected that");
      }
      if (!merges_.try_emplace(pair_key(l, r), Join{static_cast<double>(i), whole}).second) {
        vocabulary_.fail("merge " + std::to_string(i) + " is there twice, expected once");
      }
    }
  }

  void encode_word(std::string_view word, std::vector<int32_t>& out) const {
    const auto size = static_cast<int64_t>(word.size());
    std::vector<Part> parts;
    parts.reserve(word.size());
    for (int64_t i = 0; i < size; ++i)
      parts.push_back({i, 1, vocabulary_.byte_token(word[i]), i - 1, i + 1 < size ? i + 1 : -1});
    join_neighbours(parts, [&](const Part& left, const Part& right) -> std::optional<Join> {
      const auto found = merges_.find(pair_key(left.token, right.token));
      if (found == merges_.end()) return std::nullopt;
      return found->second;
    });
    for (const Part& part : parts)
      if (part.bytes > 0) out.push_back(part.token);
  }

  const Vocabulary& vocabulary_;
  bool lone_numbers_ = false;
  std::unordered_map<uint64_t, Join> merges_;  // by pair_key()
};

}  // namespace

const Spelling kByteBpeSpelling = {unspelled, "GPT-2's characters for bytes", false};

std::unique_ptr<TextEncoder> make_byte_bpe(const Gguf& in, const Vocabulary& vocabulary) {
  return std::make_unique<ByteBpe>(in, vocabulary);
}

}  // namespace llm
