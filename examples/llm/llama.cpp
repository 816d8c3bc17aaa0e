// SPDX-License-Identifier: Apache-2.0
#include "llama.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "checked.hpp"

namespace llm {

namespace {

void require(bool holds, const Gguf& file, const std::string& what) {
  if (!holds) throw Error(file.name() + ": " + what);
}

std::vector<float> vector(const Gguf& file, const std::string& name, int64_t size) {
  return Matrix::decoded(file.tensor(name, 1, size)).elements;
}

/// y = gain * x / rms(x), row by row
void normalise(const std::vector<float>& x, const std::vector<float>& gain, double epsilon, std::vector<float>& y) {
  y.resize(x.size());
  const size_t width = gain.size();
  for (size_t at = 0; at < x.size(); at += width) {
    double squares = 0;
    for (size_t c = 0; c < width; ++c) squares += double{x[at + c]} * x[at + c];
    const auto r = static_cast<float>(1 / std::sqrt(squares / static_cast<double>(width) + epsilon));
    for (size_t c = 0; c < width; ++c) y[at + c] = gain[c] * (x[at + c] * r);
  }
}

void add(std::vector<float>& x, const std::vector<float>& y) {
  for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
}

}  // namespace

LlamaShape LlamaShape::of(const Gguf& file) {
  const std::string_view architecture = file.text("general.architecture");
  require(architecture == "llama", file, "general.architecture is " + std::string(architecture) + ", expected llama");
  LlamaShape shape;
  shape.layers = file.integer("llama.block_count");
  shape.width = file.integer("llama.embedding_length");
  shape.query_heads = file.integer("llama.attention.head_count");
  shape.key_heads = file.integer("llama.attention.head_count_kv", shape.query_heads);
  shape.hidden = file.integer("llama.feed_forward_length");
  shape.context = file.integer("llama.context_length");
  shape.rope_base = file.real("llama.rope.freq_base", 10000);
  shape.norm_epsilon = file.real("llama.attention.layer_norm_rms_epsilon", 1e-5);
  const struct {
    const char* name;
    int64_t value;
  } counts[] = {{"block_count", shape.layers},
                {"embedding_length", shape.width},
                {"attention.head_count", shape.query_heads},
                {"attention.head_count_kv", shape.key_heads},
                {"feed_forward_length", shape.hidden},
                {"context_length", shape.context}};
  for (const auto& each : counts)
    require(each.value >= 1 && each.value <= int64_t{1} << 24, file,
            std::string("llama.") + each.name + " is " + std::to_string(each.value) + ", expected 1 to 2^24");
  require(shape.width % shape.query_heads == 0 && shape.query_heads % shape.key_heads == 0, file,
          "embedding_length, head_count and head_count_kv are " + std::to_string(shape.width) + ", " +
              std::to_string(shape.query_heads) + " and " + std::to_string(shape.key_heads) +
              ", expected each to be a multiple of the next");
  shape.rotated = file.integer("llama.rope.dimension_count", shape.columns());
  shape.vocabulary = static_cast<int64_t>(file.texts("tokenizer.ggml.tokens").size());
  return shape;
}

Llama::Llama(const Gguf& file) : shape_(LlamaShape::of(file)) {
  const LlamaShape& s = shape_;
  embedding_ = Matrix::decoded(file.tensor("token_embd.weight", s.vocabulary, s.width));
  if (file.has_tensor("output.weight")) output_ = Matrix::decoded(file.tensor("output.weight", s.vocabulary, s.width));
  output_norm_ = vector(file, "output_norm.weight", s.width);
  const int64_t key_width = s.key_heads * s.columns();
  for (int64_t i = 0; i < s.layers; ++i) {
    const std::string prefix = "blk." + std::to_string(i) + ".";
    const auto matrix = [&](const char* name, int64_t rows, int64_t columns) {
      return Matrix::decoded(file.tensor(prefix + name + ".weight", rows, columns));
    };
    Layer layer;
    layer.attention_norm = vector(file, prefix + "attn_norm.weight", s.width);
    layer.mlp_norm = vector(file, prefix + "ffn_norm.weight", s.width);
    layer.q = matrix("attn_q", s.width, s.width);
    layer.k = matrix("attn_k", key_width, s.width);
    layer.v = matrix("attn_v", key_width, s.width);
    layer.out = matrix("attn_output", s.width, s.width);
    layer.gate = matrix("ffn_gate", s.hidden, s.width);
    layer.up = matrix("ffn_up", s.hidden, s.width);
    layer.down = matrix("ffn_down", s.width, s.hidden);
    layers_.push_back(std::move(layer));
  }
  attend::RopeOptions rope;
  rope.dims = s.rotated;
  rope.interleaved = true;  // the order in which GGUF keeps rows of Q and K
  rope.base = s.rope_base;
  rope_ = checked(attend::make_rope(rope));
}

int64_t Llama::parameters() const {
  size_t count = embedding_.elements.size() + output_.elements.size() + output_norm_.size();
  for (const Layer& layer : layers_) {
    count += layer.attention_norm.size() + layer.mlp_norm.size();
    for (const Matrix* each : {&layer.q, &layer.k, &layer.v, &layer.out, &layer.gate, &layer.up, &layer.down})
      count += each->elements.size();
  }
  return static_cast<int64_t>(count);
}

void Llama::set_threads(int threads) {
  threads_ = threads;
  set_matrix_threads(threads);
}

std::span<const float> Llama::run(const Step& step, KvStore& cache, Attention& attention) {
  const LlamaShape& s = shape_;
  const auto count = static_cast<int64_t>(step.tokens.size());
  for (const int32_t token : step.tokens)
    if (token < 0 || token >= s.vocabulary)
      throw Error("token " + std::to_string(token) + " is not of the vocabulary, 0 to " +
                  std::to_string(s.vocabulary - 1));
  attention.begin_step(step.problem);
  const attend::Array<int32_t> positions = attend::Array<int32_t>::view(step.positions.data(), count);

  const auto resize = [&](std::vector<float>& v, int64_t columns) { v.resize(static_cast<size_t>(count * columns)); };
  const int64_t key_width = s.key_heads * s.columns();
  resize(x_, s.width);
  resize(q_, s.width);
  resize(o_, s.width);
  resize(k_, key_width);
  resize(v_, key_width);
  resize(gate_, s.hidden);
  resize(up_, s.hidden);
  for (int64_t i = 0; i < count; ++i) std::copy_n(embedding_.row(step.tokens[i]), s.width, x_.begin() + i * s.width);

  const attend::Tensor queries(q_.data(), attend::DType::f32, attend::Layout::bshd, 1, count, s.query_heads,
                               s.columns());
  attend::RotateOptions rotating;
  rotating.threads = threads_;
  for (int64_t i = 0; i < s.layers; ++i) {
    const Layer& layer = layers_[static_cast<size_t>(i)];
    normalise(x_, layer.attention_norm, s.norm_epsilon, normed_);
    multiply(normed_.data(), count, layer.q, q_.data());
    multiply(normed_.data(), count, layer.k, k_.data());
    multiply(normed_.data(), count, layer.v, v_.data());
    check(attend::rotate(rope_, queries, positions, queries, rotating));
    cache.append(step, i, k_.data(), v_.data(), rope_, threads_);
    attend::AttentionFwdArgs args = cache.args(i);
    args.q = q_.data();
    args.o = o_.data();
    const auto begin = std::chrono::steady_clock::now();
    attention.run(args);
    attention_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    multiply(o_.data(), count, layer.out, normed_.data());
    add(x_, normed_);

    normalise(x_, layer.mlp_norm, s.norm_epsilon, normed_);
    multiply(normed_.data(), count, layer.gate, gate_.data());
    multiply(normed_.data(), count, layer.up, up_.data());
    for (size_t j = 0; j < gate_.size(); ++j) gate_[j] *= up_[j] / (1 + std::exp(-gate_[j]));
    multiply(gate_.data(), count, layer.down, normed_.data());
    add(x_, normed_);
  }
  const auto asked = static_cast<int64_t>(step.asked.size());
  for (int64_t i = 0; i < asked; ++i)  // in rising order: none is overwritten before it is read
    std::copy_n(x_.begin() + step.asked[i] * s.width, s.width, x_.begin() + i * s.width);
  x_.resize(static_cast<size_t>(asked * s.width));
  normalise(x_, output_norm_, s.norm_epsilon, normed_);
  logits_.resize(static_cast<size_t>(asked * s.vocabulary));
  multiply(normed_.data(), asked, output_.elements.empty() ? embedding_ : output_, logits_.data());
  return logits_;
}

}  // namespace llm
