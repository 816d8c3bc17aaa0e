// SPDX-License-Identifier: Apache-2.0
// What one worker does for one chunk of keys of a backward pass.
#pragma once
#include <attend/attention_bwd.hpp>
#include <cstddef>

#include "cpu/bwd_kernel.hpp"
#include "plan/bwd_work_list.hpp"

namespace attend::cpu {

/// Panels of a chunk at most.
inline constexpr int kBwdChunkPanels = 8;

/// A worker's own arrays: a packed chunk of keys with its dK and dV, a packed block of queries with its dQ, scratch.
struct BwdScratch {
  std::byte *kt = nullptr, *vt = nullptr, *k = nullptr;
  float *dk = nullptr, *dv = nullptr;
  std::byte *q = nullptr, *dout = nullptr, *q_rows = nullptr, *dout_rows = nullptr;
  float* dq = nullptr;
  float *probs = nullptr, *dscores = nullptr;
  std::byte *probs_pairs = nullptr, *dscores_pairs = nullptr, *dscores_rows = nullptr;

  static int64_t bytes(const AttentionBwdKernel& kernel, Arithmetic arithmetic, const AttentionFwd& problem,
                       int64_t chunk_panels) {
    BwdScratch scratch;
    return scratch.place(kernel, arithmetic, problem, chunk_panels, nullptr);
  }
  /// Lays the arrays out from `base` on; returns the bytes used.
  int64_t place(const AttentionBwdKernel& kernel, Arithmetic arithmetic, const AttentionFwd& problem,
                int64_t chunk_panels, std::byte* base);
};

/// What every item of a run sees.
struct BwdContext {
  const AttentionBwdKernel& kernel;
  Arithmetic arithmetic;
  const AttentionBwd& problem;
  const AttentionBwdArgs& args;
  int64_t chunk_panels;
  const float* minus_lse;    ///< of all rows, in log2 units; +inf: the row has no weight
  const float* minus_delta;  ///< of all rows
};

/// A chunk of keys against the blocks of query rows that see it, one after the other.
class BwdChunk {
 public:
  BwdChunk(const BwdContext& context, const plan_detail::BwdUnit& unit, int64_t chunk, std::byte* scratch);
  /// Adds the block's part to dK and dV (and dbias).
  void block(const plan_detail::BwdBlockRows& block);
  /// The block's part of dQ / scale, [rows][out_stride(d)], until the next block.
  const float* dq() const { return scratch_.dq; }
  /// Writes dK and dV.
  void finish();

 private:
  void pack_keys();
  void pack_rows(const plan_detail::BwdBlockRows& block);
  void read_terms(const plan_detail::BwdBlockRows& block);

  const BwdContext& context_;
  const AttentionFwd& problem_;
  const plan_detail::BwdUnit& unit_;
  Range keys_;
  int64_t panels_;
  BwdScratch scratch_;
  bool packed_ = false;
  float q_factor_ = 1;
  bool k_nonfinite_[kBwdChunkPanels] = {};

  BwdBlock block_;
  StripeTerms terms_;
  float minus_lse_[kBwdRows], minus_delta_[kBwdRows], slope_[kBwdRows];
  int64_t query_[kBwdRows], key_position_[kBwdRows];
  const float* bias_[kBwdRows];
  float* dbias_[kBwdRows];
  bool empty_[kBwdRows], any_empty_ = false;
};

}  // namespace attend::cpu
