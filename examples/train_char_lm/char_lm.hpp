// SPDX-License-Identifier: Apache-2.0
// A transformer that predicts the next character (pre-norm, learned positions, squared ReLU, tied embeddings), with its
// gradient written out by hand.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "causal_attention.hpp"

namespace train_char_lm {

struct ModelShape {
  int64_t vocabulary = 0;
  int64_t layers = 4, heads = 5, columns = 32, context = 128;

  int64_t width() const { return heads * columns; }
};

class CharLm {
 public:
  /// Weights are drawn from `seed`.
  CharLm(const ModelShape& shape, uint64_t seed);
  CharLm(const CharLm&) = delete;
  CharLm& operator=(const CharLm&) = delete;

  int64_t parameters() const { return static_cast<int64_t>(weights_.size()); }
  const std::vector<float>& gradient() const { return gradient_; }

  /// logits [tokens][vocabulary] of `tokens`, [batch][context]; what the gradient needs is kept.
  const std::vector<float>& forward(std::span<const int32_t> tokens, CausalAttention& attention);

  /// After forward(): mean cross-entropy of `targets` in nats, and its gradient by every weight.
  double backward(std::span<const int32_t> targets, CausalAttention& attention);

  /// Mean cross-entropy of `targets` after forward().
  double loss(std::span<const int32_t> targets) const;

  /// One step of Adam (arXiv:1412.6980) against the gradient, whose norm is first cut to 1.
  void step(double rate);

 private:
  struct Layer {
    float *attention_gain, *qkv, *out, *mlp_gain, *up, *down;
  };
  struct Weights {
    float *embedding, *positions, *final_gain;
    std::vector<Layer> layers;
  };
  /// What a layer computed on the way forward; `x` is its input.
  struct Trace {
    std::vector<float> x, normed, qkv, o, lse, middle, mlp_normed, hidden;
  };

  Weights views(std::vector<float>& all) const;
  /// Cross-entropy of a row of logits; with `gradient` also the derivative, divided by the rows.
  double row_loss(int64_t row, int32_t target, float* gradient) const;

  ModelShape shape_;
  std::vector<float> weights_, gradient_, first_moment_, second_moment_;
  Weights weight_, grad_;
  int64_t steps_ = 0;

  std::vector<int32_t> tokens_;
  std::vector<Trace> traces_;
  std::vector<float> x_, final_normed_, logits_;
};

}  // namespace train_char_lm
