// SPDX-License-Identifier: Apache-2.0
// The contract between the driver (compiled for the baseline CPU) and the kernels (compiled once per ISA). Plain data
// and function pointers only: nothing inline is shared, so no wide instruction can leak into the baseline.
#pragma once
#include <cstdint>

namespace attend::cpu {

/// Keys of one packed panel; one mask word covers a row of it.
inline constexpr int kPanelKeys = 64;
/// Panels between two updates of a row's state: their scores stay in L1 (12 rows x 512 keys x 4 bytes = 24 KiB).
inline constexpr int kGroupPanels = 8;
/// Query rows that share one pass over a panel while it lies in L1.
inline constexpr int kStripeRows = 12;
/// Query rows of one work item at most: their packed Q and their O stay in L2 while K and V stream by.
inline constexpr int kBlockRows = 192;
/// Lanes of the widest vector: room that every per-row partial sum has.
inline constexpr int kMaxLanes = 16;
/// Columns of Q, K and V at most.
inline constexpr int kMaxColumns = 512;

/// Element types as the packers see them; the order of dtypes.def.
enum class Element : int32_t { f32, f16, bf16 };

/// Part of one packed panel as a stripe uses it.
struct StripePanel {
  const void* k = nullptr;
  const void* v = nullptr;
  const uint64_t* bits = nullptr;  ///< one word per row, bit set = kept; null: every row keeps all 64 keys
  int32_t keys = kPanelKeys;  ///< keys to look at; fewer than 64 only with bits, which are then clear from `keys` on
  bool v_nonfinite = false;   ///< some value is NaN or infinite, so that 0 * v is not 0
  int64_t first_key = 0;      ///< position of key 0 of the panel in the sequence
};

/// Score terms of the rows of one stripe, applied to s = scale * q.k in the order softcap, ALiBi, bias.
struct StripeTerms {
  float softcap = 0;                       ///< 0: none
  const float* slopes = nullptr;           ///< per row, or null
  const int64_t* key_positions = nullptr;  ///< per row: where it stands among the keys
  const float* const* bias = nullptr;      ///< per row: bias of key 0, or null
};

/// One stripe of query rows against one group of panels.
struct Stripe {
  int32_t rows = 0;    ///< 1 to kStripeRows
  int32_t panels = 0;  ///< 1 to kGroupPanels
  int32_t d = 0, dv = 0;
  const StripePanel* panel = nullptr;
  const void* q = nullptr;  ///< packed rows
  float score_scale = 1;  ///< what turns q.k of the packed operands into s * log2(e) (without terms) or s (with terms)
  const StripeTerms* terms = nullptr;
  float* scores = nullptr;  ///< scratch, [kGroupPanels][kStripeRows][kPanelKeys]
  void* probs = nullptr;    ///< scratch of the same shape in 16 bits, for kernels that round probabilities
  float* max = nullptr;     ///< [rows] running reference maximum in log2 units, -inf before the first kept key
  float* sum = nullptr;     ///< [rows][kMaxLanes] partial sums of exp2(s - max)
  float* out = nullptr;     ///< [rows][out_stride] unnormalised output
  int64_t out_stride = 0;
};

/// One kernel of one ISA. All packed buffers are aligned to 64 bytes.
struct AttentionFwdKernel {
  int32_t tile_rows;  ///< rows of its register tile; packed Q is a whole number of tiles
  /// Bytes of a packed panel, and of `rows` packed query rows (rows <= kBlockRows).
  int64_t (*k_panel_bytes)(int32_t d);
  int64_t (*v_panel_bytes)(int32_t dv);
  int64_t (*q_bytes)(int32_t rows, int32_t d);
  /// Columns of a row of `out`: dv rounded up to whole vectors.
  int64_t (*out_stride)(int32_t dv);
  /// Packs keys [0, keys) of d elements, row_stride elements apart. Keys from there to the end of their vector become
  /// zero; the rest stays as it is.
  void (*pack_k)(void* panel, const void* k, Element type, int64_t row_stride, int32_t keys, int32_t d);
  /// The same for values. Returns whether any of them is NaN or infinite.
  bool (*pack_v)(void* panel, const void* v, Element type, int64_t row_stride, int32_t keys, int32_t dv);
  /// Packs query rows, each at its own address, multiplied by `factor`.
  void (*pack_q)(void* packed, const void* const* rows, Element type, int32_t count, int32_t d, float factor);
  /// Where packed row `row` begins, row a multiple of kStripeRows.
  int64_t (*q_row_bytes)(int32_t row, int32_t d);
  void (*run_stripe)(const Stripe& stripe);
  /// Writes dv elements: out * factor, rounded to the type.
  void (*store_row)(void* o, Element type, const float* out, int32_t dv, float factor);
};

/// Register-only loops for measured peaks; each call does `*flops` floating-point operations and returns a number to
/// keep.
struct PeakLoops {
  float (*fma_f32)(int64_t iterations, double* flops);
  float (*dot_bf16)(int64_t iterations, double* flops);  ///< null where the ISA has none
  float (*read)(const float* data, int64_t count);       ///< streams `count` floats, a multiple of 128
};

}  // namespace attend::cpu
