// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attention.hpp>
#include <cstdint>

#include "ops/mask/terms.hpp"

namespace attend {

/// Calls f(frame, times) for the frames of all sequences and query heads: once for those that see the same keys, with
/// how many they are.
template <class F>
void for_distinct_frames(const AttentionFwd& problem, F&& f) {
  const bool alike = problem.cu_q.empty() && problem.cu_k.empty() && !problem.cache &&
                     !differs_by_batch(problem.mask) && problem.b > 0;
  const int64_t heads = problem.mask.per_head() ? problem.hq : 1, sequences = alike ? 1 : problem.b;
  for (int64_t n = 0; n < sequences; ++n)
    for (int64_t head = 0; head < heads; ++head)
      f(problem.frame(n, head), (problem.hq / heads) * (alike ? problem.b : 1));
}

}  // namespace attend
