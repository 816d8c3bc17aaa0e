// SPDX-License-Identifier: Apache-2.0
// The kernel that takes every Problem (kernels/attention_fwd/simple.cuh).
#include <algorithm>
#include <span>

#include "cuda/attention_fwd_lists.hpp"

namespace attend::cuda {
namespace {

using attention_fwd::kSimpleKeys, attention_fwd::kSimpleRows, attention_fwd::kSimpleThreads;

class SimpleRun final : public plan_detail::PreparedRun {
 public:
  SimpleRun(std::shared_ptr<Context> context, KernelHandle kernel, const AttentionFwd& problem)
      : context_(context), kernel_(kernel), problem_(problem), lists_(context, problem_, {kSimpleRows, kSimpleKeys}) {}
  Status upload() { return lists_.upload(); }

  int threads() const override { return 0; }
  int64_t tile_rows() const override { return kSimpleRows; }
  int64_t tile_keys() const override { return kSimpleKeys; }
  size_t workspace_bytes() const override { return 0; }
  std::string explain() const override { return lists_.explain(); }
  Result<MemoryTraffic> memory_traffic(int64_t level_bytes) const override {
    return lists_.memory_traffic(level_bytes);
  }

  Status run(const AttentionFwdArgs& args, std::byte*) const override {
    if (lists_.items() == 0) return {};
    // As many blocks as the multiprocessors hold at a time, and a few.
    const int64_t resident = std::max(context_->facts().multiprocessors, 1) * int64_t{4};
    const int64_t blocks = std::min(resident, lists_.items());
    return context_->with([&](LaunchBackend& backend) {
      return launch_simple(backend, kernel_, lists_.params(args), blocks, {reinterpret_cast<uint64_t>(args.stream)});
    });
  }

 private:
  std::shared_ptr<Context> context_;
  KernelHandle kernel_;
  AttentionFwd problem_;
  AttentionFwdLists lists_;
};

}  // namespace

Status launch_simple(LaunchBackend& backend, KernelHandle kernel, const attention_fwd::Params& params, int64_t blocks,
                     StreamHandle stream) {
  LaunchConfig config;
  config.grid.x = static_cast<uint32_t>(blocks);
  config.block.x = kSimpleThreads;
  config.dynamic_shared_bytes = static_cast<uint32_t>(attention_fwd::simple_shared_bytes(params.d, params.dv));
  config.stream = stream;
  return backend.launch(kernel, config, std::as_bytes(std::span(&params, 1)));
}

Result<std::shared_ptr<const plan_detail::PreparedRun>> prepare_simple(std::shared_ptr<Context> context,
                                                                       const AttentionFwd& problem) {
  const Result<KernelHandle> kernel = context->kernel(*find_image(kSimpleImage));
  if (!kernel.ok()) return kernel.status();
  auto run = std::make_shared<SimpleRun>(std::move(context), *kernel, problem);
  if (Status status = run->upload(); !status.ok()) return status;
  return std::shared_ptr<const plan_detail::PreparedRun>(std::move(run));
}

}  // namespace attend::cuda
