// SPDX-License-Identifier: Apache-2.0
// A small model of the architecture gemma3 against its forward pass in fp64, written down as arXiv:2503.19786 and the
// papers it refers to have it: for each token anew, without a cache.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <random>

#include "examples/llm/language_model.hpp"
#include "gguf_bytes.hpp"

namespace llm::test::gemma3 {
namespace {

constexpr int64_t kLayers = 5, kGlobalEvery = 3, kWindow = 6, kWidth = 24, kHeads = 4, kKeyHeads = 1, kColumns = 16,
                  kHidden = 40, kVocabulary = 60;
constexpr double kEpsilon = 1e-6, kGlobalBase = 1e6, kLocalBase = 1e4, kGlobalFactor = 8;

std::string model_bytes(const std::string& changed = {}, uint32_t to = 0) {
  std::mt19937_64 random(7);
  std::normal_distribution<float> normal(0, 1);
  GgufBytes file;
  const auto number = [&](const std::string& key, int64_t value) {
    file.key("gemma3." + key, kU32, raw(key == changed ? to : static_cast<uint32_t>(value)));
  };
  file.key("general.architecture", kString, text("gemma3"));
  number("block_count", kLayers);
  number("embedding_length", kWidth);
  number("attention.head_count", kHeads);
  number("attention.head_count_kv", kKeyHeads);
  number("attention.key_length", kColumns);
  number("attention.value_length", kColumns);
  number("attention.sliding_window", kWindow);
  number("attention.sliding_window_pattern", kGlobalEvery);
  number("feed_forward_length", kHidden);
  number("context_length", 64);
  file.key("gemma3.attention.layer_norm_rms_epsilon", kF64, raw(kEpsilon));
  file.key("gemma3.rope.freq_base", kF64, raw(kGlobalBase));
  file.key("gemma3.rope.scaling.type", kString, text(changed == "rope.scaling.type" ? "yarn" : "linear"));
  file.key("gemma3.rope.scaling.factor", kF64, raw(kGlobalFactor));
  std::vector<std::string> tokens;
  for (int64_t i = 0; i < kVocabulary; ++i) tokens.push_back("t" + std::to_string(i));
  file.key("tokenizer.ggml.tokens", kArray, texts(tokens));
  const auto tensor = [&](const std::string& name, uint64_t rows, uint64_t columns) {
    const float deviation = rows == 1 ? 0.3F : 2 / std::sqrt(static_cast<float>(columns));
    std::string data;
    for (uint64_t i = 0; i < rows * columns; ++i) data += raw((rows == 1 ? 1 : 0) + deviation * normal(random));
    file.tensor(name + ".weight", rows == 1 ? std::vector<uint64_t>{columns} : std::vector<uint64_t>{columns, rows}, 0,
                data);
  };
  tensor("token_embd", kVocabulary, kWidth);
  tensor("output_norm", 1, kWidth);
  for (int64_t i = 0; i < kLayers; ++i) {
    const std::string prefix = "blk." + std::to_string(i) + ".";
    for (const char* name : {"attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"})
      tensor(prefix + name, 1, kWidth);
    for (const char* name : {"attn_q_norm", "attn_k_norm"}) tensor(prefix + name, 1, kColumns);
    tensor(prefix + "attn_q", kHeads * kColumns, kWidth);
    tensor(prefix + "attn_k", kKeyHeads * kColumns, kWidth);
    tensor(prefix + "attn_v", kKeyHeads * kColumns, kWidth);
    tensor(prefix + "attn_output", kWidth, kHeads * kColumns);
    tensor(prefix + "ffn_gate", kHidden, kWidth);
    tensor(prefix + "ffn_up", kHidden, kWidth);
    tensor(prefix + "ffn_down", kWidth, kHidden);
  }
  return file.bytes();
}

const std::string& gemma_bytes() {
  static const std::string bytes = model_bytes();
  return bytes;
}

Gguf parsed(const std::string& bytes) { return Gguf::parse(std::as_bytes(std::span(bytes)), "made here"); }

using Row = std::vector<double>;

/// The forward pass of the paper.
class Oracle {
 public:
  Oracle() {
    const Gguf file = parsed(gemma_bytes());
    for (const Tensor& each : file.tensors())
      for (int64_t i = 0; i < each.rows; ++i) {
        std::vector<float> elements(static_cast<size_t>(each.columns));
        dequantise(each.type, each.row(i), elements.data());
        weights_[each.name].emplace_back(elements.begin(), elements.end());
      }
  }

  Row last_logits(const std::vector<int32_t>& tokens, int64_t window = 0) const {
    std::vector<Row> x;
    for (const int32_t token : tokens) {
      x.push_back(row("token_embd", token));
      for (double& each : x.back()) each *= std::sqrt(static_cast<double>(kWidth));
    }
    for (int64_t layer = 0; layer < kLayers; ++layer) {
      const std::string in = "blk." + std::to_string(layer) + ".";
      std::vector<Row> normed;
      for (const Row& each : x) normed.push_back(norm(each, in + "attn_norm"));
      const std::vector<Row> attended = attention(normed, in, layer % kGlobalEvery == kGlobalEvery - 1, window);
      for (size_t t = 0; t < x.size(); ++t) {
        add(x[t], norm(times(in + "attn_output", attended[t]), in + "post_attention_norm"));
        const Row y = norm(x[t], in + "ffn_norm"), up = times(in + "ffn_up", y);
        Row gate = times(in + "ffn_gate", y);
        for (size_t i = 0; i < gate.size(); ++i) {
          const double g = gate[i];
          gate[i] = 0.5 * g * (1 + std::tanh(std::sqrt(2 / M_PI) * (g + 0.044715 * g * g * g))) * up[i];
        }
        add(x[t], norm(times(in + "ffn_down", gate), in + "post_ffw_norm"));
      }
    }
    return times("token_embd", norm(x.back(), "output_norm"));
  }

 private:
  std::vector<Row> attention(const std::vector<Row>& x, const std::string& in, bool global, int64_t window) const {
    std::vector<Row> keys, values, out;
    for (size_t t = 0; t < x.size(); ++t) {
      keys.push_back(rotated(norm(times(in + "attn_k", x[t]), in + "attn_k_norm"), t, global));
      values.push_back(times(in + "attn_v", x[t]));
    }
    for (size_t t = 0; t < x.size(); ++t) {
      const Row all = times(in + "attn_q", x[t]);
      Row heads;
      for (int64_t head = 0; head < kHeads; ++head) {
        const Row q =
            rotated(norm(Row(all.begin() + head * kColumns, all.begin() + (head + 1) * kColumns), in + "attn_q_norm"),
                    t, global);
        Row sum(kColumns);
        double weights = 0;
        for (size_t k = 0; k <= t; ++k) {
          const auto distance = static_cast<int64_t>(t - k);
          if ((!global && distance >= kWindow) || (window > 0 && distance >= window)) continue;
          double dot = 0;
          for (int64_t c = 0; c < kColumns; ++c) dot += q[c] * keys[k][c];
          const double weight = std::exp(dot / std::sqrt(static_cast<double>(kColumns)));
          weights += weight;
          for (int64_t c = 0; c < kColumns; ++c) sum[c] += weight * values[k][c];
        }
        for (const double each : sum) heads.push_back(each / weights);
      }
      out.push_back(heads);
    }
    return out;
  }

  /// Pairs half a head apart are turned (arXiv:2104.09864); positions of global layers are 8 times as dense
  /// (arXiv:2306.15595).
  static Row rotated(const Row& x, size_t position, bool global) {
    Row out = x;
    for (int64_t i = 0; i < kColumns / 2; ++i) {
      const double frequency = std::pow(global ? kGlobalBase : kLocalBase, -2.0 * static_cast<double>(i) / kColumns);
      const double angle = static_cast<double>(position) * frequency / (global ? kGlobalFactor : 1);
      out[i] = x[i] * std::cos(angle) - x[i + kColumns / 2] * std::sin(angle);
      out[i + kColumns / 2] = x[i + kColumns / 2] * std::cos(angle) + x[i] * std::sin(angle);
    }
    return out;
  }

  Row norm(const Row& x, const std::string& gain) const {
    double squares = 0;
    for (const double each : x) squares += each * each;
    Row out = row(gain, 0);
    for (size_t i = 0; i < x.size(); ++i)
      out[i] *= x[i] / std::sqrt(squares / static_cast<double>(x.size()) + kEpsilon);
    return out;
  }

  Row times(const std::string& name, const Row& x) const {
    Row out;
    for (const Row& weights : weights_.at(name + ".weight"))
      out.push_back(std::inner_product(x.begin(), x.end(), weights.begin(), 0.0));
    return out;
  }

  static void add(Row& x, const Row& y) {
    for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }

  const Row& row(const std::string& name, int64_t index) const { return weights_.at(name + ".weight")[index]; }

  std::map<std::string, std::vector<Row>> weights_;
};

const Oracle& oracle() {
  static const Oracle once;
  return once;
}

LanguageModel& gemma() {
  static LanguageModel model(parsed(gemma_bytes()));
  return model;
}

std::vector<int32_t> gemma_tokens(size_t count) {
  std::mt19937_64 random(3);
  std::vector<int32_t> tokens(count);
  for (int32_t& token : tokens) token = static_cast<int32_t>(random() % kVocabulary);
  return tokens;
}

/// Distance of the logits of the last token from the oracle's, relative to their size; `parts` tokens at a time.
double error_of_last(const std::vector<int32_t>& tokens, const CacheOptions& options, const std::string& attention,
                     size_t parts) {
  KvStore cache(gemma().shape().attention(), options, 64);
  const auto computing = make_attention(attention, {});
  std::span<const float> logits;
  for (size_t at = 0; at < tokens.size(); at += parts) {
    const auto part = std::span(tokens).subspan(at, std::min(parts, tokens.size() - at));
    logits = gemma().run(cache.step(part, static_cast<int64_t>(at)), cache, *computing);
  }
  const Row expected = oracle().last_logits(tokens, options.window);
  double difference = 0, size = 0;
  EXPECT_EQ(logits.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(logits[i] - expected[i], 2);
    size += std::pow(expected[i], 2);
  }
  return std::sqrt(difference / size);
}

TEST(Gemma3, is_what_the_paper_says) {
  for (const size_t length : {1, 5, 6, 7, 40})  // shorter than the window of the local layers, as long and longer
    for (const char* attention : {"attend", "naive", "reference"})
      EXPECT_LT(error_of_last(gemma_tokens(length), {}, attention, length), 1e-5) << attention << " " << length;
}

TEST(Gemma3, tokens_after_a_prompt_see_the_same_windows) {
  const std::vector<int32_t> tokens = gemma_tokens(40);
  for (const size_t parts : {1, 3, 13, 39})
    for (const int64_t page_size : {0, 1, 4})
      EXPECT_LT(error_of_last(tokens, {"f32", page_size}, "attend", parts), 1e-5) << parts << " " << page_size;
}

TEST(Gemma3, a_window_that_is_asked_for_narrows_all_layers) {
  for (const int64_t window : {1, 4, 6, 11})
    for (const char* attention : {"attend", "naive", "reference"})
      EXPECT_LT(error_of_last(gemma_tokens(30), {"f32", 0, window}, attention, 20), 1e-5) << attention << " " << window;
}

TEST(Gemma3, caches_lose_what_their_format_rounds) {
  const std::vector<int32_t> tokens = gemma_tokens(40);
  const struct {
    const char* format;
    double loss;
  } formats[] = {{"f16", 5e-3}, {"bf16", 5e-2}, {"int8", 0.1}};
  for (const auto& each : formats)
    for (const int64_t page_size : {0, 4}) {
      const double loss = error_of_last(tokens, {each.format, page_size}, "attend", 25);
      EXPECT_LT(loss, each.loss) << each.format << " " << page_size;
      EXPECT_GT(loss, 1e-5) << each.format << " rounds";
    }
}

TEST(Gemma3, sequences_of_a_batch_are_as_alone) {
  const std::vector<int32_t> longer = gemma_tokens(19), shorter = {5, 3, 9};
  KvStore cache(gemma().shape().attention(), {"f32", 4}, 64);
  const std::vector<int32_t> longer_pages = {3, 1, 9, 2, 0}, shorter_pages = {5};
  const std::vector<StepPart> parts = {{longer, 0, longer_pages}, {shorter, 0, shorter_pages}};
  const auto attention = make_attention("attend", {});
  const std::span<const float> logits = gemma().run(cache.step(parts), cache, *attention);
  size_t at = 0;
  for (const std::vector<int32_t>& tokens : {longer, shorter})
    for (const double expected : oracle().last_logits(tokens)) EXPECT_NEAR(logits[at++], expected, 1e-3);
}

TEST(Gemma3, numbers_that_do_not_fit_are_errors) {
  const auto complaint = [](const std::string& key, uint32_t value) -> std::string {
    try {
      const std::string bytes = model_bytes(key, value);
      LanguageModel model(parsed(bytes));
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(complaint("attention.sliding_window", 0),
            "made here: gemma3.attention.sliding_window is 0, expected 1 to 2^24");
  EXPECT_EQ(complaint("attention.sliding_window_pattern", 0),
            "made here: gemma3.attention.sliding_window_pattern is 0, expected 1 to 2^24");
  EXPECT_EQ(complaint("attention.value_length", 8),
            "made here: key_length and value_length are 16 and 8, expected the same number, 1 to 2^16");
  EXPECT_EQ(complaint("rope.scaling.type", 0), "made here: gemma3.rope.scaling.type is yarn, expected none or linear");
  EXPECT_NE(complaint("block_count", 62).find("block_count is 62, expected another number"), std::string::npos);
  EXPECT_NE(complaint("attention.head_count", 3).find("blk.0.attn_q.weight"), std::string::npos);
}

}  // namespace
}  // namespace llm::test::gemma3
