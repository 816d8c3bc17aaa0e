// SPDX-License-Identifier: Apache-2.0
#include "language_model.hpp"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "checked.hpp"
#include "elementwise.hpp"

namespace llm {

namespace {

constexpr Architecture kArchitectures[] = {
    // arXiv:2302.13971
    {.name = "llama",
     .gate = Gate::silu,
     .neighbours_rotate = true,
     .head_norms = false,
     .post_norms = false,
     .scaled_embedding = false,
     .global_every = 1,
     .local_rope_base = 0,
     .refused_layers = 0},
    // arXiv:2503.19786, section 2
    {.name = "gemma3",
     .gate = Gate::gelu,
     .neighbours_rotate = false,
     .head_norms = true,
     .post_norms = true,
     .scaled_embedding = true,
     .global_every = 6,
     .local_rope_base = 10000,
     .refused_layers = 62},
};

void require(bool holds, const Gguf& file, const std::string& what) {
  if (!holds) throw Error(file.name() + ": " + what);
}

const Architecture& architecture_of(const Gguf& file) {
  const std::string_view name = file.text("general.architecture");
  std::string known;
  for (const Architecture& each : kArchitectures) {
    if (name == each.name) return each;
    known += (known.empty() ? "" : " or ") + std::string(each.name);
  }
  throw Error(file.name() + ": general.architecture is " + std::string(name) + ", expected " + known);
}

std::vector<float> vector(const Gguf& file, const std::string& name, int64_t size) {
  const Tensor& tensor = file.tensor(name, 1, size);
  std::vector<float> elements(static_cast<size_t>(size));
  dequantise(tensor.type, tensor.data, elements.data());
  return elements;
}

}  // namespace

ModelShape ModelShape::of(const Gguf& file) {
  ModelShape shape;
  shape.architecture = &architecture_of(file);
  const std::string prefix = std::string(shape.architecture->name) + ".";
  shape.layers = file.integer(prefix + "block_count");
  shape.width = file.integer(prefix + "embedding_length");
  shape.query_heads = file.integer(prefix + "attention.head_count");
  shape.key_heads = file.integer(prefix + "attention.head_count_kv", shape.query_heads);
  shape.hidden = file.integer(prefix + "feed_forward_length");
  shape.context = file.integer(prefix + "context_length");
  shape.global_every = file.integer(prefix + "attention.sliding_window_pattern", shape.architecture->global_every);
  const int64_t window = shape.global_every == 1 ? 1 : file.integer(prefix + "attention.sliding_window");
  const struct {
    const char* name;
    int64_t value;
  } counts[] = {{"block_count", shape.layers},
                {"embedding_length", shape.width},
                {"attention.head_count", shape.query_heads},
                {"attention.head_count_kv", shape.key_heads},
                {"feed_forward_length", shape.hidden},
                {"context_length", shape.context},
                {"attention.sliding_window_pattern", shape.global_every},
                {"attention.sliding_window", window}};
  for (const auto& each : counts)
    require(each.value >= 1 && each.value <= int64_t{1} << 24, file,
            prefix + each.name + " is " + std::to_string(each.value) + ", expected 1 to 2^24");
  require(shape.layers != shape.architecture->refused_layers, file,
          prefix + "block_count is " + std::to_string(shape.layers) +
              ", expected another number: models of that size scale scores by a number that is not in the file");
  const bool has_columns = file.has(prefix + "attention.key_length");
  require((has_columns || shape.width % shape.query_heads == 0) && shape.query_heads % shape.key_heads == 0, file,
          "embedding_length, head_count and head_count_kv are " + std::to_string(shape.width) + ", " +
              std::to_string(shape.query_heads) + " and " + std::to_string(shape.key_heads) +
              ", expected each to be a multiple of the next");
  shape.columns = file.integer(prefix + "attention.key_length", shape.width / shape.query_heads);
  const int64_t value_columns = file.integer(prefix + "attention.value_length", shape.columns);
  require(shape.columns >= 1 && shape.columns <= 1 << 16 && value_columns == shape.columns, file,
          "key_length and value_length are " + std::to_string(shape.columns) + " and " + std::to_string(value_columns) +
              ", expected the same number, 1 to 2^16");
  shape.norm_epsilon = file.real(prefix + "attention.layer_norm_rms_epsilon", 1e-5);
  shape.vocabulary = static_cast<int64_t>(file.texts("tokenizer.ggml.tokens").size());

  LayerKind global;
  global.rope.dims = file.integer(prefix + "rope.dimension_count", shape.columns);
  global.rope.interleaved = shape.architecture->neighbours_rotate;
  global.rope.base = file.real(prefix + "rope.freq_base", 10000);
  LayerKind local = global;
  const std::string_view scaling = file.text(prefix + "rope.scaling.type", "none");
  require(scaling == "none" || scaling == "linear", file,
          prefix + "rope.scaling.type is " + std::string(scaling) + ", expected none or linear");
  require(!file.has_tensor("rope_freqs.weight"), file, "there is a tensor rope_freqs.weight, expected none");
  if (scaling == "linear") {
    global.rope.scaling = attend::RopeScaling::linear;
    global.rope.factor = file.real(prefix + "rope.scaling.factor");
  }
  shape.kinds.push_back(global);
  if (shape.global_every > 1) {
    local.window = window;
    local.rope.base = file.real(prefix + "rope.freq_base_swa", shape.architecture->local_rope_base);
    shape.kinds.push_back(local);
  }
  return shape;
}

AttentionShape ModelShape::attention() const {
  AttentionShape shape{layers, query_heads, key_heads, columns, {}};
  for (const LayerKind& each : kinds) shape.windows.push_back(each.window);
  return shape;
}

LanguageModel::LanguageModel(const Gguf& file) : shape_(ModelShape::of(file)), mapping_(file.mapping()) {
  const ModelShape& s = shape_;
  const Architecture& architecture = *s.architecture;
  embedding_ = file.tensor("token_embd.weight", s.vocabulary, s.width);
  output_ = file.has_tensor("output.weight") ? file.tensor("output.weight", s.vocabulary, s.width) : embedding_;
  output_norm_ = vector(file, "output_norm.weight", s.width);
  const int64_t query_width = s.query_heads * s.columns, key_width = s.key_heads * s.columns;
  for (int64_t i = 0; i < s.layers; ++i) {
    const std::string prefix = "blk." + std::to_string(i) + ".";
    const auto matrix = [&](const char* name, int64_t rows, int64_t columns) {
      return file.tensor(prefix + name + ".weight", rows, columns);
    };
    const auto norm = [&](const char* name, int64_t size) { return vector(file, prefix + name + ".weight", size); };
    Layer layer;
    layer.attention_norm = norm("attn_norm", s.width);
    layer.mlp_norm = norm("ffn_norm", s.width);
    if (architecture.head_norms) {
      layer.q_norm = norm("attn_q_norm", s.columns);
      layer.k_norm = norm("attn_k_norm", s.columns);
    }
    if (architecture.post_norms) {
      layer.attention_post_norm = norm("post_attention_norm", s.width);
      layer.mlp_post_norm = norm("post_ffw_norm", s.width);
    }
    layer.q = matrix("attn_q", query_width, s.width);
    layer.k = matrix("attn_k", key_width, s.width);
    layer.v = matrix("attn_v", key_width, s.width);
    layer.out = matrix("attn_output", s.width, query_width);
    layer.gate = matrix("ffn_gate", s.hidden, s.width);
    layer.up = matrix("ffn_up", s.hidden, s.width);
    layer.down = matrix("ffn_down", s.width, s.hidden);
    layers_.push_back(std::move(layer));
  }
  for (const LayerKind& each : s.kinds) ropes_.push_back(checked(attend::make_rope(each.rope)));
}

int64_t LanguageModel::parameters() const {
  const auto elements = [](const Tensor& each) { return each.rows * each.columns; };
  int64_t count = elements(embedding_) + static_cast<int64_t>(output_norm_.size());
  if (output_.data.data() != embedding_.data.data()) count += elements(output_);
  for (const Layer& layer : layers_) {
    for (const std::vector<float>* each : {&layer.attention_norm, &layer.mlp_norm, &layer.q_norm, &layer.k_norm,
                                           &layer.attention_post_norm, &layer.mlp_post_norm})
      count += static_cast<int64_t>(each->size());
    for (const Tensor* each : {&layer.q, &layer.k, &layer.v, &layer.out, &layer.gate, &layer.up, &layer.down})
      count += elements(*each);
  }
  return count;
}

void LanguageModel::set_threads(int threads) {
  threads_ = threads;
  products_.set_threads(threads);
}

void LanguageModel::read_weights(int64_t layer) const {
  constexpr int64_t kLine = 64;
  const Layer& weights = layers_[static_cast<size_t>(layer)];
  unsigned sum = 0;
  for (const Tensor* each :
       {&weights.q, &weights.k, &weights.v, &weights.out, &weights.gate, &weights.up, &weights.down}) {
    const auto lines = static_cast<int64_t>(each->data.size()) / kLine;
#pragma omp parallel for reduction(+ : sum) num_threads(threads_ > 0 ? threads_ : omp_get_max_threads())
    for (int64_t line = 0; line < lines; ++line) sum += static_cast<unsigned>(each->data[line * kLine]);
  }
  volatile unsigned read = sum;  // so that the loops are not left out
  static_cast<void>(read);
}

std::span<const float> LanguageModel::run(const Step& step, KvStore& cache, Attention& attention) {
  const ModelShape& s = shape_;
  const Architecture& architecture = *s.architecture;
  const auto count = static_cast<int64_t>(step.tokens.size());
  for (const int32_t token : step.tokens)
    if (token < 0 || token >= s.vocabulary)
      throw Error("token " + std::to_string(token) + " is not of the vocabulary, 0 to " +
                  std::to_string(s.vocabulary - 1));
  attention.begin_step(step.problems);
  const attend::Array<int32_t> positions = attend::Array<int32_t>::view(step.positions.data(), count);

  const auto resize = [&](std::vector<float>& v, int64_t columns) { v.resize(static_cast<size_t>(count * columns)); };
  const int64_t query_width = s.query_heads * s.columns, key_width = s.key_heads * s.columns;
  resize(x_, s.width);
  resize(q_, query_width);
  resize(o_, query_width);
  resize(k_, key_width);
  resize(v_, key_width);
  resize(gate_, s.hidden);
  resize(up_, s.hidden);
  for (int64_t i = 0; i < count; ++i)
    dequantise(embedding_.type, embedding_.row(step.tokens[i]), x_.data() + i * s.width);
  if (architecture.scaled_embedding) {
    const float scale = std::sqrt(static_cast<float>(s.width));
    for (float& x : x_) x *= scale;
  }

  const attend::Tensor queries(q_.data(), attend::DType::f32, attend::Layout::bshd, 1, count, s.query_heads, s.columns);
  attend::RotateOptions rotating;
  rotating.threads = threads_;
  for (int64_t i = 0; i < s.layers; ++i) {
    const Layer& layer = layers_[static_cast<size_t>(i)];
    const size_t kind = s.kind(i);
    normalise(x_, layer.attention_norm, s.norm_epsilon, normed_, threads_);
    products_.multiply(normed_.data(), count, layer.q, q_.data());
    products_.multiply(normed_.data(), count, layer.k, k_.data());
    products_.multiply(normed_.data(), count, layer.v, v_.data());
    if (architecture.head_norms) {
      normalise(q_, layer.q_norm, s.norm_epsilon, q_, threads_);
      normalise(k_, layer.k_norm, s.norm_epsilon, k_, threads_);
    }
    check(attend::rotate(ropes_[kind], queries, positions, queries, rotating));
    cache.append(step, i, k_.data(), v_.data(), ropes_[kind], threads_);
    attend::AttentionFwdArgs args = cache.args(i);
    args.q = q_.data();
    args.o = o_.data();
    const auto begin = std::chrono::steady_clock::now();
    attention.run(kind, args);
    attention_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    products_.multiply(o_.data(), count, layer.out, normed_.data());
    if (architecture.post_norms) normalise(normed_, layer.attention_post_norm, s.norm_epsilon, normed_, threads_);
    add(x_, normed_, threads_);

    normalise(x_, layer.mlp_norm, s.norm_epsilon, normed_, threads_);
    products_.multiply(normed_.data(), count, layer.gate, gate_.data());
    products_.multiply(normed_.data(), count, layer.up, up_.data());
    open_gate(architecture.gate, gate_, up_, threads_);
    products_.multiply(gate_.data(), count, layer.down, normed_.data());
    if (architecture.post_norms) normalise(normed_, layer.mlp_post_norm, s.norm_epsilon, normed_, threads_);
    add(x_, normed_, threads_);
  }
  const auto asked = static_cast<int64_t>(step.asked.size());
  for (int64_t i = 0; i < asked; ++i)  // in rising order: none is overwritten before it is read
    std::copy_n(x_.begin() + step.asked[i] * s.width, s.width, x_.begin() + i * s.width);
  x_.resize(static_cast<size_t>(asked * s.width));
  normalise(x_, output_norm_, s.norm_epsilon, normed_, threads_);
  logits_.resize(static_cast<size_t>(asked * s.vocabulary));
  products_.multiply(normed_.data(), asked, output_, logits_.data());
  return logits_;
}

}  // namespace llm
