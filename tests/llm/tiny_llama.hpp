// SPDX-License-Identifier: Apache-2.0
// A model of the llama architecture that is small enough to be made where it is tested.
#pragma once
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "examples/llm/language_model.hpp"
#include "gguf_bytes.hpp"

namespace llm::test {

constexpr int64_t kLayers = 2, kWidth = 32, kHeads = 4, kKeyHeads = 2, kColumns = kWidth / kHeads, kHidden = 48,
                  kVocabulary = 50;

/// A GGUF file of random f32 weights; the tensor `without` is left out.
inline std::string tiny_llama_bytes(const std::string& architecture = "llama", const std::string& without = {}) {
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal(0, 1);
  GgufBytes file;
  const auto number = [&](const char* key, uint32_t value) { file.key(key, kU32, raw(value)); };
  file.key("general.architecture", kString, text(architecture));
  number("llama.block_count", kLayers);
  number("llama.embedding_length", kWidth);
  number("llama.attention.head_count", kHeads);
  number("llama.attention.head_count_kv", kKeyHeads);
  number("llama.feed_forward_length", kHidden);
  number("llama.context_length", 64);
  file.key("llama.attention.layer_norm_rms_epsilon", kF32, raw(1e-5F));
  std::vector<std::string> tokens;
  for (int64_t i = 0; i < kVocabulary; ++i) tokens.push_back("t" + std::to_string(i));
  file.key("tokenizer.ggml.tokens", kArray, texts(tokens));
  const auto tensor = [&](const std::string& name, uint64_t rows, uint64_t columns, float deviation) {
    std::string data;
    for (uint64_t i = 0; i < rows * columns; ++i) data += raw((rows == 1 ? 1 : 0) + deviation * normal(random));
    if (name == without) return;
    file.tensor(name, rows == 1 ? std::vector<uint64_t>{columns} : std::vector<uint64_t>{columns, rows}, 0, data);
  };
  const float even = 1 / std::sqrt(static_cast<float>(kWidth));
  tensor("token_embd.weight", kVocabulary, kWidth, 1);
  tensor("output_norm.weight", 1, kWidth, 0.1F);
  for (int64_t i = 0; i < kLayers; ++i) {
    const std::string prefix = "blk." + std::to_string(i) + ".";
    tensor(prefix + "attn_norm.weight", 1, kWidth, 0.1F);
    tensor(prefix + "ffn_norm.weight", 1, kWidth, 0.1F);
    tensor(prefix + "attn_q.weight", kWidth, kWidth, 2 * even);
    tensor(prefix + "attn_k.weight", kKeyHeads * kColumns, kWidth, 2 * even);
    tensor(prefix + "attn_v.weight", kKeyHeads * kColumns, kWidth, even);
    tensor(prefix + "attn_output.weight", kWidth, kWidth, even);
    tensor(prefix + "ffn_gate.weight", kHidden, kWidth, even);
    tensor(prefix + "ffn_up.weight", kHidden, kWidth, even);
    tensor(prefix + "ffn_down.weight", kWidth, kHidden, even);
  }
  return file.bytes();
}

inline Gguf parsed(const std::string& bytes) { return Gguf::parse(std::as_bytes(std::span(bytes)), "made here"); }

inline LanguageModel& tiny_llama() {
  static const std::string bytes = tiny_llama_bytes();
  static LanguageModel llama(parsed(bytes));
  return llama;
}

inline std::vector<int32_t> some_tokens(size_t count, uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  std::vector<int32_t> tokens(count);
  for (int32_t& token : tokens) token = static_cast<int32_t>(random() % kVocabulary);
  return tokens;
}

}  // namespace llm::test
