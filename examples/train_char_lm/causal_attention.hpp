// SPDX-License-Identifier: Apache-2.0
// Causal self-attention for training: attend's, and the same in plain fp64 loops to compare with.
#pragma once
#include <cstdint>
#include <memory>

namespace train_char_lm {

struct AttentionShape {
  int64_t batch, context, heads, columns;

  int64_t width() const { return heads * columns; }
};

/// qkv is [batch][context][3][heads][columns], as one matrix product makes it; o is [batch][context][heads][columns],
/// lse [batch][heads][context]. Gradients are laid out like what they are gradients of.
class CausalAttention {
 public:
  virtual ~CausalAttention() = default;
  virtual void forward(const float* qkv, float* o, float* lse) = 0;
  virtual void backward(const float* qkv, const float* o, const float* lse, const float* d_o, float* d_qkv) = 0;
};

/// Two plans, made once and kept for all layers and steps. Throws std::runtime_error with what attend says.
std::unique_ptr<CausalAttention> attend_attention(const AttentionShape& shape);

/// The score matrix of every head in memory, every number in fp64 between the f32 inputs and the f32 outputs.
std::unique_ptr<CausalAttention> naive_attention(const AttentionShape& shape);

}  // namespace train_char_lm
