// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/rope.hpp>

namespace attend::cpu {

/// Cosines and sines of all pairs at one position, for all heads of a token: 512 columns at most.
struct Turn {
  Turn(const Rope& rope, int64_t position);
  /// Rotates one row in place.
  void apply(float* row) const;

  const Rope& rope;
  float cosine[256], sine[256];
};

}  // namespace attend::cpu
