// SPDX-License-Identifier: Apache-2.0
// Loops that do nothing but one instruction on registers, or one stream of loads: the roofs that kernels are measured against.
#pragma once
#include "cpu/kernel.hpp"

namespace attend::cpu::ATTEND_TARGET {

template <class Step>
float peak_loop(int64_t iterations, double* flops) {
  constexpr int kChains = 10;  // more than latency x issue width, few enough for 16 registers
  Vec a = set1(1.0F), b = set1(0.0F), acc[kChains];
  for (Vec& x : acc) x = zero();
  opaque(a);
  opaque(b);
  for (int64_t i = 0; i < iterations; ++i) {
    for (int unroll = 0; unroll < 4; ++unroll)
      for (Vec& x : acc) x = Step::step(x, a, b);
    for (Vec& x : acc) opaque(x);
  }
  for (int i = 1; i < kChains; ++i) acc[0] = add(acc[0], acc[i]);
  *flops = static_cast<double>(iterations) * 4 * kChains * kWidth * 2 * Step::kSteps;
  return reduce_max(acc[0]);
}

static float read_stream(const float* data, int64_t count) {
  Vec m[4] = {zero(), zero(), zero(), zero()};
  for (int64_t i = 0; i < count; i += 4 * kWidth)
    for (int j = 0; j < 4; ++j) m[j] = max(m[j], load(data + i + j * kWidth));
  return reduce_max(max(max(m[0], m[1]), max(m[2], m[3])));
}

}  // namespace attend::cpu::ATTEND_TARGET
