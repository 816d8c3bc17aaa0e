// SPDX-License-Identifier: Apache-2.0
#include "sampler.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "error.hpp"

namespace llm {

Sampler::Sampler(const SamplerOptions& options) : options_(options), random_(options.seed) {
  const auto require = [](bool holds, const char* name, double found, const char* expected) {
    if (!holds) throw Error(std::string(name) + " is " + std::to_string(found) + ", expected " + expected);
  };
  require(options.temperature >= 0 && std::isfinite(options.temperature), "temperature", options.temperature,
          "0 or more");
  require(options.top_k >= 0, "top-k", static_cast<double>(options.top_k), "0 or more");
  require(options.top_p > 0 && options.top_p <= 1, "top-p", options.top_p, "above 0, up to 1");
  require(options.min_p >= 0 && options.min_p <= 1, "min-p", options.min_p, "0 to 1");
}

int32_t Sampler::choose(std::span<const float> logits) {
  const auto best = std::max_element(logits.begin(), logits.end());
  if (options_.temperature == 0) return static_cast<int32_t>(best - logits.begin());
  struct Candidate {
    int32_t token;
    double weight;
  };
  std::vector<Candidate> candidates;
  for (size_t token = 0; token < logits.size(); ++token) {
    const double weight = std::exp((double{logits[token]} - *best) / options_.temperature);
    if (weight > 0 && weight >= options_.min_p) candidates.push_back({static_cast<int32_t>(token), weight});
  }
  // Ties in the order of tokens: the same choice on every machine.
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.weight > b.weight; });
  if (options_.top_k > 0 && static_cast<int64_t>(candidates.size()) > options_.top_k)
    candidates.resize(static_cast<size_t>(options_.top_k));
  double all = 0;
  for (const Candidate& each : candidates) all += each.weight;
  double kept = 0;
  size_t count = 0;
  while (count < candidates.size() && (count == 0 || kept < options_.top_p * all)) kept += candidates[count++].weight;
  double left = kept * std::generate_canonical<double, 53>(random_);
  for (size_t i = 0; i + 1 < count; ++i) {
    left -= candidates[i].weight;
    if (left < 0) return candidates[i].token;
  }
  return candidates[count - 1].token;
}

}  // namespace llm
