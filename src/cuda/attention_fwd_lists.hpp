// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <attend/attention.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cuda/context.hpp"
#include "cuda/kernels/attention_fwd/params.hpp"
#include "plan/head_packing.hpp"
#include "plan/item_order.hpp"
#include "plan/kernel_row.hpp"

namespace attend::cuda {

/// What every row here says to a Problem with a cache.
inline constexpr const char* kNoCache = "K and V lie in a cache, which only the CPU's rows read";

/// What kernels of exact forward attention read beside the tensors, on the device: sequences, items, tiles and bits, in
/// one allocation that lives as long as this.
class AttentionFwdLists {
 public:
  /// What the kernel can do.
  struct Kernel {
    int32_t rows = 0, keys = 0;  ///< of a tile
    int32_t most_heads = 1;      ///< in the rows of an item, a power of two
    bool has_shares = false;     ///< a block of threads for each multiprocessor, with a list of its own
  };
  AttentionFwdLists(std::shared_ptr<Context> context, const AttentionFwd& problem, const Kernel& kernel);
  ~AttentionFwdLists();
  AttentionFwdLists(const AttentionFwdLists&) = delete;
  AttentionFwdLists& operator=(const AttentionFwdLists&) = delete;

  /// Before anything else. Errors: out_of_memory, device.
  Status upload();
  int64_t items() const { return static_cast<int64_t>(packing_.list.items.size()); }
  /// Heads in the rows of an item.
  int32_t pack() const { return packing_.heads; }
  /// Blocks of threads that have items of their own; 0 where all take items in turn.
  int64_t shares() const { return std::max<int64_t>(static_cast<int64_t>(first_items_.size()) - 1, 0); }
  size_t bytes() const { return bytes_; }
  /// Parameters of one run.
  attention_fwd::Params params(const AttentionFwdArgs& args) const;
  /// Lines of explain().
  std::string explain() const;
  /// As AttentionFwdPlan::memory_traffic().
  Result<MemoryTraffic> memory_traffic(int64_t level_bytes) const;

 private:
  plan_detail::SectionShape section_shape() const;

  std::shared_ptr<Context> context_;
  const AttentionFwd& problem_;
  Kernel kernel_;
  plan_detail::HeadPacking packing_;
  int64_t section_budget_ = 0;
  std::vector<plan_detail::Section> sections_;
  std::vector<int32_t> first_items_;
  DeviceAddress address_ = 0;
  size_t bytes_ = 0;
  attention_fwd::Params params_{};
};

/// Launches the kernel that takes every Problem: all rows, or those that Params::redo lists.
Status launch_simple(LaunchBackend& backend, KernelHandle kernel, const attention_fwd::Params& params, int64_t blocks,
                     StreamHandle stream);
inline constexpr char kSimpleImage[] = "attention_fwd_simple";

Result<std::shared_ptr<const plan_detail::PreparedRun>> prepare_simple(std::shared_ptr<Context> context,
                                                                       const AttentionFwd& problem);
/// Rows of sm80.def and of sm90.def, slowest first.
std::vector<plan_detail::KernelRow> sm80_rows(const DeviceFacts& facts);
std::vector<plan_detail::KernelRow> sm90_rows(const DeviceFacts& facts);

}  // namespace attend::cuda
