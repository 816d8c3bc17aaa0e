// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/array.hpp>
#include <attend/executor.hpp>
#include <attend/status.hpp>
#include <attend/tensor.hpp>
#include <cstdint>
#include <span>

namespace attend {

/// Attention over a part of the keys: its output and its log-sum-exp, together the state of FlashInfer
/// (arXiv:2501.01005, section 2.2). The part without keys is o = 0, lse = -inf; its o is not read.
struct PartialResult {
  ConstTensor o;               ///< [batch, rows, heads, cols]
  const float* lse = nullptr;  ///< [batch][heads][rows], natural logarithm, as attention writes it
};

struct MergeOptions {
  int threads = 0;                     ///< 0: executor->workers, or ATTEND_NUM_THREADS, or what OpenMP says
  const Executor* executor = nullptr;  ///< the caller's threads
};

/// Joins results over disjoint parts of the keys to that over all of them:
///
///   lse = log(sum of exp(lse_i))        o = sum of exp(lse_i - lse) * o_i
///
/// It does not matter, but for rounding, how keys are cut and in which order parts are joined; a result can be a part
/// of the next merge. `lse` is [batch][heads][rows] and may be null. o and lse may be those of a part: each row is read
/// before it is written. The bits do not depend on threads. Rounding: docs/merge.md. A sink is a part of the sum: it
/// belongs to one part only.
///
/// Errors: invalid_argument naming the part and what differs, or a missing pointer.
Status merge(std::span<const PartialResult> parts, const Tensor& o, float* lse, const MergeOptions& options = {});

/// The same where rows have different numbers of parts, all in one array: row r's are cu_parts[r] to cu_parts[r + 1] -
/// 1.
///
/// parts  [1, cu_parts[rows], heads, cols]      parts_lse  [cu_parts[rows]][heads]      cu_parts  rows + 1 numbers
/// o      [1, rows, heads, cols]                lse        [rows][heads], or null
///
/// A row without parts gives o = 0, lse = -inf. Outputs do not overlap inputs.
Status merge_ragged(const ConstTensor& parts, const float* parts_lse, const Offsets& cu_parts, const Tensor& o,
                    float* lse, const MergeOptions& options = {});

}  // namespace attend
