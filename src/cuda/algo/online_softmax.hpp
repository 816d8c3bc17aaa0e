// SPDX-License-Identifier: Apache-2.0
// One row of online softmax (Dao 2023, arXiv:2307.08691, algorithm 1) in base 2, for host and device. A row may be
// spread over several threads: each keeps the sum of its own keys, all the same reference.
#pragma once
#include <attend/mask/tile.hpp>
#include <cmath>

namespace attend::cuda::algo {

/// 2^x, relative error below 2^-22; results below 2^-126 are 0.
ATTEND_HD inline float exp2_fast(float x) {
#ifdef __CUDA_ARCH__
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return std::exp2(x);
#endif
}

struct SoftmaxRow {
  /// How far a maximum may rise above the reference before outputs are rescaled: probabilities stay below 2^8, and most
  /// tiles need no rescaling. The quotient at the end is the same.
  static constexpr float kSlack = 8;
  static constexpr float kLn2 = 0.6931471805599453f;

  float reference;  ///< what scores are relative to, in units of log2; -inf before any score
  float sum;        ///< of this thread's keys, relative to the reference

  ATTEND_HD static SoftmaxRow empty() { return {-INFINITY, 0}; }

  /// Before a tile whose largest score is `tile_max`. Returns what earlier outputs are to be multiplied by.
  ATTEND_HD float raise(float tile_max) {
    if (!(tile_max > reference + kSlack)) return 1;
    const float factor = exp2_fast(reference - tile_max);
    reference = tile_max;
    sum *= factor;
    return factor;
  }
  /// What to subtract from scores: a row that has seen no key yet has nothing to be relative to.
  ATTEND_HD float base() const { return reference == -INFINITY ? 0 : reference; }

  /// At the end, with the sum over all threads: what outputs are to be multiplied by, 0 for a row without weight.
  ATTEND_HD float output_factor() const { return sum == 0 ? 0 : 1 / sum; }
  ATTEND_HD float lse() const { return sum == 0 ? -INFINITY : reference * kLn2 + std::log(sum); }
  /// A sink, one key more of value 0; before the two above, with the sum over all threads. Returns the factor of the
  /// outputs.
  ATTEND_HD float add_sink(float score) {
    const float factor = raise(score);
    sum += exp2_fast(score - base());
    return factor;
  }
};

}  // namespace attend::cuda::algo
