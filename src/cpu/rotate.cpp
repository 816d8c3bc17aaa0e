// SPDX-License-Identifier: Apache-2.0
#include "cpu/rotate.hpp"

#include <cmath>

namespace attend::cpu {

Turn::Turn(const Rope& rope_, int64_t position) : rope(rope_) {
  for (int64_t i = 0; i < rope.frequencies.size(); ++i) {
    const double angle = static_cast<double>(position) * double{rope.frequencies[i]};
    cosine[i] = static_cast<float>(rope.magnitude * std::cos(angle));
    sine[i] = static_cast<float>(rope.magnitude * std::sin(angle));
  }
}

void Turn::apply(float* row) const {
  const int64_t pairs = rope.frequencies.size(), step = rope.interleaved ? 2 : 1;
  float *first = row, *second = row + (rope.interleaved ? 1 : pairs);
  for (int64_t i = 0; i < pairs; ++i, first += step, second += step) {
    const float x = *first, y = *second;
    *first = x * cosine[i] - y * sine[i];
    *second = x * sine[i] + y * cosine[i];
  }
}

}  // namespace attend::cpu
