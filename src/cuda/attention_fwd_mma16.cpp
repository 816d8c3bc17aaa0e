// SPDX-License-Identifier: Apache-2.0
#include "cuda/attention_fwd_mma16.hpp"

#include <algorithm>

namespace attend::cuda {

std::string refuse_mma16(const Mma16Limits& limits, const AttentionFwd& p) {
  if (p.cache) return kNoCache;
  const struct {
    const char* name;
    DType type;
  } tensors[] = {{"q", p.q_type}, {"k", p.k_type}, {"v", p.v_type}, {"o", p.o_type}};
  for (const auto& tensor : tensors)
    if (tensor.type != limits.type)
      return std::string(tensor.name) + " is " + dtype_name(tensor.type) + ", this row takes " +
             dtype_name(limits.type);
  if (p.d > limits.d) return "d is " + std::to_string(p.d) + ", this row takes at most " + std::to_string(limits.d);
  if (p.dv > limits.dv)
    return "dv is " + std::to_string(p.dv) + ", this row takes at most " + std::to_string(limits.dv);
  if (!(p.effective_scale() > 0)) return "the scale is not positive";
  constexpr int64_t kLongest = (int64_t{1} << 31) - 1024;
  const int64_t q_rows = p.cu_q.empty() ? p.sq : p.cu_q[p.b], k_rows = p.cu_k.empty() ? p.sk : p.cu_k[p.b];
  if (q_rows > kLongest || k_rows > kLongest) return "2^31 tokens or more";
  return {};
}

std::string refuse_strides(const AttentionFwd& p, bool (*takes)(int64_t stride), const char* expected) {
  const int64_t q_rows = p.cu_q.empty() ? p.sq : p.cu_q[p.b], k_rows = p.cu_k.empty() ? p.sk : p.cu_k[p.b];
  const int64_t q_sequences = p.cu_q.empty() ? p.b : 1, k_sequences = p.cu_k.empty() ? p.b : 1;
  const struct {
    const char* name;
    const Strides& strides;
    int64_t rows, heads, sequences;
  } tensors[] = {{"q", p.q_strides, q_rows, p.hq, q_sequences},
                 {"k", p.k_strides, k_rows, p.hk, k_sequences},
                 {"v", p.v_strides, k_rows, p.hk, k_sequences},
                 {"o", p.o_strides, q_rows, p.hq, q_sequences}};
  for (const auto& tensor : tensors) {
    const struct {
      const char* field;
      int64_t stride, count;
    } fields[] = {{"row", tensor.strides.row, tensor.rows},
                  {"head", tensor.strides.head, tensor.heads},
                  {"batch", tensor.strides.batch, tensor.sequences}};
    for (const auto& each : fields)
      if (each.count > 1 && !takes(each.stride))
        return std::string(tensor.name) + "_strides." + each.field + " is " + std::to_string(each.stride) +
               ", this row takes " + expected;
  }
  return {};
}

Status require_aligned(const char* image, const char* name, const void* data) {
  const uintptr_t beyond = reinterpret_cast<uintptr_t>(data) % 16;
  if (beyond == 0) return {};
  return invalid_argument(std::string("attention_fwd: args.") + name + " is not aligned to 16 bytes, which " + image +
                          " needs: it is " + std::to_string(beyond) +
                          " beyond; a plan with kernel=attention_fwd.cuda.simple takes any address");
}

std::string needs_capability(const DeviceFacts& facts, const char* needed) {
  return facts.name + " has compute capability " + std::to_string(facts.major) + "." + std::to_string(facts.minor) +
         ", the kernel needs " + needed;
}

Mma16Run::Mma16Run(std::shared_ptr<Context> context, const char* image, const AttentionFwd& problem,
                   const AttentionFwdLists::Kernel& kernel)
    : context_(std::move(context)),
      image_(image),
      tile_(kernel),
      problem_(problem),
      lists_(context_, problem_, kernel) {}

Status Mma16Run::prepare() {
  const struct {
    const char* image;
    KernelHandle& handle;
  } kernels[] = {{image_, kernel_}, {kSimpleImage, simple_}};
  for (const auto& each : kernels) {
    const Result<KernelHandle> kernel = context_->kernel(*find_image(each.image));
    if (!kernel.ok()) return kernel.status();
    each.handle = *kernel;
  }
  return lists_.upload();
}

std::string Mma16Run::explain() const {
  return lists_.explain() + "schedule   " + schedule() + "\nworkspace  " + std::to_string(workspace_bytes()) +
         " bytes: blocks with values that are not finite\n";
}

Status Mma16Run::run(const AttentionFwdArgs& args, std::byte* workspace) const {
  if (lists_.items() == 0) return {};
  workspace += -reinterpret_cast<uintptr_t>(workspace) % alignof(int32_t);
  attention_fwd::Params params = lists_.params(args);
  params.redo_count = reinterpret_cast<int32_t*>(workspace);
  params.redo = params.redo_count + 1;
  const StreamHandle stream{reinterpret_cast<uint64_t>(args.stream)};
  return context_->with([&](LaunchBackend& backend) {
    Status status = backend.fill(reinterpret_cast<DeviceAddress>(workspace), 0, sizeof(int32_t), stream);
    if (status.ok()) status = launch(backend, kernel_, args, params, stream);
    if (!status.ok()) return status;
    const int64_t blocks = std::min<int64_t>(row_blocks(), std::max(facts().multiprocessors, 1));
    return launch_simple(backend, simple_, params, blocks, stream);
  });
}

}  // namespace attend::cuda
