// SPDX-License-Identifier: Apache-2.0
#include "cuda/attention_fwd_lists.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>

#include "ops/row_bytes.hpp"
#include "plan/tile_traffic.hpp"

namespace attend::cuda {
namespace {

using attention_fwd::Element;

Element element_of(DType type) {
  switch (type) {
    case DType::f32: return Element::f32;
    case DType::f16: return Element::f16;
    case DType::bf16: break;
  }
  return Element::bf16;
}

/// Arrays one behind the other.
class Block {
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

/// Ragged tokens are one long sequence to a tensor map.
std::vector<attention_fwd::Sequence> sequences_of(const AttentionFwd& p) {
  std::vector<attention_fwd::Sequence> sequences;
  for (int64_t n = 0; n < p.b; ++n) {
    attention_fwd::Sequence s{};
    s.q = p.q_offset(n, 0, 0);
    s.k = p.k_offset(n, 0, 0);
    s.v = p.v_offset(n, 0, 0);
    s.o = p.o_offset(n, 0, 0);
    s.lse = p.lse_offset(n, 0, 0);
    s.bias = p.bias_offset(n, 0, 0);
    s.sq = static_cast<int32_t>(p.query_length(n));
    s.sk = static_cast<int32_t>(p.key_length(n));
    s.q_row = p.cu_q.empty() ? 0 : static_cast<int32_t>(p.cu_q[n]);
    s.q_index = p.cu_q.empty() ? static_cast<int32_t>(n) : 0;
    s.k_row = p.cu_k.empty() ? 0 : static_cast<int32_t>(p.cu_k[n]);
    s.k_index = p.cu_k.empty() ? static_cast<int32_t>(n) : 0;
    sequences.push_back(s);
  }
  return sequences;
}

}  // namespace

AttentionFwdLists::AttentionFwdLists(std::shared_ptr<Context> context, const AttentionFwd& problem,
                                     const Kernel& kernel)
    : context_(std::move(context)),
      problem_(problem),
      kernel_(kernel),
      packing_(plan_detail::HeadPacking::choose(problem, {kernel.rows, kernel.keys}, kernel.most_heads)) {
  const DeviceFacts& facts = context_->facts();
  // The cache of these devices has two halves, and multiprocessors of both read the keys.
  section_budget_ = static_cast<int64_t>(facts.l2_bytes / 2);
  sections_ = plan_detail::order_by_section(packing_.list, section_shape());
  if (kernel.has_shares)
    first_items_ =
        plan_detail::share_out(packing_.list, std::min<int64_t>(items(), std::max(facts.multiprocessors, 1)));
}

plan_detail::SectionShape AttentionFwdLists::section_shape() const {
  const RowBytes row(problem_);
  return {section_budget_, row.k + row.v, problem_.group(), kernel_.keys};
}

Result<MemoryTraffic> AttentionFwdLists::memory_traffic(int64_t level_bytes) const {
  // The items of packing_ may be sorted by share by now; counts want them section by section.
  const plan_detail::TileList::Shape shape{kernel_.rows, kernel_.keys, packing_.heads};
  plan_detail::TileList list = plan_detail::TileList::make(problem_, shape);
  const std::vector<plan_detail::Section> sections = plan_detail::order_by_section(list, section_shape());
  return plan_detail::memory_traffic(problem_, list, shape, sections, level_bytes);
}

AttentionFwdLists::~AttentionFwdLists() {
  if (address_ != 0) (void)context_->with([&](LaunchBackend& backend) { return backend.free(address_); });
}

Status AttentionFwdLists::upload() {
  const AttentionFwd& p = problem_;
  const plan_detail::TileList& list = packing_.list;
  std::vector<attention_fwd::Item> items;
  for (const auto& item : list.items)
    items.push_back(
        {item.sequence, item.head, item.first_row, item.rows, static_cast<int32_t>(item.first_tile), item.tiles});
  std::vector<attention_fwd::KeyTile> tiles;
  for (const auto& tile : list.tiles) tiles.push_back({tile.key, tile.bits});
  Block block;
  const size_t sequences_at = block.add(sequences_of(p)), items_at = block.add(items), tiles_at = block.add(tiles),
               bits_at = block.add(list.bits), first_items_at = block.add(first_items_);
  bytes_ = block.bytes().size();
  if (bytes_ > 0) {
    const Status status = context_->with([&](LaunchBackend& backend) -> Status {
      const Result<DeviceAddress> address = backend.alloc(bytes_, "attention_fwd lists");
      if (!address.ok()) return address.status();
      address_ = *address;
      return backend.copy_to_device(address_, block.bytes());
    });
    if (!status.ok()) return status;
  }
  params_.q = {nullptr, p.q_strides.row, p.q_strides.head, element_of(p.q_type)};
  params_.k = {nullptr, p.k_strides.row, p.k_strides.head, element_of(p.k_type)};
  params_.v = {nullptr, p.v_strides.row, p.v_strides.head, element_of(p.v_type)};
  params_.o = {nullptr, p.o_strides.row, p.o_strides.head, element_of(p.o_type)};
  params_.lse_head = p.lse_offset(0, 0, 1) - p.lse_offset(0, 0, 0);
  params_.sequences = reinterpret_cast<const attention_fwd::Sequence*>(address_ + sequences_at);
  params_.items = reinterpret_cast<const attention_fwd::Item*>(address_ + items_at);
  params_.tiles = reinterpret_cast<const attention_fwd::KeyTile*>(address_ + tiles_at);
  params_.bits = reinterpret_cast<const uint32_t*>(address_ + bits_at);
  params_.item_count = static_cast<int32_t>(items.size());
  params_.tile_rows = kernel_.rows;
  params_.tile_keys = kernel_.keys;
  params_.pack_shift = std::countr_zero(static_cast<uint32_t>(pack()));
  if (kernel_.has_shares) params_.first_items = reinterpret_cast<const int32_t*>(address_ + first_items_at);
  params_.d = static_cast<int32_t>(p.d);
  params_.dv = static_cast<int32_t>(p.dv);
  params_.group = static_cast<int32_t>(p.group());
  params_.scale = static_cast<float>(p.effective_scale());
  params_.softcap = static_cast<float>(p.softcap);
  params_.alibi_sequence = p.alibi_per_batch ? p.hq : 0;
  if (p.bias && p.bias->head) params_.bias_head = p.bias_offset(0, 1, 0) - p.bias_offset(0, 0, 0);
  if (p.bias && p.bias->row) params_.bias_row = p.bias_offset(0, 0, 1) - p.bias_offset(0, 0, 0);
  return {};
}

attention_fwd::Params AttentionFwdLists::params(const AttentionFwdArgs& args) const {
  attention_fwd::Params params = params_;
  params.q.data = args.q;
  params.k.data = args.k;
  params.v.data = args.v;
  params.o.data = args.o;
  params.lse = problem_.lse ? args.lse : nullptr;
  params.alibi_slopes = problem_.alibi ? args.alibi_slopes : nullptr;
  params.bias = problem_.bias ? args.bias : nullptr;
  params.sink = problem_.sink ? args.sink : nullptr;
  return params;
}

std::string AttentionFwdLists::explain() const {
  const plan_detail::TileList& list = packing_.list;
  int64_t most_bytes = 0;
  for (const plan_detail::Section& section : sections_) most_bytes = std::max(most_bytes, section.bytes);
  char text[512];
  std::snprintf(
      text, sizeof text,
      "tiles      %d query rows x %d keys: %lld blocks of rows, %lld full tiles, %lld cut by the mask\n"
      "packing    %s\n"
      "order      longest items first in each of %zu sections; the largest reads %.1f MiB of keys and values, "
      "the budget is %.1f%s\n"
      "lists      %zu bytes on the device\n",
      kernel_.rows, kernel_.keys, static_cast<long long>(items()), static_cast<long long>(list.full_tiles),
      static_cast<long long>(list.partial_tiles), packing_.why.c_str(), sections_.size(),
      static_cast<double>(most_bytes) / (1 << 20), static_cast<double>(section_budget_) / (1 << 20),
      shares() > 0 ? ("; " + std::to_string(shares()) + " shares").c_str() : "", bytes_);
  return "device     " + context_->facts().name + "\n" + text;
}

}  // namespace attend::cuda
