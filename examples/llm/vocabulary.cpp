// SPDX-License-Identifier: Apache-2.0
#include "vocabulary.hpp"

#include <algorithm>
#include <limits>

namespace llm {
namespace {

enum class TokenKind : int64_t { normal = 1, unknown, control, user_defined, unused, byte };

/// 65 of "<0x41>".
std::optional<uint8_t> named_byte(std::string_view name) {
  if (name.size() != 6 || !name.starts_with("<0x") || name.back() != '>') return std::nullopt;
  int value = 0;
  for (const char c : name.substr(3, 2)) {
    if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'))) return std::nullopt;
    value = value * 16 + (c <= '9' ? c - '0' : c - 'A' + 10);
  }
  return static_cast<uint8_t>(value);
}

}  // namespace

Vocabulary::Vocabulary(const Gguf& in, const Spelling& spelling) : file(in.name()) {
  const std::vector<std::string_view>& names = in.texts("tokenizer.ggml.tokens");
  const std::vector<int64_t>& kinds = in.integers("tokenizer.ggml.token_type");
  if (names.empty() || names.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    fail("tokenizer.ggml.tokens has " + std::to_string(names.size()) + " tokens, expected 1 to 2^31 - 1");
  }
  if (kinds.size() != names.size()) {
    fail("tokenizer.ggml.token_type has " + std::to_string(kinds.size()) + " elements, expected " +
         std::to_string(names.size()) + ", one for each token");
  }
  token_of_byte.fill(kNoToken);
  bytes.resize(names.size());
  token_of.reserve(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    const auto token = static_cast<int32_t>(i);
    const std::string self = "token " + std::to_string(i);
    const auto once = [&](bool first) {
      if (!first) fail(self + " is there twice, expected once");
    };
    const auto stands_for = [&](uint8_t byte) {
      once(token_of_byte[byte] == kNoToken);
      token_of_byte[byte] = token;
    };
    const auto kind = static_cast<TokenKind>(kinds[i]);
    if (kinds[i] < 1 || kind > (spelling.byte_tokens ? TokenKind::byte : TokenKind::unused)) {
      fail("the type of " + self + " is " + std::to_string(kinds[i]) +
           (spelling.byte_tokens ? ", expected 1 to 6 (normal, unknown, control, user-defined, unused, byte)"
                                 : ", expected 1 to 5 (normal, unknown, control, user-defined, unused)"));
    }
    switch (kind) {
      case TokenKind::normal: {
        std::optional<std::string> spelled = spelling.bytes(names[i]);
        if (!spelled || spelled->empty()) fail(self + " spells no bytes, expected " + spelling.expected);
        bytes[i] = std::move(*spelled);
        once(token_of.try_emplace(bytes[i], token).second);
        if (!spelling.byte_tokens && bytes[i].size() == 1) stands_for(static_cast<uint8_t>(bytes[i][0]));
        break;
      }
      case TokenKind::byte: {
        const std::optional<uint8_t> byte = named_byte(names[i]);
        if (!byte) fail(self + " is the token of a byte and is not named after one, expected <0x00> to <0xFF>");
        stands_for(*byte);
        bytes[i] = static_cast<char>(*byte);
        break;
      }
      case TokenKind::control: once(control.try_emplace(std::string(names[i]), token).second); [[fallthrough]];
      case TokenKind::user_defined: {
        if (names[i].empty()) fail(self + " has no name, expected one");
        const bool is_control = kind == TokenKind::control;
        named[static_cast<unsigned char>(names[i][0])].push_back({std::string(names[i]), token, is_control});
        if (!is_control) bytes[i] = names[i];
        break;
      }
      case TokenKind::unknown:
      case TokenKind::unused: break;  // of no text
    }
  }
  for (std::vector<Named>& each : named) {
    std::stable_sort(each.begin(), each.end(),
                     [](const Named& a, const Named& b) { return a.name.size() > b.name.size(); });
  }
}

const Vocabulary::Named* Vocabulary::name_at(std::string_view text, bool special) const {
  for (const Named& each : named[static_cast<unsigned char>(text[0])]) {
    if ((special || !each.control) && text.starts_with(each.name)) return &each;
  }
  return nullptr;
}

int32_t Vocabulary::byte_token(char byte) const {
  const auto index = static_cast<unsigned char>(byte);
  if (token_of_byte[index] == kNoToken) {
    throw TextError(file + ": the vocabulary has no token for byte " + std::to_string(index) +
                    " of the text, expected one for each byte");
  }
  return token_of_byte[index];
}

}  // namespace llm
