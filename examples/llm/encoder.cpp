// SPDX-License-Identifier: Apache-2.0
#include "encoder.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "checked.hpp"
#include "elementwise.hpp"

namespace llm {

namespace {

/// Tensors of the file, by name, widened to f32.
struct Weights {
  const attend::io::SafetensorsFile& file;
  const std::string& name;

  std::vector<float> elements(const std::string& tensor, const std::vector<int64_t>& shape) const {
    const attend::io::TensorView* found = file.find(tensor);
    if (found == nullptr) throw Error(name + ": has no tensor " + tensor);
    if (found->shape != shape)
      throw Error(name + ": " + tensor + " is " + attend::io::shape_text(found->shape) + ", expected " +
                  attend::io::shape_text(shape));
    const std::vector<std::byte> bytes =
        checked(attend::io::convert_elements(found->element, found->data, attend::DType::f32));
    std::vector<float> out(bytes.size() / sizeof(float));
    if (!out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  }
};

void check_shape(const EncoderShape& s, const std::string& name) {
  const struct {
    const char* name;
    int64_t value;
  } counts[] = {{"vocab_size", s.vocabulary},      {"num_hidden_layers", s.layers},
                {"hidden_size", s.width},          {"num_attention_heads", s.heads},
                {"intermediate_size", s.hidden},   {"max_position_embeddings", s.positions},
                {"type_vocab_size", s.token_types}};
  for (const auto& each : counts)
    if (each.value < 1 || each.value > int64_t{1} << 24)
      throw Error(name + ": " + each.name + " is " + std::to_string(each.value) + ", expected 1 to 2^24");
  if (s.width % s.heads != 0)
    throw Error(name + ": hidden_size is " + std::to_string(s.width) +
                ", expected a multiple of num_attention_heads, " + std::to_string(s.heads));
  if (!(s.norm_epsilon > 0 && s.norm_epsilon < 1))
    throw Error(name + ": layer_norm_eps is " + std::to_string(s.norm_epsilon) + ", expected more than 0, less than 1");
}

void check_texts(const EncoderShape& s, std::span<const std::vector<int32_t>> texts) {
  for (size_t n = 0; n < texts.size(); ++n) {
    if (texts[n].empty() || static_cast<int64_t>(texts[n].size()) > s.positions)
      throw Error("text " + std::to_string(n) + " has " + std::to_string(texts[n].size()) + " tokens, expected 1 to " +
                  std::to_string(s.positions));
    for (const int32_t token : texts[n])
      if (token < 0 || token >= s.vocabulary)
        throw Error("token " + std::to_string(token) + " is not of the vocabulary, 0 to " +
                    std::to_string(s.vocabulary - 1));
  }
}

/// The mean of `count` rows, scaled to length 1; 0 stays 0.
void pool(const float* rows, int64_t count, int64_t width, float* out) {
  std::vector<double> mean(static_cast<size_t>(width));
  double squares = 0;
  for (int64_t c = 0; c < width; ++c) {
    for (int64_t row = 0; row < count; ++row) mean[c] += rows[row * width + c];
    mean[c] /= static_cast<double>(count);
    squares += mean[c] * mean[c];
  }
  const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
  for (int64_t c = 0; c < width; ++c) out[c] = static_cast<float>(mean[c] * scale);
}

}  // namespace

Encoder::Encoder(const EncoderShape& shape, const attend::io::SafetensorsFile& weights, const std::string& name)
    : shape_(shape) {
  const EncoderShape& s = shape_;
  check_shape(s, name);
  set_threads(0);
  const Weights file{weights, name};
  const auto matrix = [&](const std::string& tensor, int64_t rows, int64_t columns) {
    return Matrix{rows, columns, file.elements(tensor, {rows, columns})};
  };
  const auto linear = [&](const std::string& of, int64_t rows, int64_t columns) {
    return Linear{matrix(of + ".weight", rows, columns), file.elements(of + ".bias", {rows})};
  };
  const auto norm = [&](const std::string& of) {
    return Norm{file.elements(of + ".weight", {s.width}), file.elements(of + ".bias", {s.width})};
  };
  words_ = matrix("embeddings.word_embeddings.weight", s.vocabulary, s.width);
  positions_ = matrix("embeddings.position_embeddings.weight", s.positions, s.width);
  token_type_ = file.elements("embeddings.token_type_embeddings.weight", {s.token_types, s.width});
  token_type_.resize(static_cast<size_t>(s.width));
  embedding_norm_ = norm("embeddings.LayerNorm");
  for (int64_t i = 0; i < s.layers; ++i) {
    const std::string prefix = "encoder.layer." + std::to_string(i) + ".";
    Layer layer;
    layer.q = linear(prefix + "attention.self.query", s.width, s.width);
    layer.k = linear(prefix + "attention.self.key", s.width, s.width);
    layer.v = linear(prefix + "attention.self.value", s.width, s.width);
    layer.out = linear(prefix + "attention.output.dense", s.width, s.width);
    layer.attention_norm = norm(prefix + "attention.output.LayerNorm");
    layer.up = linear(prefix + "intermediate.dense", s.hidden, s.width);
    layer.down = linear(prefix + "output.dense", s.width, s.hidden);
    layer.mlp_norm = norm(prefix + "output.LayerNorm");
    layers_.push_back(std::move(layer));
  }
}

int64_t Encoder::parameters() const {
  const auto norm = [](const Norm& each) { return each.gain.size() + each.bias.size(); };
  size_t count = words_.elements.size() + positions_.elements.size() + token_type_.size() + norm(embedding_norm_);
  for (const Layer& layer : layers_) {
    for (const Linear* each : {&layer.q, &layer.k, &layer.v, &layer.out, &layer.up, &layer.down})
      count += each->weights.elements.size() + each->bias.size();
    count += norm(layer.attention_norm) + norm(layer.mlp_norm);
  }
  return static_cast<int64_t>(count);
}

void Encoder::set_threads(int threads) {
  threads_ = threads;
  products_.set_threads(threads);
}

/// y = x . weights^T + bias
void Encoder::apply(const Linear& linear, const std::vector<float>& x, std::vector<float>& y) {
  const auto& [rows, columns, elements] = linear.weights;
  const int64_t count = static_cast<int64_t>(x.size()) / columns;
  y.resize(static_cast<size_t>(count * rows));
  products_.multiply_alike(x.data(), count, {"", TensorType::F32, rows, columns, std::as_bytes(std::span(elements))},
                           y.data());
  add_to_rows(y, linear.bias, threads_);
}

std::vector<float> Encoder::run(std::span<const std::vector<int32_t>> texts, Attention& attention) {
  const EncoderShape& s = shape_;
  check_texts(s, texts);
  if (texts.empty()) return {};
  std::vector<int64_t> begins{0};
  int64_t longest = 0;
  for (const std::vector<int32_t>& text : texts) {
    begins.push_back(begins.back() + static_cast<int64_t>(text.size()));
    longest = std::max(longest, static_cast<int64_t>(text.size()));
  }
  const int64_t count = begins.back(), number = static_cast<int64_t>(texts.size());
  attend::AttentionFwd problem = attend::AttentionFwd::dense(attend::Layout::thd, attend::DType::f32, number, s.heads,
                                                             s.heads, longest, longest, s.columns());
  problem.cu_q = problem.cu_k = attend::Array<int64_t>::view(begins.data(), number + 1);
  attention.begin_step({&problem, 1});

  x_.resize(static_cast<size_t>(count * s.width));
  o_.resize(x_.size());
  for (int64_t n = 0; n < number; ++n)
    for (int64_t t = 0; t < begins[n + 1] - begins[n]; ++t) {
      const float *word = words_.row(texts[n][t]), *position = positions_.row(t);
      float* x = x_.data() + (begins[n] + t) * s.width;
      for (int64_t c = 0; c < s.width; ++c) x[c] = word[c] + position[c] + token_type_[c];
    }
  centre(x_, embedding_norm_.gain, embedding_norm_.bias, s.norm_epsilon, threads_);
  for (const Layer& layer : layers_) {
    apply(layer.q, x_, q_);
    apply(layer.k, x_, k_);
    apply(layer.v, x_, v_);
    attend::AttentionFwdArgs args;
    args.q = q_.data();
    args.k = k_.data();
    args.v = v_.data();
    args.o = o_.data();
    const auto begin = std::chrono::steady_clock::now();
    attention.run(0, args);
    attention_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    apply(layer.out, o_, y_);
    add(x_, y_, threads_);
    centre(x_, layer.attention_norm.gain, layer.attention_norm.bias, s.norm_epsilon, threads_);

    apply(layer.up, x_, hidden_);
    gelu(hidden_, threads_);
    apply(layer.down, hidden_, y_);
    add(x_, y_, threads_);
    centre(x_, layer.mlp_norm.gain, layer.mlp_norm.bias, s.norm_epsilon, threads_);
  }
  std::vector<float> out(static_cast<size_t>(number * s.width));
  for (int64_t n = 0; n < number; ++n)
    pool(x_.data() + begins[n] * s.width, begins[n + 1] - begins[n], s.width, out.data() + n * s.width);
  return out;
}

}  // namespace llm
