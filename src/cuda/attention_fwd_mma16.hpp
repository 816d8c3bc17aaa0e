// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "cuda/attention_fwd_lists.hpp"

// What families of kernels share that multiply in 16 bits, with tensors of one type.
namespace attend::cuda {

/// The most that a row takes.
struct Mma16Limits {
  DType type = DType::bf16;
  int32_t d = 0, dv = 0;
};
/// Why not: types, columns, the scale, lengths. Empty: it does.
std::string refuse_mma16(const Mma16Limits& limits, const AttentionFwd& problem);
/// The first stride along a dimension of more than one that the row does not take: "q_strides.row is 60, this row takes
/// `expected`".
std::string refuse_strides(const AttentionFwd& problem, bool (*takes)(int64_t stride), const char* expected);
/// args.<name> at a multiple of 16 bytes, or invalid_argument.
Status require_aligned(const char* image, const char* name, const void* data);
/// "H100 has compute capability 9.0, the kernel needs 8.0"
std::string needs_capability(const DeviceFacts& facts, const char* needed);

/// A run of such a kernel, and behind it of the simple one for the blocks of rows whose output is not finite.
class Mma16Run : public plan_detail::PreparedRun {
 public:
  Mma16Run(std::shared_ptr<Context> context, const char* image, const AttentionFwd& problem,
           const AttentionFwdLists::Kernel& kernel);
  /// Before anything else. Errors: those of Context::kernel() and AttentionFwdLists::upload().
  Status prepare();

  int threads() const override { return 0; }
  int64_t tile_rows() const override { return tile_.rows; }
  int64_t tile_keys() const override { return tile_.keys; }
  /// A count, and the list of blocks to be computed again; and what aligns them.
  size_t workspace_bytes() const override { return 4 * (1 + static_cast<size_t>(row_blocks())) + 3; }
  std::string explain() const override;
  Result<MemoryTraffic> memory_traffic(int64_t level_bytes) const override {
    return lists_.memory_traffic(level_bytes);
  }
  Status run(const AttentionFwdArgs& args, std::byte* workspace) const override;

 protected:
  const char* image() const { return image_; }
  const AttentionFwd& problem() const { return problem_; }
  const AttentionFwdLists& lists() const { return lists_; }
  const DeviceFacts& facts() const { return context_->facts(); }

  /// A line of explain().
  virtual std::string schedule() const = 0;
  /// The kernel alone; there is at least one item.
  virtual Status launch(LaunchBackend& backend, KernelHandle kernel, const AttentionFwdArgs& args,
                        const attention_fwd::Params& params, StreamHandle stream) const = 0;

 private:
  int64_t row_blocks() const { return lists_.items() * (tile_.rows / attention_fwd::kSimpleRows); }

  std::shared_ptr<Context> context_;
  const char* image_;
  AttentionFwdLists::Kernel tile_;
  AttentionFwd problem_;
  AttentionFwdLists lists_;
  KernelHandle kernel_, simple_;
};

}  // namespace attend::cuda
