// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attention.hpp>
#include <attend/rope.hpp>

namespace attend {

/// New keys and values, and where they go.
struct KvAppendArgs {
  /// Rows of the new tokens, of `type`, with strides as those of q: row r of sequence n, key head h.
  const void* new_k = nullptr;
  const void* new_v = nullptr;
  DType type = DType::f32;
  Strides new_k_strides, new_v_strides;
  /// Keys are turned before they are stored; null: they are not.
  const Rope* rope = nullptr;
  /// Of each new token, in the order of sequences and rows; empty: its own place in its sequence.
  Array<int32_t> positions;

  void* k = nullptr;  ///< the cache
  void* v = nullptr;
  void* k_scales = nullptr;  ///< written for tokens; read for channels
  void* v_scales = nullptr;
  const float* k_mean = nullptr;  ///< subtracted from keys before they are stored
};

struct KvAppendOptions {
  int threads = 0;                     ///< as in PlanOptions
  const Executor* executor = nullptr;  ///< the caller's threads
};

/// Writes K and V of the tokens that a step adds into the cache: those at which the Problem's queries stand, the last
/// query_length(n) of the key_length(n) of each sequence. So the Problem of a step's attention is that of its append.
/// Encodes as kv_encode() does, after rotating (attend/rope.hpp) and taking the mean away. Touches no other token, so
/// that readers of earlier ones may run at the same time (docs/caches.md). Nothing is written when it fails. Errors:
/// invalid_argument naming argument, found and expected; two new tokens in one place are one.
Status kv_append(const AttentionFwd& problem, const KvAppendArgs& args, const KvAppendOptions& options = {});

}  // namespace attend
