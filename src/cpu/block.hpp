// SPDX-License-Identifier: Apache-2.0
// One work item: a block of query rows of one unit against all of its keys.
#pragma once
#include <attend/attention.hpp>
#include <cstddef>

#include "cpu/kernel.hpp"
#include "plan/work_list.hpp"

namespace attend::cpu {

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

  static int64_t bytes(const AttentionFwdKernel& kernel, const AttentionFwd& problem) {
    BlockScratch scratch;
    return scratch.place(kernel, problem, nullptr);
  }
  /// Lays the arrays out from `base` (64-byte aligned) on; returns the bytes used.
  int64_t place(const AttentionFwdKernel& kernel, const AttentionFwd& problem, std::byte* base);
};

constexpr Element element(DType type) { return static_cast<Element>(type); }

void run_block(const AttentionFwdKernel& kernel, Arithmetic arithmetic, const AttentionFwd& problem,
               const AttentionFwdArgs& args, const plan_detail::Unit& unit, const plan_detail::Task& task,
               const PackedPanels& panels, std::byte* scratch);

}  // namespace attend::cpu
