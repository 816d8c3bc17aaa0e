// SPDX-License-Identifier: Apache-2.0
// FlashAttention-3 (kernels/attention_fwd/sm90.cuh): tensor maps, the launch, and the blocks of rows that it leaves to
// the simple kernel.
#include <algorithm>
#include <cstring>
#include <span>

#include "cuda/attention_fwd_lists.hpp"
#include "cuda/kernels/attention_fwd/sm90_params.hpp"

namespace attend::cuda {
namespace {

using attention_fwd::Sm90Params;
using attention_fwd::Sm90Shape;
using plan_detail::KernelRow;

constexpr int32_t kStages = 2;

/// A row of sm90.def.
struct Row {
  const char* element;
  DType type;
  Sm90Shape shape;
  const char* exclusion;
  bool overlap;
  const char* image;
};

constexpr Row kRows[] = {
#define ATTEND_SM90(element, d, dv, rows, keys, exclusion, overlap) \
  {#element,                                                        \
   DType::element,                                                  \
   {d, dv, rows, keys, kStages},                                    \
   #exclusion,                                                      \
   (overlap) != 0,                                                  \
   "attention_fwd_sm90_" #element "_" #d "_" #dv "_" #rows "x" #keys "_" #exclusion "_" #overlap},
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

/// What a tensor map can describe: 16-byte multiples, strides that are not 0.
std::string refuse_strides(const char* name, const Strides& s, int64_t rows, int64_t heads, int64_t sequences) {
  const struct {
    const char* field;
    int64_t stride, count;
  } fields[] = {{"row", s.row, rows}, {"head", s.head, heads}, {"batch", s.batch, sequences}};
  for (const auto& each : fields) {
    if (each.count <= 1) continue;
    if (each.stride <= 0 || each.stride % 8 != 0 || each.stride >= int64_t{1} << 39)
      return std::string(name) + "_strides." + each.field + " is " + std::to_string(each.stride) +
             ", this row takes positive multiples of 8 below 2^39";
  }
  return {};
}

std::string refuse(const KernelRow& kernel_row, const AttentionFwd& p) {
  const Row& row = row_of(kernel_row);
  const struct {
    const char* name;
    DType type;
  } tensors[] = {{"q", p.q_type}, {"k", p.k_type}, {"v", p.v_type}, {"o", p.o_type}};
  for (const auto& tensor : tensors)
    if (tensor.type != row.type)
      return std::string(tensor.name) + " is " + dtype_name(tensor.type) + ", this row takes " + dtype_name(row.type);
  if (p.d > row.shape.d)
    return "d is " + std::to_string(p.d) + ", this row takes at most " + std::to_string(row.shape.d);
  if (p.dv > row.shape.dv)
    return "dv is " + std::to_string(p.dv) + ", this row takes at most " + std::to_string(row.shape.dv);
  if (!(p.effective_scale() > 0)) return "the scale is not positive";
  constexpr int64_t kLongest = (int64_t{1} << 31) - 1024;
  const int64_t q_rows = p.cu_q.empty() ? p.sq : p.cu_q[p.b], k_rows = p.cu_k.empty() ? p.sk : p.cu_k[p.b];
  if (q_rows > kLongest || k_rows > kLongest) return "2^31 tokens or more";
  const int64_t q_sequences = p.cu_q.empty() ? p.b : 1, k_sequences = p.cu_k.empty() ? p.b : 1;
  std::string why = refuse_strides("q", p.q_strides, q_rows, p.hq, q_sequences);
  if (why.empty()) why = refuse_strides("k", p.k_strides, k_rows, p.hk, k_sequences);
  if (why.empty()) why = refuse_strides("v", p.v_strides, k_rows, p.hk, k_sequences);
  if (why.empty()) why = refuse_strides("o", p.o_strides, q_rows, p.hq, q_sequences);
  return why;
}

class Sm90Run final : public plan_detail::PreparedRun {
 public:
  Sm90Run(std::shared_ptr<Context> context, const Row& row, KernelHandle kernel, KernelHandle simple,
          const AttentionFwd& problem)
      : context_(context),
        row_(row),
        kernel_(kernel),
        simple_(simple),
        problem_(problem),
        lists_(context, problem_, {row.shape.rows, row.shape.keys, most_heads(problem), /*has_shares=*/true}) {}
  Status upload() { return lists_.upload(); }

  int threads() const override { return 0; }
  int64_t tile_rows() const override { return row_.shape.rows; }
  int64_t tile_keys() const override { return row_.shape.keys; }
  /// A count, and the list of blocks to be computed again; and what aligns them.
  size_t workspace_bytes() const override { return 4 * (1 + static_cast<size_t>(row_blocks())) + 3; }
  std::string explain() const override {
    return lists_.explain() + "schedule   1 producer warp, " + std::to_string(row_.shape.consumers()) +
           " consumer warpgroups, " + std::to_string(row_.shape.stages) + " stages, " +
           std::to_string(row_.shape.shared_bytes()) + " bytes of shared memory, exclusion: " + row_.exclusion +
           (row_.overlap ? ", products overlap softmax\n" : "\n") + "workspace  " + std::to_string(workspace_bytes()) +
           " bytes: blocks with values that are not finite\n";
  }

  Status run(const AttentionFwdArgs& args, std::byte* workspace) const override {
    if (lists_.items() == 0) return {};
    return context_->with([&](LaunchBackend& backend) { return launch(backend, args, workspace); });
  }

 private:
  int64_t row_blocks() const { return lists_.items() * (row_.shape.rows / attention_fwd::kSimpleRows); }

  struct Axes {
    const char* name;
    const void* data;
    const Strides& strides;
    int64_t columns, rows, heads, sequences;
    int32_t box_rows;  ///< those of all heads of a pack
    int32_t pack;      ///< 0: heads come one by one, and are one dimension
  };
  Result<atoms::TensorMap> map_of(LaunchBackend& backend, const Axes& axes, int32_t panel) const {
    if (reinterpret_cast<uintptr_t>(axes.data) % 16 != 0)
      return invalid_argument(std::string("attention_fwd: args.") + axes.name + " is not aligned to 16 bytes, which " +
                              row_.image + " needs; a plan with kernel=attention_fwd.cuda.simple takes any address");
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

  Status launch(LaunchBackend& backend, const AttentionFwdArgs& args, std::byte* workspace) const {
    const AttentionFwd& p = problem_;
    const Sm90Shape& shape = row_.shape;
    const StreamHandle stream{reinterpret_cast<uint64_t>(args.stream)};
    const int64_t q_rows = p.cu_q.empty() ? p.sq : p.cu_q[p.b], k_rows = p.cu_k.empty() ? p.sk : p.cu_k[p.b];
    const int64_t q_sequences = p.cu_q.empty() ? p.b : 1, k_sequences = p.cu_k.empty() ? p.b : 1;
    // Without keys nothing is loaded, and there may be no memory to point to.
    const void* k = args.k != nullptr ? args.k : args.o;
    const void* v = args.v != nullptr ? args.v : args.o;
    const void* q = args.q != nullptr ? args.q : args.o;
    const int32_t panel = attention_fwd::panel_columns(shape.d), pack = lists_.pack();
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
    params.common = lists_.params(args);
    workspace += -reinterpret_cast<uintptr_t>(workspace) % alignof(int32_t);
    params.common.redo_count = reinterpret_cast<int32_t*>(workspace);
    params.common.redo = params.common.redo_count + 1;
    params.o_clips = p.cu_q.empty() ? 1 : 0;

    if (Status status = backend.fill(reinterpret_cast<DeviceAddress>(workspace), 0, 4, stream); !status.ok())
      return status;
    LaunchConfig config;
    config.grid.x = static_cast<uint32_t>(lists_.shares());
    config.block.x = static_cast<uint32_t>(shape.threads());
    config.dynamic_shared_bytes = static_cast<uint32_t>(shape.shared_bytes());
    config.stream = stream;
    if (Status status = backend.launch(kernel_, config, std::as_bytes(std::span(&params, 1))); !status.ok())
      return status;
    const int64_t blocks = std::min<int64_t>(row_blocks(), std::max(context_->facts().multiprocessors, 1));
    return launch_simple(backend, simple_, params.common, blocks, stream);
  }

  std::shared_ptr<Context> context_;
  const Row& row_;
  KernelHandle kernel_, simple_;
  AttentionFwd problem_;
  AttentionFwdLists lists_;
};

Result<std::shared_ptr<const plan_detail::PreparedRun>> prepare(const KernelRow& kernel_row,
                                                                const AttentionFwd& problem,
                                                                const PlanOptions& options) {
  const Row& row = row_of(kernel_row);
  const std::shared_ptr<Context>& context = options.device.context();
  const Result<KernelHandle> kernel = context->kernel(*find_image(row.image)),
                             simple = context->kernel(*find_image(kSimpleImage));
  if (!kernel.ok()) return kernel.status();
  if (!simple.ok()) return simple.status();
  auto run = std::make_shared<Sm90Run>(context, row, *kernel, *simple, problem);
  if (Status status = run->upload(); !status.ok()) return status;
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
      if (std::strcmp(row.exclusion, first->exclusion) != 0) out.id += std::string(".exclusion_") + row.exclusion;
      if (row.overlap != first->overlap) out.id += row.overlap ? ".overlap" : ".no_overlap";
      out.slower = "for comparison, to be asked for by name";
    }
    out.isa = "sm90";
    out.arithmetic = Arithmetic::mma16;
    out.why = "wgmma on tiles that the copy engine brings, softmax under the products";
    if (find_image(row.image) == nullptr)
      out.unavailable = "built without nvcc";
    else if (facts.major != 9)
      out.unavailable = facts.name + " has compute capability " + std::to_string(facts.major) + "." +
                        std::to_string(facts.minor) + ", the kernel needs 9.0";
    out.index = static_cast<int>(i);
    out.refuse = refuse;
    out.prepare = prepare;
    rows.push_back(std::move(out));
  }
  return rows;
}

}  // namespace attend::cuda
