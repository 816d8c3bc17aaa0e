// SPDX-License-Identifier: Apache-2.0
// FlashAttention-3 (kernels/attention_fwd/sm90.cuh): tensor maps and the launch.
#include <algorithm>
#include <cstring>
#include <span>

#include "cuda/attention_fwd_mma16.hpp"
#include "cuda/kernels/attention_fwd/sm90_params.hpp"

namespace attend::cuda {
namespace {

using attention_fwd::Exclusion, attention_fwd::Loader;
using attention_fwd::Sm90Params;
using attention_fwd::Sm90Shape;
using plan_detail::KernelRow;

constexpr int32_t kStages = 2;

/// A row of sm90.def.
struct Row {
  const char* element;
  DType type;
  Sm90Shape shape;
  const char* exclusion;  ///< its name
  bool overlap;
  const char* image;
};

constexpr Row kRows[] = {
#define ATTEND_SM90(element, d, dv, rows, keys, loader, exclusion, overlap) \
  {#element,                                                                \
   DType::element,                                                          \
   {d, dv, rows, keys, kStages, Loader::loader, Exclusion::exclusion},      \
   #exclusion,                                                              \
   (overlap) != 0,                                                          \
   "attention_fwd_sm90_" #element "_" #d "_" #dv "_" #rows "x" #keys "_" #loader "_" #exclusion "_" #overlap},
#include "cuda/kernels/attention_fwd/sm90.def"
#undef ATTEND_SM90
};

const Row& row_of(const KernelRow& row) { return kRows[row.index]; }

/// Heads that a block of rows may hold: a warp stores its 16 rows at once, and a tensor map takes a step from one pack
/// of heads to the next.
int32_t most_heads(const AttentionFwd& p) {
  int32_t heads = attention_fwd::kSimpleRows;
  while (heads > 1 && std::max(p.q_strides.head, p.o_strides.head) > (int64_t{1} << 38) / heads) heads /= 2;
  return heads;
}

std::string refuse(const KernelRow& kernel_row, const AttentionFwd& p) {
  const Row& row = row_of(kernel_row);
  std::string why = refuse_mma16({row.type, row.shape.d, row.shape.dv}, p);
  // What a tensor map can describe.
  if (why.empty())
    why = refuse_strides(
        p, [](int64_t stride) { return stride > 0 && stride % 8 == 0 && stride < int64_t{1} << 39; },
        "positive multiples of 8 below 2^39");
  return why;
}

class Sm90Run final : public Mma16Run {
 public:
  Sm90Run(std::shared_ptr<Context> context, const Row& row, const AttentionFwd& problem)
      : Mma16Run(std::move(context), row.image, problem,
                 {row.shape.rows, row.shape.keys, most_heads(problem), /*has_shares=*/true}),
        row_(row) {}

 private:
  std::string schedule() const override {
    return (row_.shape.loader == Loader::producer ? "1 producer warp, " : "no producer, ") +
           std::to_string(row_.shape.consumers()) + " consumer warpgroups, " + std::to_string(row_.shape.stages) +
           " stages, " + std::to_string(row_.shape.shared_bytes()) +
           " bytes of shared memory, exclusion: " + row_.exclusion + (row_.overlap ? ", products overlap softmax" : "");
  }

  struct Axes {
    const char* name;
    const void* data;
    const Strides& strides;
    int64_t columns, rows, heads, sequences;
    int32_t box_rows;  ///< those of all heads of a pack
    int32_t pack;      ///< 0: heads come one by one, and are one dimension
  };
  Result<atoms::TensorMap> map_of(LaunchBackend& backend, const Axes& axes, int32_t panel) const {
    if (Status status = require_aligned(image(), axes.name, axes.data); !status.ok()) return status;
    TiledDesc desc;
    desc.type = row_.type == DType::f16 ? TensorType::f16 : TensorType::bf16;
    desc.address = reinterpret_cast<DeviceAddress>(axes.data);
    const auto add = [&](int64_t dim, int64_t stride, int64_t box) {
      const size_t i = desc.rank++;
      desc.dim[i] = static_cast<uint64_t>(std::max<int64_t>(dim, 1));
      // Nobody takes a step along a dimension of one.
      if (i > 0) desc.stride_bytes[i - 1] = dim > 1 ? static_cast<uint64_t>(2 * stride) : 16;
      desc.box[i] = static_cast<uint32_t>(box);
    };
    const int32_t pack = std::max(axes.pack, 1);
    desc.rank = 0;
    add(axes.columns, 1, panel);
    if (axes.pack > 0) add(pack, axes.strides.head, pack);
    add(axes.rows, axes.strides.row, axes.box_rows / pack);
    add(axes.heads / pack, pack * axes.strides.head, 1);
    add(axes.sequences, axes.strides.batch, 1);
    desc.swizzle = panel == 64 ? TensorSwizzle::b128 : TensorSwizzle::b64;
    const Result<TensorMap> map = backend.encode_tiled(desc);
    if (!map.ok())
      return Status(map.status().code(), std::string("attention_fwd: ") + axes.name + ": " + map.status().message());
    atoms::TensorMap out;
    std::memcpy(out.bytes, map->bytes.data(), sizeof out.bytes);
    return out;
  }

  Status launch(LaunchBackend& backend, KernelHandle kernel, const AttentionFwdArgs& args,
                const attention_fwd::Params& common, StreamHandle stream) const override {
    const AttentionFwd& p = problem();
    const Sm90Shape& shape = row_.shape;
    const int64_t q_rows = p.cu_q.empty() ? p.sq : p.cu_q[p.b], k_rows = p.cu_k.empty() ? p.sk : p.cu_k[p.b];
    const int64_t q_sequences = p.cu_q.empty() ? p.b : 1, k_sequences = p.cu_k.empty() ? p.b : 1;
    // Without keys nothing is loaded, and there may be no memory to point to.
    const void* k = args.k != nullptr ? args.k : args.o;
    const void* v = args.v != nullptr ? args.v : args.o;
    const void* q = args.q != nullptr ? args.q : args.o;
    const int32_t panel = attention_fwd::panel_columns(shape.d), pack = lists().pack();
    const struct {
      Axes axes;
      atoms::TensorMap Sm90Params::*map;
    } tensors[] = {
        {{"q", q, p.q_strides, p.d, q_rows, p.hq, q_sequences, shape.rows, pack}, &Sm90Params::q},
        {{"k", k, p.k_strides, p.d, k_rows, p.hk, k_sequences, shape.keys, 0}, &Sm90Params::k},
        {{"v", v, p.v_strides, p.dv, k_rows, p.hk, k_sequences, shape.keys, 0}, &Sm90Params::v},
        {{"o", args.o, p.o_strides, p.dv, q_rows, p.hq, q_sequences, attention_fwd::kSimpleRows, pack}, &Sm90Params::o},
    };
    Sm90Params params{};
    for (const auto& tensor : tensors) {
      const Result<atoms::TensorMap> map = map_of(backend, tensor.axes, panel);
      if (!map.ok()) return map.status();
      params.*tensor.map = *map;
    }
    params.common = common;
    params.o_clips = p.cu_q.empty() ? 1 : 0;
    LaunchConfig config;
    config.grid.x = static_cast<uint32_t>(lists().shares());
    config.block.x = static_cast<uint32_t>(shape.threads());
    config.dynamic_shared_bytes = static_cast<uint32_t>(shape.shared_bytes());
    config.stream = stream;
    return backend.launch(kernel, config, std::as_bytes(std::span(&params, 1)));
  }

  const Row& row_;
};

Result<std::shared_ptr<const plan_detail::PreparedRun>> prepare(const KernelRow& kernel_row,
                                                                const AttentionFwd& problem,
                                                                const PlanOptions& options) {
  auto run = std::make_shared<Sm90Run>(options.device.context(), row_of(kernel_row), problem);
  if (Status status = run->prepare(); !status.ok()) return status;
  return std::shared_ptr<const plan_detail::PreparedRun>(std::move(run));
}

}  // namespace

std::vector<KernelRow> sm90_rows(const DeviceFacts& facts) {
  std::vector<KernelRow> rows;
  for (size_t i = std::size(kRows); i-- > 0;) {
    const Row& row = kRows[i];
    KernelRow out;
    out.id = std::string("attention_fwd.sm90.") + row.element + ".d" + std::to_string(row.shape.d);
    if (row.shape.dv != row.shape.d) out.id += "_" + std::to_string(row.shape.dv);
    // A row whose columns an earlier one has is named for what it does otherwise.
    const auto* first = std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& each) {
      return each.type == row.type && each.shape.d == row.shape.d && each.shape.dv == row.shape.dv;
    });
    if (first != &row) {
      if (row.shape.rows != first->shape.rows || row.shape.keys != first->shape.keys)
        out.id += "." + std::to_string(row.shape.rows) + "x" + std::to_string(row.shape.keys);
      // Without a producer, no exclusion is the usual.
      const char* usual = row.shape.loader == Loader::producer ? first->exclusion : "none";
      if (std::strcmp(row.exclusion, usual) != 0) out.id += std::string(".exclusion_") + row.exclusion;
      if (row.overlap != first->overlap) out.id += row.overlap ? ".overlap" : ".no_overlap";
      if (row.shape.loader != first->shape.loader) out.id += ".no_specialisation";
      out.slower = "for comparison, to be asked for by name";
    }
    out.isa = "sm90";
    out.arithmetic = Arithmetic::mma16;
    out.why = "wgmma on tiles that the copy engine brings, softmax under the products";
    if (find_image(row.image) == nullptr)
      out.unavailable = "built without nvcc";
    else if (facts.major != 9)
      out.unavailable = needs_capability(facts, "9.0");
    out.index = static_cast<int>(i);
    out.refuse = refuse;
    out.prepare = prepare;
    rows.push_back(std::move(out));
  }
  return rows;
}

}  // namespace attend::cuda
