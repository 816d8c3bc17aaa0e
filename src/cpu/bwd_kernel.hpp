// SPDX-License-Identifier: Apache-2.0
// The contract between the schedule of the backward pass (compiled for the baseline CPU) and its kernels (compiled once
// per ISA). Plain data and function pointers only, as in kernel.hpp, whose packers and panels it uses.
#pragma once
#include "cpu/kernel.hpp"

namespace attend::cpu {

/// Query rows of one block: the length of the sums that make dK and dV, whole stripes. 96 rows of 64 columns are 24 KiB
/// of L1.
inline constexpr int kBwdRows = 96;
/// Panels of keys between two visits of dQ; their P and dS lie in scratch.
inline constexpr int kBwdPanels = 2;

/// One panel of keys as a block of query rows meets it.
struct BwdPanel {
  const void* kt = nullptr;        ///< K by pack_k: B of q.k
  const void* vt = nullptr;        ///< V by pack_k: B of dO.v
  const void* k = nullptr;         ///< K by pack_rows: B of dS.k
  float* dk = nullptr;             ///< [kPanelKeys][out_stride(d)], added to
  float* dv = nullptr;             ///< [kPanelKeys][out_stride(dv)], added to
  const uint64_t* bits = nullptr;  ///< one word per row of the block, bit set = kept; null: every row keeps all 64 keys
  int32_t keys = kPanelKeys;  ///< keys to look at; fewer than 64 only with bits, which are then clear from `keys` on
  int32_t row_begin = 0, row_end = 0;  ///< rows that may see any; row_begin is a multiple of kStripeRows
  bool k_nonfinite = false;            ///< some number of K is NaN or infinite, so that 0 * k is not 0
  int64_t first_key = 0;               ///< position of key 0 of the panel in the sequence
};

/// A block of query rows of one head against a few panels of keys. Arrays per row have kBwdRows entries.
struct BwdBlock {
  int32_t rows = 0, panels = 0;
  int32_t d = 0, dv = 0;
  const BwdPanel* panel = nullptr;
  const void* q = nullptr;             ///< by pack_q: A of q.k
  const void* dout = nullptr;          ///< by pack_q: A of dO.v
  const void* q_rows = nullptr;        ///< by pack_rows, room for kBwdRows: B of dS^T.q
  const void* dout_rows = nullptr;     ///< likewise: B of P^T.dO
  bool rows_nonfinite = false;         ///< some number of the two is NaN or infinite
  const float* minus_lse = nullptr;    ///< per row, in log2 units; 0 beyond the rows
  const float* minus_delta = nullptr;  ///< per row: -D
  float score_scale = 1;  ///< what turns q.k of the packed operands into s * log2(e) (without terms) or s (with terms)
  const StripeTerms* terms = nullptr;  ///< per row of the block
  float* probs = nullptr;              ///< scratch, [kBwdPanels][kBwdRows][kPanelKeys]: s, then P
  float* dscores = nullptr;            ///< scratch of the same shape: dO.v - D, then dS
  void* probs_pairs = nullptr;         ///< scratch in 16 bits, for kernels that round P and dS: two rows side by side
  void* dscores_pairs = nullptr;       ///< likewise
  void* dscores_rows = nullptr;        ///< likewise, two keys side by side
  float* dq = nullptr;                 ///< [kBwdRows][out_stride(d)], added to
  float* const* dbias = nullptr;       ///< per row: gradient of the bias of key 0, added to; or null
};

/// One kernel of one ISA. All packed buffers are aligned to 64 bytes.
struct AttentionBwdKernel {
  const AttentionFwdKernel* forward;  ///< pack_k, pack_q, out_stride and store_row are those of the forward pass
  /// Bytes of a panel of pack_rows with room for `capacity` rows.
  int64_t (*rows_bytes)(int32_t capacity, int32_t columns);
  /// Packs `count` rows of `columns` elements, row_stride elements apart, as pack_v does. Returns whether any number is
  /// NaN or infinite.
  bool (*pack_rows)(void* packed, const void* rows, Element type, int64_t row_stride, int32_t count, int32_t columns,
                    int32_t capacity);
  void (*run_block)(const BwdBlock& block);
  /// Sum of a[i] * b[i], in f32.
  float (*dot)(const void* a, Element a_type, const void* b, Element b_type, int32_t count);
};

}  // namespace attend::cpu
