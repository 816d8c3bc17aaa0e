// SPDX-License-Identifier: Apache-2.0
// GGUF files as bytes, right or wrong, for tests of their reader and as seeds of its fuzz target.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm::test {

enum ValueKind : uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };

template <class T>
std::string raw(T value) {
  std::string out(sizeof value, '\0');
  std::memcpy(out.data(), &value, sizeof value);
  return out;
}

inline std::string text(std::string_view value) { return raw<uint64_t>(value.size()) + std::string(value); }

/// An array of values that are bytes already.
inline std::string list(uint32_t kind, const std::vector<std::string>& values) {
  std::string out = raw(kind) + raw<uint64_t>(values.size());
  for (const std::string& each : values) out += each;
  return out;
}

inline std::string texts(const std::vector<std::string>& values) {
  std::string out = raw<uint32_t>(kString) + raw<uint64_t>(values.size());
  for (const std::string& each : values) out += text(each);
  return out;
}

class GgufBytes {
 public:
  uint32_t version = 3;
  uint64_t alignment = 32;
  std::string magic = "GGUF";
  std::optional<uint64_t> key_count, tensor_count;  ///< instead of the true ones

  GgufBytes& key(std::string_view name, uint32_t kind, const std::string& value) {
    keys_ += text(name) + raw(kind) + value;
    ++keys_there_;
    return *this;
  }
  /// `offset` instead of the next free one.
  GgufBytes& tensor(std::string_view name, const std::vector<uint64_t>& dimensions, uint32_t type,
                    const std::string& data, std::optional<uint64_t> offset = {}) {
    if (!offset) data_.resize((data_.size() + alignment - 1) / alignment * alignment);
    tensors_ += text(name) + raw(static_cast<uint32_t>(dimensions.size()));
    for (const uint64_t each : dimensions) tensors_ += raw(each);
    tensors_ += raw(type) + raw(offset.value_or(data_.size()));
    data_ += data;
    ++tensors_there_;
    return *this;
  }
  std::string bytes() const {
    std::string out = magic + raw(version) + raw(tensor_count.value_or(tensors_there_)) +
                      raw(key_count.value_or(keys_there_)) + keys_ + tensors_;
    if (tensors_there_ > 0) out.resize((out.size() + alignment - 1) / alignment * alignment);
    return out + data_;
  }

 private:
  std::string keys_, tensors_, data_;
  uint64_t keys_there_ = 0, tensors_there_ = 0;
};

/// GPT-2's character for a byte, in UTF-8.
inline std::string spelled(uint8_t byte) {
  const auto printable = [](int b) { return (b > ' ' && b < 0x7f) || (b > 0xa0 && b != 0xad); };
  int code_point = byte;
  if (!printable(byte)) {
    code_point = 0x100;
    for (int b = 0; b < byte; ++b) code_point += printable(b) ? 0 : 1;
  }
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  return {static_cast<char>(0xc0 | code_point >> 6), static_cast<char>(0x80 | (code_point & 63))};
}

/// Token i < 256 is byte i; then what the merges make, then these.
struct Vocabulary {
  std::vector<std::string> merges;
  std::vector<std::string> control = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  std::vector<std::string> user_defined = {"<tool>"};
  std::string pre = "smollm";
  std::string chat_template = "{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{{ '<|im_start|>' + message['role'] }}";

  std::vector<std::string> tokens() const {
    std::vector<std::string> out;
    for (int byte = 0; byte < 256; ++byte) out.push_back(spelled(static_cast<uint8_t>(byte)));
    for (std::string each : merges) out.push_back(each.erase(each.find(' '), 1));
    out.insert(out.end(), control.begin(), control.end());
    out.insert(out.end(), user_defined.begin(), user_defined.end());
    return out;
  }
  std::vector<int32_t> kinds() const {
    std::vector<int32_t> out(256 + merges.size(), 1);
    out.insert(out.end(), control.size(), 3);
    out.insert(out.end(), user_defined.size(), 4);
    return out;
  }
  int32_t control_id(size_t index) const { return static_cast<int32_t>(256 + merges.size() + index); }

  void add_to(GgufBytes& file) const {
    std::vector<std::string> types;
    for (const int32_t kind : kinds()) types.push_back(raw(kind));
    file.key("tokenizer.ggml.model", kString, text("gpt2"));
    file.key("tokenizer.ggml.pre", kString, text(pre));
    file.key("tokenizer.ggml.tokens", kArray, texts(tokens()));
    file.key("tokenizer.ggml.token_type", kArray, list(kI32, types));
    file.key("tokenizer.ggml.merges", kArray, texts(merges));
    file.key("tokenizer.ggml.eos_token_id", kU32, raw<uint32_t>(static_cast<uint32_t>(control_id(2))));
    file.key("tokenizer.chat_template", kString, text(chat_template));
  }
};

/// SentencePiece's: control tokens, a user-defined one, a token for each byte, then the pieces, of falling score.
struct Pieces {
  std::vector<std::string> control = {"<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"};
  std::vector<std::string> user_defined = {"\n\n", "<table>"};
  std::vector<std::string> pieces = {"ab",
                                     "\xe2\x96\x81"
                                     "a",
                                     "bc",
                                     "cc",
                                     "cccc",
                                     "\xe2\x96\x81",
                                     "a",
                                     "b",
                                     "c",
                                     "\xc3\xa9"};
  bool bytes = true, space_prefix = false, begins = true;

  int32_t byte_id(uint8_t byte) const { return static_cast<int32_t>(control.size() + user_defined.size() + byte); }
  int32_t id(std::string_view piece) const {
    const auto found = std::find(pieces.begin(), pieces.end(), piece);
    return byte_id(0) + (bytes ? 256 : 0) + static_cast<int32_t>(found - pieces.begin());
  }
  void add_to(GgufBytes& file) const {
    std::vector<std::string> tokens, types, scores;
    const auto add = [&](const std::string& name, int32_t type, float score) {
      tokens.push_back(name);
      types.push_back(raw(type));
      scores.push_back(raw(score));
    };
    for (const std::string& each : control) add(each, 3, -1000);
    for (const std::string& each : user_defined) add(each, 4, -1000);
    constexpr const char* kHex = "0123456789ABCDEF";
    for (int byte = 0; bytes && byte < 256; ++byte) add({'<', '0', 'x', kHex[byte / 16], kHex[byte % 16], '>'}, 6, 0);
    for (size_t i = 0; i < pieces.size(); ++i) add(pieces[i], 1, -static_cast<float>(i));
    file.key("tokenizer.ggml.model", kString, text("llama"));
    file.key("tokenizer.ggml.tokens", kArray, texts(tokens));
    file.key("tokenizer.ggml.scores", kArray, list(kF32, scores));
    file.key("tokenizer.ggml.token_type", kArray, list(kI32, types));
    file.key("tokenizer.ggml.bos_token_id", kU32, raw<uint32_t>(2));
    file.key("tokenizer.ggml.eos_token_id", kU32, raw<uint32_t>(1));
    file.key("tokenizer.ggml.add_bos_token", kBool, raw<uint8_t>(begins));
    file.key("tokenizer.ggml.add_space_prefix", kBool, raw<uint8_t>(space_prefix));
  }
};

/// A file with every kind of value, every type of tensor and a vocabulary. Its last byte is data.
inline std::string small_file() {
  GgufBytes file;
  file.key("u8", kU8, raw<uint8_t>(200)).key("i8", kI8, raw<int8_t>(-100)).key("u16", kU16, raw<uint16_t>(60000));
  file.key("i16", kI16, raw<int16_t>(-30000)).key("u32", kU32, raw<uint32_t>(4000000000u));
  file.key("i32", kI32, raw<int32_t>(-2000000000)).key("u64", kU64, raw<uint64_t>(1ull << 62));
  file.key("i64", kI64, raw<int64_t>(-(1ll << 62))).key("f32", kF32, raw(0.5f)).key("f64", kF64, raw(0.1));
  file.key("bool", kBool, raw<uint8_t>(1)).key("string", kString, text("a text")).key("empty", kString, text(""));
  file.key("integers", kArray, list(kI16, {raw<int16_t>(-1), raw<int16_t>(2)}));
  file.key("reals", kArray, list(kF32, {raw(0.25f)})).key("bools", kArray, list(kBool, {"\1", std::string(1, '\0')}));
  file.key("none", kArray, list(kU64, {}));
  file.key("general.alignment", kU32, raw<uint32_t>(32));
  Vocabulary vocabulary;
  vocabulary.merges = {"a b", "ab c", "b c", "\xc4\xa0 a"};  // U+0120 spells the space
  vocabulary.add_to(file);

  file.tensor("vector", {3}, 0, raw(1.0f) + raw(2.0f) + raw(3.0f));
  file.tensor("cube", {2, 3, 2}, 1, std::string(24, '\x3c'));
#define LLM_TENSOR_TYPE(name, id, elements, bytes) \
  file.tensor(#name, {(elements), 2}, (id), std::string((bytes)*2, '\x35'));
#include "examples/llm/tensor_types.def"
  return file.bytes();
}

}  // namespace llm::test
