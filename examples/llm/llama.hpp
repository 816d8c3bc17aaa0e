// SPDX-License-Identifier: Apache-2.0
// A model of the llama architecture (arXiv:2302.13971): RMSNorm, rotary positions, grouped heads, SwiGLU.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "attention.hpp"
#include "gguf.hpp"
#include "kv_store.hpp"
#include "matrix.hpp"

namespace llm {

/// What the file's metadata says of the model.
struct LlamaShape {
  int64_t vocabulary = 0, layers = 0, width = 0, query_heads = 0, key_heads = 0, hidden = 0, context = 0;
  int64_t rotated = 0;  ///< columns of a head that are rotated
  double rope_base = 10000, norm_epsilon = 1e-5;

  /// Throws Error for another architecture, and for numbers that do not fit together.
  static LlamaShape of(const Gguf& file);
  int64_t columns() const { return width / query_heads; }
  AttentionShape attention() const { return {layers, query_heads, key_heads, columns()}; }
};

class Llama {
 public:
  /// Decodes all weights to f32. Throws Error for a tensor that is missing or of another shape.
  explicit Llama(const Gguf& file);

  const LlamaShape& shape() const { return shape_; }
  int64_t parameters() const;

  /// Runs the step's tokens through the model; their keys and values go to the cache. Returns the logits of those that
  /// are asked, [asked][vocabulary], valid until the next call. Throws Error for a token that the vocabulary does not
  /// have.
  std::span<const float> run(const Step& step, KvStore& cache, Attention& attention);

  double attention_seconds() const { return attention_seconds_; }  ///< in all steps so far
  void set_threads(int threads);

 private:
  struct Layer {
    std::vector<float> attention_norm, mlp_norm;
    Matrix q, k, v, out, gate, up, down;
  };

  LlamaShape shape_;
  Matrix embedding_, output_;  ///< output_ is empty where the two are tied
  std::vector<float> output_norm_;
  std::vector<Layer> layers_;
  attend::Rope rope_;
  int threads_ = 0;
  double attention_seconds_ = 0;
  std::vector<float> x_, normed_, q_, k_, v_, o_, gate_, up_, logits_;
};

}  // namespace llm
