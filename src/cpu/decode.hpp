// SPDX-License-Identifier: Apache-2.0
// Sequences with few query rows: each item streams a chunk of keys past its rows; whoever finishes the last chunk of
// some rows merges them.
#pragma once
#include <attend/attention.hpp>
#include <cstddef>
#include <functional>
#include <string>

#include "cpu/decode_kernel.hpp"
#include "plan/decode_list.hpp"

namespace attend::cpu {

/// Rows of all key heads of an item at most: with their outputs they stay in L2 while the keys stream by.
inline constexpr int64_t kDecodeItemRows = 256;

class Decode {
 public:
  /// Of the sequences for which the rule holds; `chunk_keys` as DecodeList::Shape::chunk_blocks, in keys.
  Decode(const DecodeKernel& kernel, const AttentionFwd& problem, const plan_detail::DecodeRule& rule,
         int64_t chunk_keys);

  const plan_detail::DecodeList& list() const { return list_; }
  int64_t scratch_bytes() const;                                 ///< of a worker
  int64_t state_bytes() const { return 4 * (2 + out_stride_); }  ///< of a row and a chunk of its keys
  int64_t shared_bytes() const;                                  ///< of a run
  /// Before any item of a run.
  void begin(std::byte* shared) const;
  /// In any order, by any thread. `likely_next`: the item that this thread will probably run next; its first keys are
  /// fetched at the end of this one.
  void run_item(const AttentionFwdArgs& args, int64_t index, std::byte* scratch, std::byte* shared,
                const std::function<int64_t()>& likely_next) const;
  /// A line of explain().
  std::string explain() const;

 private:
  class Item;
  struct Shared;
  struct Scratch;

  const DecodeKernel& kernel_;
  const AttentionFwd& problem_;
  DecodeShape shape_;
  int64_t out_stride_ = 0, q_bytes_ = 0;  ///< the latter of one block of rows
  int64_t most_blocks_ = 0;               ///< of rows, of all heads of an item
  plan_detail::DecodeList list_;
};

}  // namespace attend::cpu
