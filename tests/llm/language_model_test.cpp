// SPDX-License-Identifier: Apache-2.0
// A model small enough to be made here: the cache, pages, batches and formats change nothing but what they round.
#include "examples/llm/language_model.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "gguf_bytes.hpp"

namespace llm::test {
namespace {

constexpr int64_t kLayers = 2, kWidth = 32, kHeads = 4, kKeyHeads = 2, kColumns = kWidth / kHeads, kHidden = 48,
                  kVocabulary = 50;

/// A GGUF file of random f32 weights; the tensor `without` is left out.
std::string model_bytes(const std::string& architecture = "llama", const std::string& without = {}) {
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

Gguf parsed(const std::string& bytes) { return Gguf::parse(std::as_bytes(std::span(bytes)), "made here"); }

LanguageModel& model() {
  static const std::string bytes = model_bytes();
  static LanguageModel llama(parsed(bytes));
  return llama;
}

std::vector<int32_t> some_tokens(size_t count, uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  std::vector<int32_t> tokens(count);
  for (int32_t& token : tokens) token = static_cast<int32_t>(random() % kVocabulary);
  return tokens;
}

struct Run {
  CacheOptions cache;
  std::string attention = "attend";
};

/// Logits of the last token; `parts` tokens at a time.
std::vector<float> last_logits(const std::vector<int32_t>& tokens, const Run& run, size_t parts) {
  KvStore cache(model().shape().attention(), run.cache, 64);
  const auto attention = make_attention(run.attention, {});
  std::span<const float> logits;
  for (size_t at = 0; at < tokens.size(); at += parts) {
    const auto part = std::span(tokens).subspan(at, std::min(parts, tokens.size() - at));
    logits = model().run(cache.step(part, static_cast<int64_t>(at)), cache, *attention);
  }
  return {logits.begin(), logits.end()};
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, size = 0;
  EXPECT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(double{a[i]} - b[i], 2);
    size += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(difference / size);
}

TEST(Llama, token_by_token_and_all_at_once_are_the_same) {
  const std::vector<int32_t> tokens = some_tokens(40);
  const std::vector<float> at_once = last_logits(tokens, {{}, "reference"}, 40);
  for (const char* attention : {"attend", "naive", "reference"})
    for (const size_t parts : {1, 7, 40})
      EXPECT_LT(distance(last_logits(tokens, {{}, attention}, parts), at_once), 1e-5) << attention << " " << parts;
  EXPECT_GT(distance(last_logits(some_tokens(40, 2), {}, 40), at_once), 0.1) << "other tokens, other logits";
}

TEST(Llama, every_cache_is_read_as_fp64_reads_it) {
  const std::vector<int32_t> tokens = some_tokens(50);
  const std::vector<float> plain = last_logits(tokens, {}, 25);
  const struct {
    const char* format;
    double loss;
  } formats[] = {{"f32", 1e-6}, {"f16", 3e-3}, {"bf16", 3e-2}, {"int8", 5e-2}, {"int4_32", 1}, {"e4m3", 0.2}};
  for (const auto& each : formats)
    for (const int64_t page_size : {0, 1, 8})
      for (const int64_t window : {0, 9})
        for (const bool smooth : {false, true}) {
          const CacheOptions cache{each.format, page_size, window, smooth};
          const std::string what = std::string(each.format) + " pages of " + std::to_string(page_size) + " window " +
                                   std::to_string(window) + (smooth ? " smooth" : "");
          const std::vector<float> found = last_logits(tokens, {cache, "attend"}, 25);
          // A key at the edge of two codes may fall to either side.
          EXPECT_LT(distance(found, last_logits(tokens, {cache, "reference"}, 25)), each.loss / 10 + 1e-5) << what;
          if (window == 0) {
            EXPECT_LT(distance(found, plain), each.loss) << what;
          } else {
            EXPECT_GT(distance(found, plain), 1e-3) << what << ": the window is seen";
          }
        }
}

TEST(Llama, sequences_of_a_batch_are_as_alone) {
  const std::vector<std::vector<int32_t>> prompts = {some_tokens(9, 1), some_tokens(17, 2), some_tokens(1, 3)};
  const CacheOptions options{"f32", 4, 0, false};
  KvStore cache(model().shape().attention(), options, 64);
  ASSERT_EQ(cache.pages(), 16);
  const std::vector<std::vector<int32_t>> pages = {{3, 1, 9}, {2, 15, 4, 0, 7}, {5}};
  std::vector<StepPart> parts;
  for (size_t i = 0; i < prompts.size(); ++i) parts.push_back({prompts[i], 0, pages[i]});
  const auto attention = make_attention("attend", {});
  std::vector<std::vector<float>> together(3);
  const auto split = [&](std::span<const float> logits) {
    for (size_t i = 0; i < 3; ++i)
      together[i].assign(logits.begin() + static_cast<int64_t>(i) * kVocabulary,
                         logits.begin() + static_cast<int64_t>(i + 1) * kVocabulary);
  };
  split(model().run(cache.step(parts), cache, *attention));
  for (size_t i = 0; i < 3; ++i) EXPECT_LT(distance(together[i], last_logits(prompts[i], {}, 64)), 1e-5) << i;

  const int32_t next = 11;  // then one more token for each
  for (size_t i = 0; i < 3; ++i) parts[i] = {{&next, 1}, static_cast<int64_t>(prompts[i].size()), pages[i]};
  split(model().run(cache.step(parts), cache, *attention));
  for (size_t i = 0; i < 3; ++i) {
    std::vector<int32_t> tokens = prompts[i];
    tokens.push_back(next);
    EXPECT_LT(distance(together[i], last_logits(tokens, {}, 64)), 1e-5) << i;
  }

  cache.copy_page(5, 6);  // the third sequence goes on in a copy of its page
  const std::vector<int32_t> copied = {6};
  parts = {{{&next, 1}, 1, copied}};
  const std::span<const float> logits = model().run(cache.step(parts), cache, *attention);
  EXPECT_LT(distance({logits.begin(), logits.end()}, together[2]), 1e-5);
}

template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Llama, errors_name_what_is_wrong) {
  const auto found = [](const std::string& message, const char* part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  found(error_of([] {
          const std::string bytes = model_bytes("mamba");
          LanguageModel llama(parsed(bytes));
        }),
        "general.architecture is mamba, expected llama or gemma3");
  found(error_of([] {
          const std::string bytes = model_bytes("llama", "blk.1.ffn_up.weight");
          LanguageModel llama(parsed(bytes));
        }),
        "blk.1.ffn_up.weight");
  const AttentionShape shape = model().shape().attention();
  found(error_of([&] { KvStore(shape, {"int3"}, 10); }), "int3");
  found(error_of([&] { KvStore(shape, {"int8_channel"}, 10); }), "int8_channel");
  found(error_of([&] { KvStore(shape, {}, 0); }), "room for 0 tokens");
  found(error_of([&] { KvStore(shape, {}, 10).step(some_tokens(4), 7); }),
        "holds 7 tokens of a sequence and has room for 10");
  found(error_of([] { make_attention("flash", {}); }), "attention is flash");
  KvStore cache(shape, {}, 10);
  const auto attention = make_attention("attend", {});
  const std::vector<int32_t> strange = {1, 50};
  found(error_of([&] { model().run(cache.step(strange, 0), cache, *attention); }), "token 50 is not of the vocabulary");
}

}  // namespace
}  // namespace llm::test
