// SPDX-License-Identifier: Apache-2.0
// One work item: a block of query rows of one unit against all of its keys.
#pragma once
#include <attend/attention.hpp>
#include <cstddef>

#include "cpu/kernel.hpp"
#include "plan/work_list.hpp"

namespace attend::cpu {

/// Every array of the workspace begins at a multiple of this. Vectors of a panel are read four at a time, 256 bytes: at
/// an odd multiple of 64 each such read touches two pairs of cache lines in halves, which cost a tenth of the speed.
inline constexpr int64_t kArrayAlignment = 256;
inline constexpr int64_t kWorkspaceAlignment = 4096;

constexpr int64_t align_up(int64_t bytes) { return (bytes + kArrayAlignment - 1) / kArrayAlignment * kArrayAlignment; }

/// Packed keys and values of one unit.
struct PackedPanels {
  const std::byte* k = nullptr;
  const std::byte* v = nullptr;
  const std::byte* v_nonfinite = nullptr;  ///< one flag per panel
  int64_t k_bytes = 0, v_bytes = 0;        ///< of one panel
  Range keys;                              ///< the first panel begins at keys.begin
};

/// What a worker needs beside the packed panels; one block uses it at a time.
struct BlockScratch {
  void* q = nullptr;
  float* scores = nullptr;
  void* probs = nullptr;
  float* max = nullptr;
  float* sum = nullptr;
  float* out = nullptr;
  std::byte* gather = nullptr;

  static int64_t bytes(const AttentionFwdKernel& kernel, const AttentionFwd& problem) {
    BlockScratch scratch;
    return scratch.place(kernel, problem, nullptr);
  }
  /// Lays the arrays out from `base` on; returns the bytes used.
  int64_t place(const AttentionFwdKernel& kernel, const AttentionFwd& problem, std::byte* base);
};

// Both enumerations count the same rows, so a type that the kernels do not know does not compile.
#define ATTEND_DTYPE(name, bytes, significand_bits, safetensors, npy) \
  static_assert(static_cast<int32_t>(DType::name) == static_cast<int32_t>(Element::name));
#include <attend/dtypes.def>
#undef ATTEND_DTYPE
constexpr Element element(DType type) { return static_cast<Element>(type); }

void run_block(const AttentionFwdKernel& kernel, Arithmetic arithmetic, const AttentionFwd& problem,
               const AttentionFwdArgs& args, const plan_detail::Unit& unit, const plan_detail::Task& task,
               const PackedPanels& panels, std::byte* scratch);

}  // namespace attend::cpu
