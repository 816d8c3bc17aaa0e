// SPDX-License-Identifier: Apache-2.0
// Exact forward attention on a device: at plan the mask becomes lists of tiles, which go to the device once; a run is
// one launch.
#include "cuda/attention_fwd.hpp"

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstring>

#include "cuda/context.hpp"
#include "cuda/kernels/attention_fwd/params.hpp"
#include "plan/tile_list.hpp"

namespace attend::cuda {
namespace {

using attention_fwd::Element;
using attention_fwd::Params;
using plan_detail::KernelRow;
using plan_detail::PreparedRun;
using plan_detail::TileList;

constexpr char kSimple[] = "attention_fwd_simple";

Element element_of(DType type) {
  switch (type) {
    case DType::f32: return Element::f32;
    case DType::f16: return Element::f16;
    case DType::bf16: break;
  }
  return Element::bf16;
}

/// Arrays for the device, one behind the other in one allocation.
class Tables {
 public:
  template <class T>
  size_t add(const std::vector<T>& values) {
    constexpr size_t kAlignment = 16;
    const size_t at = (bytes_.size() + kAlignment - 1) / kAlignment * kAlignment;
    bytes_.resize(at + values.size() * sizeof(T));
    if (!values.empty()) std::memcpy(bytes_.data() + at, values.data(), values.size() * sizeof(T));
    return at;
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

std::vector<attention_fwd::Sequence> sequences_of(const AttentionFwd& p) {
  std::vector<attention_fwd::Sequence> sequences;
  for (int64_t n = 0; n < p.b; ++n)
    sequences.push_back({p.q_offset(n, 0, 0), p.k_offset(n, 0, 0), p.v_offset(n, 0, 0), p.o_offset(n, 0, 0),
                         p.lse_offset(n, 0, 0), p.bias ? p.bias_offset(n, 0, 0) : 0,
                         static_cast<int32_t>(p.query_length(n)), static_cast<int32_t>(p.key_length(n))});
  return sequences;
}

class SimpleRun final : public PreparedRun {
 public:
  static Result<std::shared_ptr<const PreparedRun>> make(std::shared_ptr<Context> context,
                                                         const AttentionFwd& problem) {
    const Result<KernelHandle> kernel = context->kernel(*find_image(kSimple));
    if (!kernel.ok()) return kernel.status();
    auto run = std::make_shared<SimpleRun>(std::move(context), *kernel, problem);
    if (Status status = run->upload(); !status.ok()) return status;
    return std::shared_ptr<const PreparedRun>(std::move(run));
  }

  SimpleRun(std::shared_ptr<Context> context, KernelHandle kernel, const AttentionFwd& problem)
      : context_(std::move(context)), kernel_(kernel), problem_(problem) {
    list_ = TileList::make(problem_, {attention_fwd::kSimpleRows, attention_fwd::kSimpleKeys});
  }
  ~SimpleRun() override {
    (void)context_->with([&](LaunchBackend& backend) { return tables_ == 0 ? Status() : backend.free(tables_); });
  }

  int threads() const override { return 0; }
  int64_t tile_rows() const override { return attention_fwd::kSimpleRows; }
  int64_t tile_keys() const override { return attention_fwd::kSimpleKeys; }
  size_t workspace_bytes() const override { return 0; }

  std::string explain() const override {
    char text[512];
    std::snprintf(text, sizeof text,
                  "device     %s\n"
                  "tiles      %d query rows x %d keys, %lld full and %lld cut by the mask\n"
                  "work       %zu items on %u blocks of %d threads, %d bytes of shared memory\n"
                  "tables     %zu bytes on the device\n",
                  context_->facts().name.c_str(), attention_fwd::kSimpleRows, attention_fwd::kSimpleKeys,
                  static_cast<long long>(list_.full_tiles), static_cast<long long>(list_.partial_tiles),
                  list_.items.size(), grid(), attention_fwd::kSimpleThreads, shared_bytes(), table_bytes_);
    return text;
  }

  Status run(const AttentionFwdArgs& args, std::byte*) const override {
    if (list_.items.empty()) return {};
    Params params = params_;
    params.q.data = args.q;
    params.k.data = args.k;
    params.v.data = args.v;
    params.o.data = args.o;
    params.lse = problem_.lse ? args.lse : nullptr;
    params.alibi_slopes = problem_.alibi ? args.alibi_slopes : nullptr;
    params.bias = problem_.bias ? args.bias : nullptr;
    params.sink = problem_.sink ? args.sink : nullptr;
    LaunchConfig config;
    config.grid.x = grid();
    config.block.x = attention_fwd::kSimpleThreads;
    config.dynamic_shared_bytes = static_cast<uint32_t>(shared_bytes());
    config.stream.id = reinterpret_cast<uint64_t>(args.stream);
    return context_->with(
        [&](LaunchBackend& backend) { return backend.launch(kernel_, config, std::as_bytes(std::span(&params, 1))); });
  }

 private:
  uint32_t grid() const {
    // Blocks of which every multiprocessor holds a few.
    const auto blocks = static_cast<size_t>(std::max(context_->facts().multiprocessors, 1)) * 4;
    return static_cast<uint32_t>(std::min(list_.items.size(), blocks));
  }
  int32_t shared_bytes() const {
    return attention_fwd::simple_shared_bytes(static_cast<int32_t>(problem_.d), static_cast<int32_t>(problem_.dv));
  }

  Status upload() {
    const AttentionFwd& p = problem_;
    std::vector<attention_fwd::Item> items;
    for (const auto& item : list_.items)
      items.push_back(
          {item.sequence, item.head, item.first_row, item.rows, static_cast<int32_t>(item.first_tile), item.tiles});
    std::vector<attention_fwd::KeyTile> tiles;
    for (const auto& tile : list_.tiles) tiles.push_back({tile.key, tile.bits});
    Tables tables;
    const size_t sequences_at = tables.add(sequences_of(p)), items_at = tables.add(items), tiles_at = tables.add(tiles),
                 bits_at = tables.add(list_.bits);
    table_bytes_ = tables.bytes().size();
    Status status = context_->with([&](LaunchBackend& backend) -> Status {
      const Result<DeviceAddress> address = backend.alloc(std::max<size_t>(table_bytes_, 1), "attention_fwd tables");
      if (!address.ok()) return address.status();
      tables_ = *address;
      return table_bytes_ == 0 ? Status() : backend.copy_to_device(tables_, tables.bytes());
    });
    const auto at = [&](size_t offset) { return tables_ + offset; };
    params_.q = {nullptr, p.q_strides.row, p.q_strides.head, element_of(p.q_type)};
    params_.k = {nullptr, p.k_strides.row, p.k_strides.head, element_of(p.k_type)};
    params_.v = {nullptr, p.v_strides.row, p.v_strides.head, element_of(p.v_type)};
    params_.o = {nullptr, p.o_strides.row, p.o_strides.head, element_of(p.o_type)};
    params_.lse_head = p.lse_offset(0, 0, 1) - p.lse_offset(0, 0, 0);
    params_.sequences = reinterpret_cast<const attention_fwd::Sequence*>(at(sequences_at));
    params_.items = reinterpret_cast<const attention_fwd::Item*>(at(items_at));
    params_.tiles = reinterpret_cast<const attention_fwd::KeyTile*>(at(tiles_at));
    params_.bits = reinterpret_cast<const uint32_t*>(at(bits_at));
    params_.item_count = static_cast<int32_t>(items.size());
    params_.d = static_cast<int32_t>(p.d);
    params_.dv = static_cast<int32_t>(p.dv);
    params_.group = static_cast<int32_t>(p.group());
    params_.scale = static_cast<float>(p.effective_scale());
    params_.softcap = static_cast<float>(p.softcap);
    params_.alibi_sequence = p.alibi_per_batch ? p.hq : 0;
    if (p.bias) {
      params_.bias_head = p.bias->head ? p.bias_offset(0, 1, 0) - p.bias_offset(0, 0, 0) : 0;
      params_.bias_row = p.bias->row ? p.bias_offset(0, 0, 1) - p.bias_offset(0, 0, 0) : 0;
    }
    return status;
  }

  std::shared_ptr<Context> context_;
  KernelHandle kernel_;
  AttentionFwd problem_;
  TileList list_;
  DeviceAddress tables_ = 0;
  size_t table_bytes_ = 0;
  Params params_{};
};

/// The lists count in 32 bits.
std::string refuse(const KernelRow&, const AttentionFwd& p) {
  if (p.sq > INT_MAX - 1024 || p.sk > INT_MAX - 1024) return "sequences of 2^31 tokens or more";
  return {};
}

Result<std::shared_ptr<const PreparedRun>> prepare(const KernelRow&, const AttentionFwd& problem,
                                                   const PlanOptions& options) {
  return SimpleRun::make(options.device.context(), problem);
}

}  // namespace

std::vector<KernelRow> attention_fwd_rows(const Device& device) {
  KernelRow row;
  row.id = "attention_fwd.cuda.simple";
  row.isa = "cuda";
  row.arithmetic = Arithmetic::f32_scaled;
  row.why = "any Problem, in f32";
  const DeviceFacts& facts = device.context()->facts();
  if (find_image(kSimple) == nullptr)
    row.unavailable = "built without nvcc";
  else if (facts.major < find_image(kSimple)->major)
    row.unavailable = facts.name + " has compute capability " + std::to_string(facts.major) + "." +
                      std::to_string(facts.minor) + ", the kernel needs 8.0";
  row.refuse = refuse;
  row.prepare = prepare;
  return {row};
}

}  // namespace attend::cuda
