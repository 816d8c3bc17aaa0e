// SPDX-License-Identifier: Apache-2.0
// An encoder small enough to be made here, against BERT written down in fp64 loops.
#include "examples/llm/encoder.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <random>

namespace llm::test {
namespace {

namespace io = attend::io;

constexpr EncoderShape kShape{.vocabulary = 60, .layers = 3, .width = 48, .heads = 4, .hidden = 80, .positions = 200};

/// A model of random weights, by the names and shapes that BERT has.
struct TinyBert {
  std::map<std::string, std::pair<std::vector<int64_t>, std::vector<float>>> tensors;
  EncoderShape shape = kShape;

  TinyBert() {
    std::mt19937_64 random(1);
    std::normal_distribution<float> normal(0, 1);
    const auto tensor = [&](const std::string& name, std::vector<int64_t> size, float mean, float deviation) {
      int64_t count = 1;
      for (const int64_t each : size) count *= each;
      std::vector<float> data(static_cast<size_t>(count));
      for (float& x : data) x = mean + deviation * normal(random);
      tensors[name] = {std::move(size), std::move(data)};
    };
    const auto linear = [&](const std::string& name, int64_t rows, int64_t columns) {
      tensor(name + ".weight", {rows, columns}, 0, 1.5F / std::sqrt(static_cast<float>(columns)));
      tensor(name + ".bias", {rows}, 0, 0.3F);
    };
    const auto norm = [&](const std::string& name) {
      tensor(name + ".weight", {shape.width}, 1, 0.2F);
      tensor(name + ".bias", {shape.width}, 0, 0.2F);
    };
    tensor("embeddings.word_embeddings.weight", {shape.vocabulary, shape.width}, 0, 1);
    tensor("embeddings.position_embeddings.weight", {shape.positions, shape.width}, 0, 0.5F);
    tensor("embeddings.token_type_embeddings.weight", {shape.token_types, shape.width}, 0, 0.5F);
    norm("embeddings.LayerNorm");
    for (int64_t i = 0; i < shape.layers; ++i) {
      const std::string prefix = "encoder.layer." + std::to_string(i) + ".";
      for (const char* name : {"query", "key", "value"})
        linear(prefix + "attention.self." + name, shape.width, shape.width);
      linear(prefix + "attention.output.dense", shape.width, shape.width);
      norm(prefix + "attention.output.LayerNorm");
      linear(prefix + "intermediate.dense", shape.hidden, shape.width);
      linear(prefix + "output.dense", shape.width, shape.hidden);
      norm(prefix + "output.LayerNorm");
    }
  }

  /// The encoder of these weights, read from a file's bytes.
  Encoder encoder() const {
    io::SafetensorsFile file;
    for (const auto& [name, tensor] : tensors)
      file.tensors.emplace_back(
          name, io::TensorView{io::Element::f32, tensor.first, std::as_bytes(std::span(tensor.second))});
    const std::vector<std::byte> bytes = io::format_safetensors(file).value();
    return {shape, io::parse_safetensors(bytes).value(), "made here"};
  }
};

using Rows = std::vector<std::vector<double>>;

/// BERT's encoder for one text, in fp64 (arXiv:1810.04805; the formulas are those of arXiv:1706.03762, section 3, with
/// the norms behind the sums), and the mean of its rows at length 1.
class Loops {
 public:
  explicit Loops(const TinyBert& bert) : bert_(bert) {}

  std::vector<double> embedding(const std::vector<int32_t>& tokens) const {
    const EncoderShape& s = bert_.shape;
    Rows x(tokens.size(), std::vector<double>(static_cast<size_t>(s.width)));
    for (size_t t = 0; t < tokens.size(); ++t)
      for (int64_t c = 0; c < s.width; ++c)
        x[t][c] = double{at("embeddings.word_embeddings.weight", tokens[t] * s.width + c)} +
                  at("embeddings.position_embeddings.weight", static_cast<int64_t>(t) * s.width + c) +
                  at("embeddings.token_type_embeddings.weight", c);
    x = norm(x, "embeddings.LayerNorm");
    for (int64_t i = 0; i < s.layers; ++i) {
      const std::string prefix = "encoder.layer." + std::to_string(i) + ".";
      x = norm(sum(x, linear(attention(x, prefix + "attention.self."), prefix + "attention.output.dense")),
               prefix + "attention.output.LayerNorm");
      Rows hidden = linear(x, prefix + "intermediate.dense");
      for (std::vector<double>& row : hidden)
        for (double& each : row) each = each / 2 * (1 + std::erf(each / std::sqrt(2.0)));
      x = norm(sum(x, linear(hidden, prefix + "output.dense")), prefix + "output.LayerNorm");
    }
    std::vector<double> mean(static_cast<size_t>(s.width));
    double squares = 0;
    for (size_t c = 0; c < mean.size(); ++c) {
      for (const std::vector<double>& row : x) mean[c] += row[c] / static_cast<double>(x.size());
      squares += mean[c] * mean[c];
    }
    for (double& each : mean) each /= std::sqrt(squares);
    return mean;
  }

 private:
  float at(const std::string& name, int64_t index) const { return bert_.tensors.at(name).second[index]; }

  Rows linear(const Rows& x, const std::string& name) const {
    const std::vector<float>&weights = bert_.tensors.at(name + ".weight").second,
          &bias = bert_.tensors.at(name + ".bias").second;
    Rows y(x.size(), std::vector<double>(bias.begin(), bias.end()));
    for (size_t t = 0; t < x.size(); ++t)
      for (size_t r = 0; r < bias.size(); ++r)
        for (size_t c = 0; c < x[t].size(); ++c) y[t][r] += weights[r * x[t].size() + c] * x[t][c];
    return y;
  }
  Rows norm(Rows x, const std::string& name) const {
    for (std::vector<double>& row : x) {
      double mean = 0, variance = 0;
      for (const double each : row) mean += each / static_cast<double>(row.size());
      for (const double each : row) variance += (each - mean) * (each - mean) / static_cast<double>(row.size());
      for (size_t c = 0; c < row.size(); ++c)
        row[c] = at(name + ".weight", static_cast<int64_t>(c)) * (row[c] - mean) /
                     std::sqrt(variance + bert_.shape.norm_epsilon) +
                 at(name + ".bias", static_cast<int64_t>(c));
    }
    return x;
  }
  static Rows sum(Rows x, const Rows& y) {
    for (size_t t = 0; t < x.size(); ++t)
      for (size_t c = 0; c < x[t].size(); ++c) x[t][c] += y[t][c];
    return x;
  }
  Rows attention(const Rows& x, const std::string& prefix) const {
    const Rows q = linear(x, prefix + "query"), k = linear(x, prefix + "key"), v = linear(x, prefix + "value");
    const int64_t columns = bert_.shape.columns();
    Rows o(x.size(), std::vector<double>(static_cast<size_t>(bert_.shape.width)));
    for (int64_t first = 0; first < bert_.shape.width; first += columns)
      for (size_t row = 0; row < x.size(); ++row) {
        std::vector<double> weights(x.size());
        double total = 0;
        for (size_t key = 0; key < x.size(); ++key) {
          double dot = 0;
          for (int64_t c = first; c < first + columns; ++c) dot += q[row][c] * k[key][c];
          total += weights[key] = std::exp(dot / std::sqrt(static_cast<double>(columns)));
        }
        for (size_t key = 0; key < x.size(); ++key)
          for (int64_t c = first; c < first + columns; ++c) o[row][c] += weights[key] / total * v[key][c];
      }
    return o;
  }

  const TinyBert& bert_;
};

const TinyBert& bert() {
  static const TinyBert bert;
  return bert;
}

std::vector<std::vector<int32_t>> some_texts() {
  std::mt19937_64 random(2);
  std::vector<std::vector<int32_t>> texts;
  for (const size_t length : {2, 1, 17, 200, 3, 64, 128, 129, 5}) {
    std::vector<int32_t> text(length);
    for (int32_t& token : text) token = static_cast<int32_t>(random() % kShape.vocabulary);
    texts.push_back(std::move(text));
  }
  return texts;
}

std::unique_ptr<Attention> attention(const std::string& name = "attend", int threads = 2) {
  attend::PlanOptions options;
  options.threads = threads;
  options.guarantee = attend::Guarantee::batch_invariant;
  return make_attention(name, options);
}

TEST(Encoder, a_ragged_batch_is_as_fp64_loops_have_it) {
  const std::vector<std::vector<int32_t>> texts = some_texts();
  Encoder encoder = bert().encoder();
  size_t weights = 0;
  for (const auto& each : bert().tensors) weights += each.second.second.size();
  EXPECT_EQ(encoder.parameters(), static_cast<int64_t>(weights) - kShape.width) << "one of two token types is used";
  for (const char* name : {"attend", "naive", "reference"}) {
    const std::vector<float> found = encoder.run(texts, *attention(name));
    ASSERT_EQ(found.size(), texts.size() * kShape.width);
    for (size_t n = 0; n < texts.size(); ++n) {
      const std::vector<double> expected = Loops(bert()).embedding(texts[n]);
      double length = 0;
      for (int64_t c = 0; c < kShape.width; ++c) {
        EXPECT_NEAR(found[n * kShape.width + c], expected[c], 2e-6) << name << " text " << n << " column " << c;
        length += std::pow(double{found[n * kShape.width + c]}, 2);
      }
      EXPECT_NEAR(length, 1, 1e-6);
    }
  }
  EXPECT_GT(encoder.attention_seconds(), 0);
}

TEST(Encoder, neighbours_and_threads_do_not_change_a_bit) {
  const std::vector<std::vector<int32_t>> texts = some_texts();
  Encoder encoder = bert().encoder();
  std::vector<float> alone;
  for (const std::vector<int32_t>& text : texts) {
    const std::vector<float> one = encoder.run({&text, 1}, *attention());
    alone.insert(alone.end(), one.begin(), one.end());
  }
  std::vector<std::vector<int32_t>> turned(texts.rbegin(), texts.rend());
  for (const int threads : {1, 2, 3, 0}) {
    encoder.set_threads(threads);
    const std::vector<float> together = encoder.run(texts, *attention("attend", threads));
    EXPECT_EQ(std::memcmp(together.data(), alone.data(), alone.size() * sizeof(float)), 0) << threads << " threads";
    const std::vector<float> other_way = encoder.run(turned, *attention("attend", threads));
    for (size_t n = 0; n < texts.size(); ++n)
      EXPECT_EQ(std::memcmp(other_way.data() + (texts.size() - 1 - n) * kShape.width, alone.data() + n * kShape.width,
                            kShape.width * sizeof(float)),
                0)
          << "text " << n << ", " << threads << " threads";
  }
}

TEST(Encoder, no_text_is_no_embedding) { EXPECT_TRUE(bert().encoder().run({}, *attention()).empty()); }

template <class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Encoder, errors_name_what_is_wrong) {
  Encoder encoder = bert().encoder();
  const auto texts_error = [&](const std::vector<std::vector<int32_t>>& texts) {
    return message_of([&] { encoder.run(texts, *attention()); });
  };
  EXPECT_EQ(texts_error({{1}, {}}), "text 1 has 0 tokens, expected 1 to 200");
  EXPECT_EQ(texts_error({std::vector<int32_t>(201)}), "text 0 has 201 tokens, expected 1 to 200");
  EXPECT_EQ(texts_error({{1, 60}}), "token 60 is not of the vocabulary, 0 to 59");
  EXPECT_EQ(texts_error({{-1}}), "token -1 is not of the vocabulary, 0 to 59");

  const auto model_error = [](auto change) {
    TinyBert changed;
    change(changed);
    return message_of([&] { changed.encoder(); });
  };
  const std::string bias = "encoder.layer.1.output.dense.bias";
  EXPECT_EQ(model_error([&](TinyBert& b) { b.tensors.erase(bias); }), "made here: has no tensor " + bias);
  EXPECT_EQ(model_error([](TinyBert& b) { b.shape.hidden = 81; }),
            "made here: encoder.layer.0.intermediate.dense.weight is [80, 48], expected [81, 48]");
  EXPECT_EQ(model_error([](TinyBert& b) { b.shape.layers = 4; }),
            "made here: has no tensor encoder.layer.3.attention.self.query.weight");
  EXPECT_EQ(model_error([](TinyBert& b) { b.shape.heads = 5; }),
            "made here: hidden_size is 48, expected a multiple of num_attention_heads, 5");
  EXPECT_EQ(model_error([](TinyBert& b) { b.shape.positions = 0; }),
            "made here: max_position_embeddings is 0, expected 1 to 2^24");
  EXPECT_EQ(model_error([](TinyBert& b) { b.shape.vocabulary = int64_t{1} << 40; }),
            "made here: vocab_size is 1099511627776, expected 1 to 2^24");
}

}  // namespace
}  // namespace llm::test
