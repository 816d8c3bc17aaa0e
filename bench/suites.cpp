// SPDX-License-Identifier: Apache-2.0
#include "suites.hpp"

#include <fmt/format.h>

namespace attend::bench {

bool is_backward(const std::string& problem) { return problem.rfind("attention_bwd", 0) == 0; }

Result<Cost> cost_of(const std::string& problem) {
  if (is_backward(problem)) {
    const Result<AttentionBwd> parsed = AttentionBwd::parse(problem);
    if (!parsed.ok()) return parsed.status();
    return parsed->cost();
  }
  const Result<AttentionFwd> parsed = AttentionFwd::parse(problem);
  if (!parsed.ok()) return parsed.status();
  return parsed->cost();
}

/// A line of each kind that finishes while one waits.
std::vector<Case> quick_cases() {
  const auto line = [](const char* group, const char* rest, int threads) {
    return Case{group, {std::string("attention_fwd b=1 hq=8 hk=8 ") + rest, threads, "", Contender::attend}, {}};
  };
  std::vector<Case> cases = {
      line("f32 full", "sq=1024 sk=1024 d=64 dtype=f32", 1),
      line("f32 causal", "sq=1024 sk=1024 d=64 dtype=f32 mask=causal", 1),
      line("f32 causal", "sq=1024 sk=1024 d=64 dtype=f32 mask=causal", 0),
      line("bf16 full", "sq=1024 sk=1024 d=128 dtype=bf16", 1),
      line("bf16 causal", "sq=1024 sk=1024 d=128 dtype=bf16 mask=causal", 1),
      line("f16 full", "sq=1024 sk=1024 d=64 dtype=f16", 1),
      line("f32 window 512", "sq=4096 sk=4096 d=64 dtype=f32 mask=window:512:0", 1),
      line("f32 small N", "sq=64 sk=64 d=64 dtype=f32", 1),
  };
  for (const size_t i : {size_t{0}, size_t{1}, size_t{7}}) {
    Subject baseline = cases[i].subject;
    baseline.contender = Contender::openblas;
    cases[i].bars.push_back({Bar::Kind::rate, 1.0, baseline, "rate over unfused OpenBLAS"});
  }
  return cases;
}

/// The layout of the FlashAttention papers' figures (arXiv:2307.08691, section 4.1): 16k tokens in all, cut into
/// sequences of 512 to 16k, head dimension 64 or 128, full or causal. Their hidden size of 2048 is 512 here, so that a
/// CPU finishes in minutes.
std::vector<Case> paper_cases() {
  constexpr int64_t kTokens = 16384;
  constexpr int64_t kHidden = 512;
  std::vector<Case> cases;
  for (const char* dtype : {"f32", "bf16"})
    for (const char* mask : {"", " mask=causal"})
      for (const int64_t d : {64, 128})
        for (int64_t n = 512; n <= kTokens; n *= 2) {
          const int64_t heads = kHidden / d;
          cases.push_back({fmt::format("{} {}", dtype, *mask ? "causal" : "full"),
                           {fmt::format("attention_fwd b={} hq={} hk={} sq={} sk={} d={} dtype={}{}", kTokens / n,
                                        heads, heads, n, n, d, dtype, mask),
                            0, "", Contender::attend},
                           {}});
        }
  return cases;
}

const std::vector<Suite>& suites() {
  static const std::vector<Suite> all = {
      {"cpu-backward", "gradients on the CPU, their shares of the peak (about 3 minutes)", cpu_backward_cases},
      {"cpu-decode", "one query against long caches, every format and placement, cold (about 5 minutes)",
       cpu_decode_cases},
      {"cpu-prefill", "long inputs on the CPU, every promised share and ratio (about 5 minutes)", cpu_prefill_cases},
      {"cpu-serve", "steps of serving: mixed batches, drafts, prefill into caches (about 2 minutes)", cpu_serve_cases},
      {"paper", "the figures of the FlashAttention papers, scaled to a CPU (about 5 minutes)", paper_cases},
      {"quick", "a handful of lines in less than 20 seconds", quick_cases},
  };
  return all;
}

const Suite* find_suite(const std::string& name) {
  for (const Suite& suite : suites())
    if (name == suite.name) return &suite;
  return nullptr;
}

}  // namespace attend::bench
