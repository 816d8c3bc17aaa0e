// SPDX-License-Identifier: Apache-2.0
// Text to tokens and back, as the file's metadata describes it (tokenizer.ggml.model gpt2 or llama).
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gguf.hpp"

namespace llm {

struct Message {
  std::string role, content;  ///< system, user or assistant
};

class Tokenizer {
 public:
  /// Throws Error for a vocabulary of another kind or one whose parts do not fit together.
  explicit Tokenizer(const Gguf& file);
  ~Tokenizer();

  /// Tokens of the text. With `special`, names of control tokens in it (<|im_start|>) stand for these tokens; else they
  /// are text like any other. Throws TextError for a byte that the vocabulary has no token for.
  std::vector<int32_t> encode(std::string_view text, bool special = false) const;
  /// The bytes that a token stands for; they need not be whole characters. Empty for a control token.
  std::string decode(int32_t token) const;
  std::string decode(const std::vector<int32_t>& tokens) const;
  /// The conversation in the model's format (ChatML or Gemma's), ready for the assistant to speak. Throws Error where
  /// the model has another, TextError as encode().
  std::vector<int32_t> chat(const std::vector<Message>& messages) const;

  /// Whether the file says how to talk with the model; else it is likely to have learnt only how texts go on.
  bool has_chat_template() const;

  int64_t size() const;
  /// What the model has seen at the front of every text: one token, or none.
  const std::vector<int32_t>& begin() const;
  int32_t end() const;             ///< of a text or a turn
  bool ends(int32_t token) const;  ///< whether generation stops here

 private:
  struct State;
  std::unique_ptr<const State> state_;
};

}  // namespace llm
