// SPDX-License-Identifier: Apache-2.0
// Chooses the next token from what the model says of each.
#pragma once
#include <cstdint>
#include <random>
#include <span>

namespace llm {

struct SamplerOptions {
  double temperature = 0;  ///< 0: the most likely token
  int64_t top_k = 0;       ///< only the k most likely; 0: all
  double top_p = 1;        ///< only the fewest most likely that reach p together (arXiv:1904.09751)
  double min_p = 0;        ///< only those at least p times as likely as the most likely
  uint64_t seed = 0;
};

class Sampler {
 public:
  /// Throws Error for an option out of range.
  explicit Sampler(const SamplerOptions& options);
  int32_t choose(std::span<const float> logits);

 private:
  SamplerOptions options_;
  std::mt19937_64 random_;
};

}  // namespace llm
