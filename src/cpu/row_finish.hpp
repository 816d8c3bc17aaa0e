// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attention.hpp>

namespace attend::cpu {

/// Sum of kMaxLanes partial sums: a tree, so that the additions do not wait for each other.
float sum_of_lanes(const float* lanes);

/// The last step of a row: from the largest score `max` (log2 units) and the sum of exp2(s - max) over all kept keys to
/// the factor of the unnormalised output. Adds the sink, writes lse when the Problem asks for it. A row without a key
/// has sum 0 and gets factor 0.
float finish_row(const AttentionFwd& problem, const AttentionFwdArgs& args, int64_t n, int64_t query, int64_t head,
                 double max, double sum);

}  // namespace attend::cpu
