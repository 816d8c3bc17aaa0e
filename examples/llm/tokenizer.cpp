// SPDX-License-Identifier: Apache-2.0
#include "tokenizer.hpp"

#include <algorithm>

#include "text_encoder.hpp"
#include "vocabulary.hpp"

namespace llm {
namespace {

/// A row for each tokenizer.ggml.model. Files that do not say whether a text has a token at its front or a space do as
/// their kind does.
struct Algorithm {
  std::string_view model;
  const Spelling& spelling;
  std::unique_ptr<TextEncoder> (*make)(const Gguf& in, const Vocabulary& vocabulary);
  bool begin_token, space_prefix;
};
const Algorithm kAlgorithms[] = {{"gpt2", kByteBpeSpelling, make_byte_bpe, false, false},
                                 {"llama", kSentencePieceSpelling, make_sentence_piece, true, true}};

/// How a conversation is written: turns between two control tokens, each of a name, a newline and the words.
struct ChatFormat {
  std::string_view turn_begins, turn_ends, assistant;
  bool system_turn;  ///< else what the system says comes first in the user's turn
  bool trims;        ///< white space around the words is dropped
};
constexpr ChatFormat kChatFormats[] = {{"<|im_start|>", "<|im_end|>", "assistant", true, false},
                                       {"<start_of_turn>", "<end_of_turn>", "model", false, true}};
constexpr std::string_view kTextEnds = "<|endoftext|>";

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kWhite = " \t\n\v\f\r";
  const size_t begin = text.find_first_not_of(kWhite);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kWhite) + 1 - begin);
}

/// What a template says for the system where the conversation begins with somebody else: its literal text between
/// "<|im_start|>system" and "<|im_end|>". Newlines of a template may be spelled as `\n`.
std::string default_system(const ChatFormat& format, std::string_view chat_template) {
  const std::string head = std::string(format.turn_begins) + "system";
  size_t at = chat_template.find(head);
  if (at == std::string_view::npos) return {};
  chat_template.remove_prefix(at + head.size());
  const std::string_view newline = chat_template.starts_with("\n") ? "\n" : "\\n";
  if (!chat_template.starts_with(newline)) return {};
  chat_template.remove_prefix(newline.size());
  at = chat_template.find(format.turn_ends);
  if (at == std::string_view::npos || chat_template.substr(0, at).find_first_of("'\"{}\\") != std::string_view::npos) {
    return {};  // an expression, no literal
  }
  return std::string(chat_template.substr(0, at));
}

const Algorithm& algorithm_of(const Gguf& file) {
  const std::string_view model = file.text("tokenizer.ggml.model");
  for (const Algorithm& each : kAlgorithms) {
    if (model == each.model) return each;
  }
  throw Error(file.name() + ": tokenizer.ggml.model is '" + std::string(model) +
              "', expected gpt2 (byte-level BPE) or llama (SentencePiece)");
}

}  // namespace

struct Tokenizer::State {
  Vocabulary vocabulary;
  std::unique_ptr<TextEncoder> encoder;
  bool space_prefix;
  std::vector<int32_t> begin;
  std::vector<bool> ends;  // of each token: whether generation stops
  int32_t end = kNoToken;
  const ChatFormat* chat = nullptr;
  bool chat_template = false;
  std::string system;

  State(const Gguf& in, const Algorithm& algorithm)
      : vocabulary(in, algorithm.spelling),
        encoder(algorithm.make(in, vocabulary)),
        space_prefix(in.boolean("tokenizer.ggml.add_space_prefix", algorithm.space_prefix)),
        ends(vocabulary.bytes.size()) {
    if (in.boolean("tokenizer.ggml.add_bos_token", algorithm.begin_token)) begin = {read_token(in, "bos_token_id")};
    read_ends(in);
    read_chat(in);
  }

  int32_t read_token(const Gguf& in, const std::string& name) const {
    const std::string key = "tokenizer.ggml." + name;
    const int64_t token = in.integer(key);
    if (token < 0 || token >= static_cast<int64_t>(vocabulary.bytes.size())) {
      vocabulary.fail(key + " is " + std::to_string(token) + ", expected 0 to " +
                      std::to_string(vocabulary.bytes.size() - 1));
    }
    return static_cast<int32_t>(token);
  }

  bool control(std::string_view name) const { return vocabulary.control.contains(std::string(name)); }
  int32_t control_token(std::string_view name) const { return vocabulary.control.at(std::string(name)); }

  void read_ends(const Gguf& in) {
    end = read_token(in, "eos_token_id");
    ends[static_cast<size_t>(end)] = true;
    if (in.has("tokenizer.ggml.eot_token_id")) ends[static_cast<size_t>(read_token(in, "eot_token_id"))] = true;
    std::vector<std::string_view> names{kTextEnds};
    for (const ChatFormat& each : kChatFormats) names.push_back(each.turn_ends);
    for (const std::string_view name : names) {
      if (control(name)) ends[static_cast<size_t>(control_token(name))] = true;
    }
  }

  void read_chat(const Gguf& in) {
    const std::string_view words = in.text("tokenizer.chat_template", "");
    chat_template = !words.empty();
    for (const ChatFormat& each : kChatFormats) {
      if (chat == nullptr && control(each.turn_begins) && control(each.turn_ends) &&
          (words.empty() || words.find(each.turn_begins) != std::string_view::npos)) {
        chat = &each;
        system = default_system(each, words);
      }
    }
  }
};

Tokenizer::Tokenizer(const Gguf& file) : state_(std::make_unique<State>(file, algorithm_of(file))) {}
Tokenizer::~Tokenizer() = default;

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool special) const {
  std::string prefixed;
  if (state_->space_prefix && !text.empty()) text = prefixed.append(" ").append(text);
  std::vector<int32_t> out;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const Vocabulary::Named* named = state_->vocabulary.name_at(text.substr(at), special);
    if (named == nullptr) {
      ++at;
      continue;
    }
    state_->encoder->encode(text.substr(begin, at - begin), out);
    out.push_back(named->token);
    begin = at += named->name.size();
  }
  state_->encoder->encode(text.substr(begin), out);
  return out;
}

std::string Tokenizer::decode(int32_t token) const {
  if (token < 0 || token >= size()) {
    state_->vocabulary.fail("token is " + std::to_string(token) + ", expected 0 to " + std::to_string(size() - 1));
  }
  return state_->vocabulary.bytes[static_cast<size_t>(token)];
}

std::string Tokenizer::decode(const std::vector<int32_t>& tokens) const {
  std::string out;
  for (const int32_t token : tokens) out += decode(token);
  return out;
}

std::vector<int32_t> Tokenizer::chat(const std::vector<Message>& messages) const {
  if (state_->chat == nullptr) {
    state_->vocabulary.fail(
        "tokenizer.chat_template is not ChatML and not Gemma's, expected turns between <|im_start|> and <|im_end|> or "
        "<start_of_turn> and <end_of_turn>");
  }
  const ChatFormat& format = *state_->chat;
  std::vector<int32_t> out = begin();
  const auto append = [&](const std::string& text) {
    const std::vector<int32_t> tokens = encode(text);
    out.insert(out.end(), tokens.begin(), tokens.end());
  };
  std::string before;  // what the system said, where it has no turn of its own
  const auto say = [&](std::string_view role, std::string_view content) {
    if (role != "system" && role != "user" && role != "assistant") {
      state_->vocabulary.fail("the role of a message is '" + std::string(role) +
                              "', expected system, user or assistant");
    }
    if (role == "system" && !format.system_turn) {
      before.append(content).append("\n\n");
      return;
    }
    if (format.trims) content = trimmed(content);
    if (role == "assistant") role = format.assistant;
    out.push_back(state_->control_token(format.turn_begins));
    append(std::string(role) + "\n" + before + std::string(content));
    before.clear();
    out.push_back(state_->control_token(format.turn_ends));
    append("\n");
  };
  if (!state_->system.empty() && (messages.empty() || messages.front().role != "system")) {
    say("system", state_->system);
  }
  for (const Message& each : messages) say(each.role, each.content);
  out.push_back(state_->control_token(format.turn_begins));
  append(std::string(format.assistant) + "\n");
  return out;
}

bool Tokenizer::has_chat_template() const { return state_->chat_template; }
int64_t Tokenizer::size() const { return static_cast<int64_t>(state_->vocabulary.bytes.size()); }
const std::vector<int32_t>& Tokenizer::begin() const { return state_->begin; }
int32_t Tokenizer::end() const { return state_->end; }
bool Tokenizer::ends(int32_t token) const {
  return token >= 0 && token < size() && state_->ends[static_cast<size_t>(token)];
}

}  // namespace llm
