// SPDX-License-Identifier: Apache-2.0
// A model small enough to be made here: the cache, pages, batches and formats change nothing but what they round.
#include "examples/llm/language_model.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tiny_llama.hpp"

namespace llm::test {
namespace {

struct Run {
  CacheOptions cache;
  std::string attention = "attend";
};

/// Logits of the last token; `parts` tokens at a time.
std::vector<float> last_logits(const std::vector<int32_t>& tokens, const Run& run, size_t parts) {
  KvStore cache(tiny_llama().shape().attention(), run.cache, 64);
  const auto attention = make_attention(run.attention, {});
  std::span<const float> logits;
  for (size_t at = 0; at < tokens.size(); at += parts) {
    const auto part = std::span(tokens).subspan(at, std::min(parts, tokens.size() - at));
    logits = tiny_llama().run(cache.step(part, static_cast<int64_t>(at)), cache, *attention);
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
  KvStore cache(tiny_llama().shape().attention(), options, 64);
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
  split(tiny_llama().run(cache.step(parts), cache, *attention));
  for (size_t i = 0; i < 3; ++i) EXPECT_LT(distance(together[i], last_logits(prompts[i], {}, 64)), 1e-5) << i;

  const int32_t next = 11;  // then one more token for each
  for (size_t i = 0; i < 3; ++i) parts[i] = {{&next, 1}, static_cast<int64_t>(prompts[i].size()), pages[i]};
  split(tiny_llama().run(cache.step(parts), cache, *attention));
  for (size_t i = 0; i < 3; ++i) {
    std::vector<int32_t> tokens = prompts[i];
    tokens.push_back(next);
    EXPECT_LT(distance(together[i], last_logits(tokens, {}, 64)), 1e-5) << i;
  }

  cache.copy_page(5, 6);  // the third sequence goes on in a copy of its page
  const std::vector<int32_t> copied = {6};
  parts = {{{&next, 1}, 1, copied}};
  const std::span<const float> logits = tiny_llama().run(cache.step(parts), cache, *attention);
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
          const std::string bytes = tiny_llama_bytes("mamba");
          LanguageModel llama(parsed(bytes));
        }),
        "general.architecture is mamba, expected llama or gemma3");
  found(error_of([] {
          const std::string bytes = tiny_llama_bytes("llama", "blk.1.ffn_up.weight");
          LanguageModel llama(parsed(bytes));
        }),
        "blk.1.ffn_up.weight");
  const AttentionShape shape = tiny_llama().shape().attention();
  found(error_of([&] { KvStore(shape, {"int3"}, 10); }), "int3");
  found(error_of([&] { KvStore(shape, {"int8_channel"}, 10); }), "int8_channel");
  found(error_of([&] { KvStore(shape, {}, 0); }), "room for 0 tokens");
  found(error_of([&] { KvStore(shape, {}, 10).step(some_tokens(4), 7); }),
        "holds 7 tokens of a sequence and has room for 10");
  found(error_of([] { make_attention("flash", {}); }), "attention is flash");
  KvStore cache(shape, {}, 10);
  const auto attention = make_attention("attend", {});
  const std::vector<int32_t> strange = {1, 50};
  found(error_of([&] { tiny_llama().run(cache.step(strange, 0), cache, *attention); }),
        "token 50 is not of the vocabulary");
}

}  // namespace
}  // namespace llm::test
