// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <vector>

#include "base/rng.hpp"

namespace attend {

inline std::vector<float> normal(int64_t count, uint64_t seed, double magnitude = 1) {
  Rng rng(seed);
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>(magnitude * rng.normal()));
  return values;
}

}  // namespace attend
