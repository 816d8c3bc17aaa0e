// SPDX-License-Identifier: Apache-2.0
// FlashAttention-2 (kernels/attention_fwd/sm80.cuh): one block of threads for each item.
#include <algorithm>
#include <iterator>
#include <span>

#include "cuda/attention_fwd_mma16.hpp"
#include "cuda/kernels/attention_fwd/sm80_params.hpp"

namespace attend::cuda {
namespace {

using attention_fwd::Sm80Shape;
using plan_detail::KernelRow;

/// A row of sm80.def.
struct Row {
  const char* element;
  DType type;
  Sm80Shape shape;
  const char* image;
};

constexpr Row kRows[] = {
#define ATTEND_SM80(element, d, dv, rows, keys, warps, stages) \
  {#element,                                                   \
   DType::element,                                             \
   {d, dv, rows, keys, warps, stages},                         \
   "attention_fwd_sm80_" #element "_" #d "_" #dv "_" #rows "x" #keys "_" #warps "_" #stages},
#include "cuda/kernels/attention_fwd/sm80.def"
#undef ATTEND_SM80
};

const Row& row_of(const KernelRow& row) { return kRows[row.index]; }

bool same_columns(const Row& a, const Row& b) {
  return a.type == b.type && a.shape.d == b.shape.d && a.shape.dv == b.shape.dv;
}

std::string refuse(const KernelRow& kernel_row, const AttentionFwd& p) {
  const Row& row = row_of(kernel_row);
  std::string why = refuse_mma16({row.type, row.shape.d, row.shape.dv}, p);
  if (why.empty())
    why = refuse_strides(
        p, [](int64_t stride) { return stride % 8 == 0; }, "multiples of 8");
  return why;
}

class Sm80Run final : public Mma16Run {
 public:
  Sm80Run(std::shared_ptr<Context> context, const Row& row, const AttentionFwd& problem)
      : Mma16Run(std::move(context), row.image, problem,
                 {row.shape.rows, row.shape.keys, attention_fwd::kSimpleRows, /*has_shares=*/false}),
        shape_(row.shape) {}

 private:
  std::string schedule() const override {
    return std::to_string(shape_.warps) + " warps of " + std::to_string(shape_.rows / shape_.warps) + " rows, " +
           std::to_string(shape_.stages) + (shape_.stages == 1 ? " tile" : " tiles") +
           " of keys and of values in shared memory, " + std::to_string(shape_.shared_bytes()) +
           " bytes with the queries; a block of threads for each block of rows";
  }

  Status launch(LaunchBackend& backend, KernelHandle kernel, const AttentionFwdArgs& args,
                const attention_fwd::Params& params, StreamHandle stream) const override {
    const struct {
      const char* name;
      const void* data;
    } tensors[] = {{"q", args.q}, {"k", args.k}, {"v", args.v}, {"o", args.o}};
    for (const auto& tensor : tensors)
      if (Status status = require_aligned(image(), tensor.name, tensor.data); !status.ok()) return status;
    LaunchConfig config;
    config.grid.x = static_cast<uint32_t>(lists().items());
    config.block.x = static_cast<uint32_t>(shape_.threads());
    config.dynamic_shared_bytes = static_cast<uint32_t>(shape_.shared_bytes());
    config.stream = stream;
    return backend.launch(kernel, config, std::as_bytes(std::span(&params, 1)));
  }

  const Sm80Shape& shape_;
};

Result<std::shared_ptr<const plan_detail::PreparedRun>> prepare(const KernelRow& kernel_row,
                                                                const AttentionFwd& problem,
                                                                const PlanOptions& options) {
  auto run = std::make_shared<Sm80Run>(options.device.context(), row_of(kernel_row), problem);
  if (Status status = run->prepare(); !status.ok()) return status;
  return std::shared_ptr<const plan_detail::PreparedRun>(std::move(run));
}

/// A row whose columns an earlier one has is named for what it does otherwise.
std::string id_of(const Row& row, const Row& first) {
  std::string id = std::string("attention_fwd.sm80.") + row.element + ".d" + std::to_string(row.shape.d);
  if (row.shape.dv != row.shape.d) id += "_" + std::to_string(row.shape.dv);
  if (row.shape.rows != first.shape.rows || row.shape.keys != first.shape.keys)
    id += "." + std::to_string(row.shape.rows) + "x" + std::to_string(row.shape.keys);
  if (row.shape.rows / row.shape.warps != first.shape.rows / first.shape.warps)
    id += ".warps_" + std::to_string(row.shape.warps);
  if (row.shape.stages != first.shape.stages) id += ".stages_" + std::to_string(row.shape.stages);
  return id;
}

}  // namespace

std::vector<KernelRow> sm80_rows(const DeviceFacts& facts) {
  const auto fits = [&](const Row& row) {
    return static_cast<size_t>(row.shape.shared_bytes()) <= facts.shared_bytes_per_block;
  };
  std::vector<KernelRow> rows;
  for (size_t i = std::size(kRows); i-- > 0;) {
    const Row& row = kRows[i];
    const Row& first =
        *std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& each) { return same_columns(each, row); });
    KernelRow out;
    out.id = id_of(row, first);
    if (std::any_of(&first, &row, [&](const Row& each) { return same_columns(each, row) && fits(each); }))
      out.slower = "for comparison, to be asked for by name";
    out.isa = "sm80";
    out.arithmetic = Arithmetic::mma16;
    out.why = "mma.sync on tiles that threads copy in the background, each warp with rows of its own";
    const KernelImage* image = find_image(row.image);
    if (image == nullptr)
      out.unavailable = "built without nvcc";
    else if (facts.major < image->major)
      out.unavailable = needs_capability(facts, "8.0");
    else if (!fits(row))
      out.unavailable = facts.name + " has " + std::to_string(facts.shared_bytes_per_block) +
                        " bytes of shared memory for a block, the kernel needs " +
                        std::to_string(row.shape.shared_bytes());
    out.index = static_cast<int>(i);
    out.refuse = refuse;
    out.prepare = prepare;
    rows.push_back(std::move(out));
  }
  return rows;
}

}  // namespace attend::cuda
