// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attention.hpp>

namespace attend {

/// The Problem of one exact backward pass: the gradients of a scalar L with respect to what an AttentionFwd read, from
/// dO = dL/dO and the O and log-sum-exp that the forward pass wrote (FlashAttention-2, arXiv:2307.08691, algorithm 2):
///
///   P = exp(s - lse)      D = rowsum(dO * O)      dS = P * (dO . V^T - D)
///   dV = P^T . dO         dQ = scale * dZ . K     dK = scale * dZ^T . Q        dbias = dS        dsink = -sum P_sink *
///   D
///
/// with dZ = dS times the softcap's derivative, 1 - tanh^2. P is computed anew from lse, so that memory stays O(N). dK
/// and dV are summed over the query heads of a group, dbias over the indices that the bias does not have, dsink over
/// sequences and rows. ALiBi slopes have no gradient. Rows whose lse is -inf contribute exactly nothing; what lies in
/// masked slots reaches nothing. States what is asked, never how.
struct AttentionBwd {
  AttentionFwd forward;  ///< what was computed. Its lse must be true: the backward pass reads it.

  DType do_type = DType::f32, dq_type = DType::f32, dk_type = DType::f32, dv_type = DType::f32;
  /// As in AttentionFwd: dO and dQ are laid out by its cu_q, dK and dV by its cu_k.
  Strides do_strides, dq_strides, dk_strides, dv_strides;
  bool dbias = false;  ///< f32, shaped as the bias, which the forward Problem must have
  bool dsink = false;  ///< f32 [hq]; the forward Problem must have a sink

  /// dO as O is, dQ, dK and dV as Q, K and V are; where an input repeats numbers (a stride of 0), its gradient is dense
  /// [batch][row][head][column]. No dbias, no dsink.
  static AttentionBwd of(const AttentionFwd& forward);

  int64_t do_offset(int64_t n, int64_t row, int64_t head) const {
    return offset(do_strides, forward.cu_q, n, row, head);
  }
  int64_t dq_offset(int64_t n, int64_t row, int64_t head) const {
    return offset(dq_strides, forward.cu_q, n, row, head);
  }
  int64_t dk_offset(int64_t n, int64_t row, int64_t head) const {
    return offset(dk_strides, forward.cu_k, n, row, head);
  }
  int64_t dv_offset(int64_t n, int64_t row, int64_t head) const {
    return offset(dv_strides, forward.cu_k, n, row, head);
  }

  /// ok, or invalid_argument: `attention_bwd: <argument> is <found>, expected <what>`.
  Status check() const;
  /// Only for a Problem that check() accepts. Five products: flops = 2 * visible_pairs * (3 d + 2 dv).
  Cost cost() const;
  /// One line; parse(text()) is the same Problem.
  std::string text() const;
  /// The grammar is in docs/problem-text.md. Error: invalid_argument naming the field. The result has passed check().
  static Result<AttentionBwd> parse(std::string_view line);

 private:
  static int64_t offset(const Strides& s, const Offsets& cu, int64_t n, int64_t row, int64_t head) {
    return (cu.empty() ? n * s.batch : cu[n] * s.row) + row * s.row + head * s.head;
  }
};

/// Memory of one run. Pointers to arrays that the Problem does not ask for are ignored. Outputs overlap nothing.
struct AttentionBwdArgs {
  const void* q = nullptr;
  const void* k = nullptr;
  const void* v = nullptr;
  const void* o = nullptr;     ///< as the forward pass wrote it
  const float* lse = nullptr;  ///< likewise
  const void* dout = nullptr;  ///< dO
  const float* alibi_slopes = nullptr;
  const float* bias = nullptr;
  const float* sink = nullptr;
  void* dq = nullptr;
  void* dk = nullptr;
  void* dv = nullptr;
  float* dbias = nullptr;  ///< [b or 1][hq or 1][sq or 1][sk], as the bias
  float* dsink = nullptr;  ///< [hq]
};

/// How a backward Problem will be run. Immutable; may be run from several threads at once, each with its own workspace.
/// Refers to the arrays that the Problem's offsets and masks view.
class AttentionBwdPlan {
 public:
  const AttentionBwd& problem() const;
  const std::string& kernel() const;  ///< id of the row, `attention_bwd.avx512.f32`
  const std::string& isa() const;     ///< `avx512`
  Arithmetic arithmetic() const;
  int threads() const;
  int64_t tile_rows() const;  ///< with tile_keys(): the tiles of which the kernel asks whether the mask skips them
  int64_t tile_keys() const;
  size_t workspace_bytes() const;  ///< what run() needs; any alignment
  const std::vector<Candidate>& candidates() const;
  std::string explain() const;  ///< several lines for a person

  /// Computes; the same input gives the same bits, whatever the threads. Allocates nothing, keeps no state. Error:
  /// invalid_argument for a missing pointer or a small workspace.
  Status run(const AttentionBwdArgs& args, std::span<std::byte> workspace) const;
  /// The same with a workspace of its own. Error: out_of_memory as well.
  Status run(const AttentionBwdArgs& args) const;

  struct Impl;
  explicit AttentionBwdPlan(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<const Impl> impl_;
};

/// Chooses a kernel. Errors: what check() says; unsupported with every row and its reason, or for a device: the
/// backward pass runs on the CPU.
Result<AttentionBwdPlan> plan(const AttentionBwd& problem, const PlanOptions& options = {});

}  // namespace attend
