// SPDX-License-Identifier: Apache-2.0
// What a model does to its activations between products: norms, gates, sums of exponentials. Threads share out rows; a
// row's bits do not depend on them.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace llm {

/// RMSNorm (arXiv:1910.07467): y = gain * x / sqrt(mean(x^2) + epsilon) for each row of gain.size() numbers. The mean
/// is taken in fp64.
void normalise(std::span<const float> x, std::span<const float> gain, double epsilon, std::vector<float>& y,
               int threads);

/// LayerNorm (arXiv:1607.06450): x = gain * (x - mean) / sqrt(variance + epsilon) + bias for each row of gain.size()
/// numbers. Mean and variance are taken in fp64.
void centre(std::span<float> x, std::span<const float> gain, std::span<const float> bias, double epsilon, int threads);

/// x += bias, for each row of bias.size() numbers.
void add_to_rows(std::span<float> x, std::span<const float> bias, int threads);

/// x = x (1 + erf(x / sqrt(2))) / 2: GELU (arXiv:1606.08415), not an approximation of it.
void gelu(std::span<float> x, int threads);

/// x += y
void add(std::span<float> x, std::span<const float> y, int threads);

/// Of a gated MLP: SwiGLU or GeGLU (arXiv:2002.05202), the latter in its tanh form.
enum class Gate { silu, gelu };

/// gate = f(gate) * up. Both f are x * sigmoid: of x itself (SiLU), or of 2 sqrt(2 / pi) (x + 0.044715 x^3), which is
/// GELU in its tanh form (arXiv:1606.08415), as (1 + tanh z) / 2 = sigmoid(2 z).
void open_gate(Gate kind, std::span<float> gate, std::span<const float> up, int threads);

/// log(sum(exp(x))) of at least one number, exponentials in f32 (2e-7 relative), their sum in fp64.
double log_sum_exp(std::span<const float> x);

/// Two predictions of the same token from their logits.
struct Comparison {
  double log_sum_exp_found = 0, log_sum_exp_expected = 0;
  double divergence = 0;     ///< KL(expected || found), nats
  bool same_choice = false;  ///< both find the same token the most likely
};
Comparison compare(std::span<const float> found, std::span<const float> expected);

}  // namespace llm
