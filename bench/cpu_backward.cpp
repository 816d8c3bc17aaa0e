// SPDX-License-Identifier: Apache-2.0
// The suite of the backward pass. Its operations are those of five products: 2.5 times the forward pass where dv = d.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "suites.hpp"

namespace attend::bench {
namespace {

Subject subject(const char* dtype, const char* mask, int64_t n, int64_t d, int threads, const std::string& kernel) {
  return {fmt::format("attention_bwd b=1 hq=8 hk=8 sq={} sk={} d={} dtype={}{}", n, n, d, dtype, mask), threads, kernel,
          Contender::attend};
}

}  // namespace

std::vector<Case> cpu_backward_cases() {
  std::vector<Case> cases;
  for (const char* dtype : {"f32", "bf16"})
    for (const char* mask : {"", " mask=causal"})
      for (const int64_t d : {64, 128})
        for (const int64_t n : {1024, 4096}) {
          const std::string group = fmt::format("{} {}", dtype, *mask == '\0' ? "full" : "causal");
          const bool bf16 = std::string(dtype) == "bf16";
          const Bar share{Bar::Kind::share, bf16 ? 0.70 : 0.80, std::nullopt, "share of peak"};
          const Subject alone = subject(dtype, mask, n, d, 1, "");
          cases.push_back({group, alone, {share}});
          cases.push_back({group + ", 2 threads",
                           subject(dtype, mask, n, d, 2, ""),
                           {{Bar::Kind::rate, 1.9, alone, "rate over 1 thread"}}});
          // By name: where the instruction is slow the plan prefers another row, and this says what it makes of its
          // peak.
          if (bf16)
            cases.push_back(
                {"bf16 dot kernel", subject(dtype, mask, n, d, 1, "attention_bwd.avx512_bf16.bf16_dot"), {share}});
        }
  return cases;
}

}  // namespace attend::bench
