// SPDX-License-Identifier: Apache-2.0
// Byte-level byte pair encoding (Sennrich, Haddow, Birch 2016, arXiv:1508.07909, over bytes as in GPT-2): a word begins
// as one token a byte, and the neighbours whose merge was learnt first are joined until none is left.
#include "tokenizer.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <queue>
#include <unordered_map>

#include "unicode.hpp"

namespace llm {
namespace {

constexpr std::string_view kTurnBegins = "<|im_start|>", kTurnEnds = "<|im_end|>", kTextEnds = "<|endoftext|>";
constexpr int32_t kNone = -1;

enum class TokenKind : int64_t { normal = 1, unknown, control, user_defined, unused };

struct PreTokenizer {
  std::string_view name;
  bool lone_numbers;
};
constexpr PreTokenizer kPreTokenizers[] = {{"gpt-2", false}, {"smollm", true}};

/// GPT-2 spells each byte as a printable character: itself where it is one, else the next free from U+0100.
/// Code points to bytes; kNone for those that spell none.
constexpr std::array<int16_t, 0x144> kByteOf = [] {
  std::array<int16_t, 0x144> bytes{};
  bytes.fill(kNone);
  size_t next = 0x100;
  for (int16_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte > ' ' && byte < 0x7f) || (byte > 0xa0 && byte != 0xad);
    bytes[printable ? static_cast<size_t>(byte) : next++] = byte;
  }
  return bytes;
}();

/// The bytes that a token's name spells; nothing when a character of it spells none.
std::optional<std::string> unspelled(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    const Char next = first_char(name);
    if (next.code_point < 0 || next.code_point >= static_cast<int32_t>(kByteOf.size())) return std::nullopt;
    const int16_t byte = kByteOf[static_cast<size_t>(next.code_point)];
    if (byte == kNone) return std::nullopt;
    out += static_cast<char>(byte);
    name.remove_prefix(next.bytes);
  }
  return out;
}

/// What a template says for the system where the conversation begins with somebody else: its literal text between
/// "<|im_start|>system" and "<|im_end|>". Newlines of a template may be spelled as `\n`.
std::string default_system(std::string_view chat_template) {
  const std::string head = std::string(kTurnBegins) + "system";
  size_t at = chat_template.find(head);
  if (at == std::string_view::npos) return {};
  chat_template.remove_prefix(at + head.size());
  const std::string_view newline = chat_template.starts_with("\n") ? "\n" : "\\n";
  if (!chat_template.starts_with(newline)) return {};
  chat_template.remove_prefix(newline.size());
  at = chat_template.find(kTurnEnds);
  if (at == std::string_view::npos || chat_template.substr(0, at).find_first_of("'\"{}\\") != std::string_view::npos) {
    return {};  // an expression, no literal
  }
  return std::string(chat_template.substr(0, at));
}

}  // namespace

struct Tokenizer::State {
  struct Merge {
    int32_t rank, token;
  };
  struct Named {
    std::string name;
    int32_t token;
    bool control;
  };

  std::string file;
  bool lone_numbers = false;
  std::vector<std::string> bytes;                    // of each token
  std::array<int32_t, 256> token_of_byte{};          // kNone where the vocabulary has none
  std::unordered_map<uint64_t, Merge> merges;        // by pair_key()
  std::array<std::vector<Named>, 256> named;         // control and user-defined tokens by first byte, longest first
  std::unordered_map<std::string, int32_t> control;  // by name
  std::vector<bool> ends;                            // of each token: whether generation stops
  int32_t end = kNone;
  bool chat_ml = true;
  std::string system;

  static uint64_t pair_key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  [[noreturn]] void fail(const std::string& what) const { throw Error(file + ": " + what); }

  /// Fills in the tokens and returns those that text is made of, by name.
  std::unordered_map<std::string_view, int32_t> read_tokens(const Gguf& in);
  void read_merges(const Gguf& in, const std::unordered_map<std::string_view, int32_t>& token_of);
  void read_ends(const Gguf& in);

  /// The token named at the front of the text, nullptr when there is none; control tokens only with `special`.
  const Named* name_at(std::string_view text, bool special) const;
  void encode_text(std::string_view text, std::vector<int32_t>& out) const;
  void encode_word(std::string_view word, std::vector<int32_t>& out) const;
};

std::unordered_map<std::string_view, int32_t> Tokenizer::State::read_tokens(const Gguf& in) {
  const std::vector<std::string_view>& names = in.texts("tokenizer.ggml.tokens");
  const std::vector<int64_t>& kinds = in.integers("tokenizer.ggml.token_type");
  if (names.empty() || names.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    fail("tokenizer.ggml.tokens has " + std::to_string(names.size()) + " tokens, expected 1 to 2^31 - 1");
  }
  if (kinds.size() != names.size()) {
    fail("tokenizer.ggml.token_type has " + std::to_string(kinds.size()) + " elements, expected " +
         std::to_string(names.size()) + ", one for each token");
  }
  std::unordered_map<std::string_view, int32_t> token_of;
  token_of_byte.fill(kNone);
  bytes.resize(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    const auto token = static_cast<int32_t>(i);
    const std::string self = "token " + std::to_string(i);
    switch (static_cast<TokenKind>(kinds[i])) {
      case TokenKind::normal: {
        std::optional<std::string> spelled = unspelled(names[i]);
        if (!spelled || spelled->empty()) fail(self + " spells no bytes, expected GPT-2's characters for bytes");
        if (!token_of.try_emplace(names[i], token).second) fail(self + " is there twice, expected once");
        if (spelled->size() == 1) token_of_byte[static_cast<unsigned char>((*spelled)[0])] = token;
        bytes[i] = std::move(*spelled);
        break;
      }
      case TokenKind::control:
        if (!control.try_emplace(std::string(names[i]), token).second) {
          fail(self + " is there twice, expected once");
        }
        [[fallthrough]];
      case TokenKind::user_defined: {
        if (names[i].empty()) fail(self + " has no name, expected one");
        const bool is_control = static_cast<TokenKind>(kinds[i]) == TokenKind::control;
        named[static_cast<unsigned char>(names[i][0])].push_back({std::string(names[i]), token, is_control});
        if (!is_control) bytes[i] = names[i];
        break;
      }
      case TokenKind::unknown:
      case TokenKind::unused: break;  // of no text
      default:
        fail("the type of " + self + " is " + std::to_string(kinds[i]) +
             ", expected 1 to 5 (normal, unknown, control, user-defined, unused)");
    }
  }
  for (std::vector<Named>& each : named) {
    std::stable_sort(each.begin(), each.end(),
                     [](const Named& a, const Named& b) { return a.name.size() > b.name.size(); });
  }
  return token_of;
}

void Tokenizer::State::read_merges(const Gguf& in, const std::unordered_map<std::string_view, int32_t>& token_of) {
  const std::vector<std::string_view>& lines = in.texts("tokenizer.ggml.merges");
  if (lines.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    fail("tokenizer.ggml.merges has " + std::to_string(lines.size()) + " merges, expected at most 2^31 - 1");
  }
  merges.reserve(lines.size());
  std::string joined;
  for (size_t i = 0; i < lines.size(); ++i) {
    const size_t space = std::min(lines[i].find(' '), lines[i].size());
    const std::string_view left = lines[i].substr(0, space),
                           right = lines[i].substr(std::min(space + 1, lines[i].size()));
    joined.assign(left).append(right);
    const auto l = token_of.find(left), r = token_of.find(right), whole = token_of.find(joined);
    const auto none = token_of.end();
    if (l == none || r == none || whole == none) {
      fail("merge " + std::to_string(i) + " is not of two tokens that make a third, expected that");
    }
    const Merge merge{static_cast<int32_t>(i), whole->second};
    if (!merges.try_emplace(pair_key(l->second, r->second), merge).second) {
      fail("merge " + std::to_string(i) + " is there twice, expected once");
    }
  }
}

void Tokenizer::State::read_ends(const Gguf& in) {
  ends.resize(bytes.size());
  const auto read = [&](const std::string& key, int64_t token) {
    if (token < 0 || token >= static_cast<int64_t>(bytes.size())) {
      fail(key + " is " + std::to_string(token) + ", expected 0 to " + std::to_string(bytes.size() - 1));
    }
    ends[static_cast<size_t>(token)] = true;
    return static_cast<int32_t>(token);
  };
  end = read("tokenizer.ggml.eos_token_id", in.integer("tokenizer.ggml.eos_token_id"));
  if (in.has("tokenizer.ggml.eot_token_id")) {
    read("tokenizer.ggml.eot_token_id", in.integer("tokenizer.ggml.eot_token_id"));
  }
  for (const std::string_view name : {kTurnEnds, kTextEnds}) {
    if (const auto found = control.find(std::string(name)); found != control.end()) {
      ends[static_cast<size_t>(found->second)] = true;
    }
  }
}

const Tokenizer::State::Named* Tokenizer::State::name_at(std::string_view text, bool special) const {
  for (const Named& each : named[static_cast<unsigned char>(text[0])]) {
    if ((special || !each.control) && text.starts_with(each.name)) return &each;
  }
  return nullptr;
}

void Tokenizer::State::encode_text(std::string_view text, std::vector<int32_t>& out) const {
  for (const std::string_view word : split_words(text, lone_numbers)) encode_word(word, out);
}

/// A queue holds the merges that are possible, first learnt first, then leftmost; those that earlier ones have made
/// impossible are left in it and passed over. O(n log n) in the bytes of the word.
void Tokenizer::State::encode_word(std::string_view word, std::vector<int32_t>& out) const {
  struct Part {
    int32_t token;           // kNone when it has become part of the one before
    int64_t previous, next;  // neighbours; kNone at the ends
  };
  const auto size = static_cast<int64_t>(word.size());
  std::vector<Part> parts(word.size());
  for (int64_t i = 0; i < size; ++i) {
    const auto byte = static_cast<unsigned char>(word[i]);
    if (token_of_byte[byte] == kNone) {
      fail("the vocabulary has no token for byte " + std::to_string(byte) + " of the text, expected one for each byte");
    }
    parts[i] = {token_of_byte[byte], i - 1, i + 1 < size ? i + 1 : kNone};
  }

  const auto merge_at = [&](int64_t left) -> const Merge* {
    if (left == kNone || parts[left].token == kNone || parts[left].next == kNone) return nullptr;
    const auto found = merges.find(pair_key(parts[left].token, parts[parts[left].next].token));
    return found == merges.end() ? nullptr : &found->second;
  };
  using Candidate = std::pair<int32_t, int64_t>;  // rank, left part
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](int64_t left) {
    if (const Merge* merge = merge_at(left)) queue.emplace(merge->rank, left);
  };
  for (int64_t i = 0; i < size; ++i) consider(i);
  while (!queue.empty()) {
    const auto [rank, left] = queue.top();
    queue.pop();
    const Merge* merge = merge_at(left);
    if (merge == nullptr || merge->rank != rank) continue;
    const int64_t right = parts[left].next;
    parts[left].token = merge->token;
    parts[left].next = parts[right].next;
    parts[right].token = kNone;
    if (parts[left].next != kNone) parts[parts[left].next].previous = left;
    consider(parts[left].previous);
    consider(left);
  }
  for (int64_t i = size > 0 ? 0 : kNone; i != kNone; i = parts[i].next) out.push_back(parts[i].token);
}

Tokenizer::Tokenizer(const Gguf& file) {
  auto state = std::make_unique<State>();
  state->file = file.name();
  if (const std::string_view model = file.text("tokenizer.ggml.model"); model != "gpt2") {
    state->fail("tokenizer.ggml.model is '" + std::string(model) + "', expected gpt2 (byte-level BPE)");
  }
  const std::string_view pre = file.text("tokenizer.ggml.pre", "gpt-2");
  const PreTokenizer* row = std::find_if(std::begin(kPreTokenizers), std::end(kPreTokenizers),
                                         [&](const PreTokenizer& each) { return each.name == pre; });
  if (row == std::end(kPreTokenizers)) {
    state->fail("tokenizer.ggml.pre is '" + std::string(pre) + "', expected gpt-2 or smollm");
  }
  state->lone_numbers = row->lone_numbers;
  state->read_merges(file, state->read_tokens(file));
  state->read_ends(file);
  const std::string_view chat_template = file.text("tokenizer.chat_template", "");
  state->chat_ml = state->control.contains(std::string(kTurnBegins)) &&
                   state->control.contains(std::string(kTurnEnds)) &&
                   (chat_template.empty() || chat_template.find(kTurnBegins) != std::string_view::npos);
  state->system = default_system(chat_template);
  state_ = std::move(state);
}

Tokenizer::~Tokenizer() = default;

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool special) const {
  std::vector<int32_t> out;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const State::Named* named = state_->name_at(text.substr(at), special);
    if (named == nullptr) {
      ++at;
      continue;
    }
    state_->encode_text(text.substr(begin, at - begin), out);
    out.push_back(named->token);
    begin = at += named->name.size();
  }
  state_->encode_text(text.substr(begin), out);
  return out;
}

std::string Tokenizer::decode(int32_t token) const {
  if (token < 0 || token >= size()) {
    state_->fail("token is " + std::to_string(token) + ", expected 0 to " + std::to_string(size() - 1));
  }
  return state_->bytes[static_cast<size_t>(token)];
}

std::string Tokenizer::decode(const std::vector<int32_t>& tokens) const {
  std::string out;
  for (const int32_t token : tokens) out += decode(token);
  return out;
}

std::vector<int32_t> Tokenizer::chat(const std::vector<Message>& messages) const {
  if (!state_->chat_ml) {
    state_->fail("tokenizer.chat_template is not ChatML, expected turns between " + std::string(kTurnBegins) + " and " +
                 std::string(kTurnEnds));
  }
  std::vector<int32_t> out;
  const auto append = [&](std::string_view text) {
    const std::vector<int32_t> tokens = encode(text);
    out.insert(out.end(), tokens.begin(), tokens.end());
  };
  const auto say = [&](const Message& message) {
    if (message.role != "system" && message.role != "user" && message.role != "assistant") {
      state_->fail("the role of a message is '" + message.role + "', expected system, user or assistant");
    }
    out.push_back(state_->control.at(std::string(kTurnBegins)));
    append(message.role + "\n" + message.content);
    out.push_back(state_->control.at(std::string(kTurnEnds)));
    append("\n");
  };
  if (!state_->system.empty() && (messages.empty() || messages.front().role != "system")) {
    say({"system", state_->system});
  }
  for (const Message& each : messages) say(each);
  out.push_back(state_->control.at(std::string(kTurnBegins)));
  append("assistant\n");
  return out;
}

int64_t Tokenizer::size() const { return static_cast<int64_t>(state_->bytes.size()); }
int32_t Tokenizer::end() const { return state_->end; }
bool Tokenizer::ends(int32_t token) const {
  return token >= 0 && token < size() && state_->ends[static_cast<size_t>(token)];
}

}  // namespace llm
