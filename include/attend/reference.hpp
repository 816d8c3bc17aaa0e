// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attention.hpp>
#include <attend/attention_bwd.hpp>
#include <string>
#include <vector>

namespace attend {

/// One output row of the oracle in fp64, and how far a correct kernel may be from it.
struct ReferenceRow {
  std::vector<double> o, o_bound;  ///< [dv]
  double lse = 0, lse_bound = 0;
};

/// Evaluates row `row` of sequence `n`, query head `head` by plain loops (reference/attention.hpp), on the inputs as
/// they are stored. Time O(sk * (d + dv)). The bound is first order in the unit roundoffs and includes the rounding of
/// o to its type; infinite where the exact value is not finite.
ReferenceRow reference_row(const AttentionFwd& problem, const AttentionFwdArgs& args, Arithmetic arithmetic, int64_t n,
                           int64_t head, int64_t row);

/// How a kernel's output compares with the oracle.
struct Comparison {
  double max_ratio = 0;  ///< largest error / bound; a correct kernel stays at or below 1
  double max_error = 0;  ///< largest absolute error of o
  double rms_error = 0, rms_value = 0;
  int64_t rows = 0;           ///< compared
  std::string first_failure;  ///< empty, or batch, head, row, column, found, expected, bound of the first ratio above 1
};

/// Compares o (and lse when asked for) with the oracle on all rows, or on `sample` rows chosen by `seed` (the first and
/// last row of each sequence always among them). A NaN where the oracle is finite, and the reverse, is a failure.
Comparison compare_with_reference(const AttentionFwd& problem, const AttentionFwdArgs& args, Arithmetic arithmetic,
                                  int64_t sample = -1, uint64_t seed = 0);

/// Compares the gradients of a run with the formulas of AttentionBwd in fp64, on the inputs as they are stored, o and
/// lse among them: dq, dk, dv, and dbias and dsink where asked for; or `sample` rows each of dq and of dk and dv,
/// chosen by `seed`. Keys that no row sees, and rows that see none, must have exactly zero. Comparison::rows counts
/// rows of tensors. Time O(b * hq * sq * sk * (d + dv)), or O(sample * (sq + sk) * (d + dv)).
Comparison compare_gradients_with_reference(const AttentionBwd& problem, const AttentionBwdArgs& args,
                                            Arithmetic arithmetic, int64_t sample = -1, uint64_t seed = 0);

}  // namespace attend
