// SPDX-License-Identifier: Apache-2.0
// Loops that do nothing but one instruction on registers, or one stream of loads: the roofs that kernels are measured
// against.
#pragma once
#include "cpu/kernel.hpp"
#include "cpu/kernels/tile.hpp"

namespace attend::cpu::ATTEND_TARGET {

/// Chains of dependent steps: 10 of them reach 80 % of what 20 do on a core with two 512-bit ports, 12 fill 16
/// registers.
using PeakTile = Tile<kTileVecs == 4 ? 5 : kTileRows, kTileVecs>;

template <class Step>
float peak_loop(int64_t iterations, double* flops) {
  constexpr int kRows = sizeof(PeakTile::c) / sizeof(PeakTile::c[0]);
  const float start[kRows] = {};
  Vec a = set1(1.0F), b = set1(0.0F);
  opaque(a);
  opaque(b);
  PeakTile t;
  PeakTile::fill(t, start);
  for (int64_t i = 0; i < iterations; ++i) {
    for (int row = 0; row < kRows; ++row)
      for (int j = 0; j < kTileVecs; ++j) t.c[row][j] = Step::step(t.c[row][j], a, b);
  }
  Vec sum = zero();
  for (int row = 0; row < kRows; ++row)
    for (int j = 0; j < kTileVecs; ++j) sum = add(sum, t.c[row][j]);
  *flops = static_cast<double>(iterations) * kRows * kTileVecs * kWidth * 2 * Step::kSteps;
  return reduce_max(sum);
}

static float read_stream(const float* data, int64_t count) {
  Vec m[4] = {zero(), zero(), zero(), zero()};
  for (int64_t i = 0; i < count; i += 4 * kWidth)
    for (int j = 0; j < 4; ++j) m[j] = max(m[j], load(data + i + j * kWidth));
  return reduce_max(max(max(m[0], m[1]), max(m[2], m[3])));
}

}  // namespace attend::cpu::ATTEND_TARGET
