// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attention.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cuda/context.hpp"
#include "cuda/kernels/attention_fwd/params.hpp"
#include "plan/kernel_row.hpp"
#include "plan/tile_list.hpp"

namespace attend::cuda {

/// What kernels of exact forward attention read beside the tensors, on the device: sequences, items, tiles and bits, in
/// one allocation that lives as long as this.
class AttentionFwdLists {
 public:
  AttentionFwdLists(std::shared_ptr<Context> context, const AttentionFwd& problem,
                    const plan_detail::TileList::Shape& shape);
  ~AttentionFwdLists();
  AttentionFwdLists(const AttentionFwdLists&) = delete;
  AttentionFwdLists& operator=(const AttentionFwdLists&) = delete;

  /// Before anything else. Errors: out_of_memory, device.
  Status upload();
  const plan_detail::TileList& list() const { return list_; }
  size_t bytes() const { return bytes_; }
  /// Parameters of one run.
  attention_fwd::Params params(const AttentionFwdArgs& args) const;
  /// Lines of explain().
  std::string explain() const;

 private:
  std::shared_ptr<Context> context_;
  const AttentionFwd& problem_;
  plan_detail::TileList::Shape shape_;
  plan_detail::TileList list_;
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
/// Rows of sm90.def, slowest first.
std::vector<plan_detail::KernelRow> sm90_rows(const DeviceFacts& facts);

}  // namespace attend::cuda
