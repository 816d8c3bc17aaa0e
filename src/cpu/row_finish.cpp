// SPDX-License-Identifier: Apache-2.0
#include "cpu/row_finish.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/kernel.hpp"

namespace attend::cpu {

float sum_of_lanes(const float* lanes) {
  float s[kMaxLanes];
  for (int i = 0; i < kMaxLanes; ++i) s[i] = lanes[i];
  for (int half = kMaxLanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) s[i] += s[i + half];
  return s[0];
}

float finish_row(const AttentionFwd& problem, const AttentionFwdArgs& args, int64_t n, int64_t query, int64_t head,
                 double max, double sum) {
  constexpr double kLog2e = 1.4426950408889634, kLn2 = 0.6931471805599453;
  double factor = sum == 0 ? 0 : 1 / sum;
  if (problem.sink) {
    const double sink = args.sink[head] * kLog2e, top = std::max(max, sink);
    if (!(top == -std::numeric_limits<double>::infinity())) {
      const double rescale = std::exp2(max - top);
      sum = sum * rescale + std::exp2(sink - top);
      factor = rescale / sum;
      max = top;
    }
  }
  if (problem.lse) args.lse[problem.lse_offset(n, query, head)] = static_cast<float>((max + std::log2(sum)) * kLn2);
  return static_cast<float>(factor);
}

}  // namespace attend::cpu
