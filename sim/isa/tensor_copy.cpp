// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.9 "Data movement: tensor copy": cp.async.bulk.tensor, cp.reduce.async.bulk.tensor and prefetches, in tile
// mode.
#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "sim/isa/copy_op.hpp"
#include "sim/isa/copy_reduce.hpp"
#include "sim/isa/copy_target.hpp"
#include "sim/isa/decode.hpp"
#include "sim/machine/cta.hpp"
#include "sim/memory/access.hpp"
#include "sim/memory/tensor_box.hpp"
#include "sim/memory/tensor_map_codec.hpp"
#include "sim/numeric/float_lanes.hpp"
#include "sim/numeric/format.hpp"

namespace ptxsim {
namespace {

/// Of a box in shared memory: there the patterns of all swizzles begin anew, or with the pattern's phase.
constexpr uint32_t kBoxAlignment = 128;

/// Inst::detail. Operands of loads: destination, map, coordinates, mbarrier, and where there is one a mask of CTAs; of
/// stores: map, coordinates, source; of prefetches: map, coordinates.
struct Form {
  uint32_t rank = 0;  ///< 0: any
  Space to = Space::shared_cluster;
  bool multicast = false;
  std::optional<CopyReduce> reduce;
  int64_t shared_offset = 0, mbarrier_offset = 0;
};

/// The map that operand `index` points to. H17 where there is none, or one of another rank.
TiledDesc desc_of(const Step& s, Space space, int index, int64_t offset, uint32_t rank, uint32_t lane) {
  const uint64_t address = s.address(index, lane, offset);
  const auto refuse = [&](const std::string& what) { s.fault(HazardId::H17, what, static_cast<int>(lane)); };
  if (address % kTensorMapAlignment != 0) refuse("the tensor map's address is not a multiple of 64");
  const Place at = resolve(s, space, address, kTensorMapBytes, lane, kTensorMapAlignment);
  if (at.space != Space::global && at.space != Space::param)
    refuse("the tensor map is neither in global or constant memory nor a parameter");
  std::string why;
  std::optional<TiledDesc> desc =
      decode_tensor_map(std::span<const std::byte, kTensorMapBytes>(at.bytes, kTensorMapBytes), why);
  if (!desc) refuse(why);
  if (rank != 0 && desc->rank != rank)
    refuse("the tensor map has " + std::to_string(desc->rank) + " dimensions, the instruction " + std::to_string(rank));
  return *desc;
}

std::array<int32_t, 5> coordinates_of(const Step& s, int first, uint32_t rank, uint32_t lane) {
  std::array<int32_t, 5> coordinates{};
  for (uint32_t i = 0; i < rank; ++i) coordinates[i] = s.lanes<int32_t>(first + static_cast<int>(i))[lane];
  return coordinates;
}

/// Host memory of device addresses, most of them near the one before.
class GlobalBytes {
 public:
  explicit GlobalBytes(const Step& s) : memory_(s.machine.memory()) {}
  std::byte* operator()(uint64_t address, uint64_t bytes) {
    if (block_ == nullptr || address < block_->address || address + bytes > block_->end())
      block_ = memory_.find(address, bytes);
    return block_->data.get() + (address - block_->address);
  }

 private:
  DeviceMemory& memory_;
  DeviceMemory::Block* block_ = nullptr;
};

template <float (*f)(float)>
void each_f32(std::byte* at) {
  for (int i = 0; i < 4; ++i, at += 4) {
    float x;
    std::memcpy(&x, at, sizeof x);
    x = f(x);
    std::memcpy(at, &x, sizeof x);
  }
}
/// To the 10 bits of fraction of tf32, to nearest even. The driver's documents name no rounding.
float to_tf32(float x) {
  if (x != x) return canonical(x);
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return std::bit_cast<float>((bits + 0xfffu + (bits >> 13 & 1)) & ~0x1fffu);
}
float to_tf32_ftz(float x) { return to_tf32(flush(x)); }

using Convert = void (*)(std::byte*);
Convert conversion(TensorType type) {
  switch (type) {
    case TensorType::f32_ftz: return &each_f32<&flush<float>>;
    case TensorType::tf32: return &each_f32<&to_tf32>;
    case TensorType::tf32_ftz: return &each_f32<&to_tf32_ftz>;
    default: return nullptr;
  }
}

/// The type of a reduction's elements: bitwise operations know sizes alone.
Reduce reduction(CopyReduce operation, TensorType type) {
  const bool bitwise = operation == CopyReduce::and_ || operation == CopyReduce::or_ || operation == CopyReduce::xor_;
  switch (type) {
    case TensorType::u32: return copy_reduce(operation, bitwise ? Type::b32 : Type::u32);
    case TensorType::s32: return copy_reduce(operation, bitwise ? Type::b32 : Type::s32);
    case TensorType::u64: return copy_reduce(operation, bitwise ? Type::b64 : Type::u64);
    case TensorType::s64: return copy_reduce(operation, bitwise ? Type::b64 : Type::s64);
    case TensorType::f16: return copy_reduce(operation, Type::f16);
    case TensorType::bf16: return copy_reduce(operation, Type::bf16);
    case TensorType::f32:
    case TensorType::f32_ftz: return copy_reduce(operation, Type::f32);
    case TensorType::f64: return copy_reduce(operation, Type::f64);
    default: return nullptr;
  }
}

void load(const Step& s, const Form& form, uint32_t lane) {
  const Step one = only_lane(s, lane);
  const TiledDesc desc = desc_of(s, Space::generic, 1, 0, form.rank, lane);
  const uint32_t bytes = box_bytes(desc);
  const int behind = 2 + static_cast<int>(form.rank);
  const CopyPlace to = copy_place(one, form.to, s.address(0, lane, form.shared_offset), bytes, kBoxAlignment,
                                  s.address(behind, lane, form.mbarrier_offset));
  auto op = std::make_unique<CopyOp>(s, lane, "tensor load");
  op->bytes = bytes;
  op->fill = box_fill(desc);
  op->convert = conversion(desc.type);
  const std::vector<BoxChunk> chunks = box_chunks(desc, coordinates_of(s, 2, form.rank, lane), to.offset);
  const Event event = mbarrier_event(to.mbarrier);
  for (const ByteRange& range : global_ranges(chunks)) async_read_global(one, range.first, range.second, event);
  std::optional<uint16_t> multicast;
  if (form.multicast) multicast = s.lanes<uint16_t>(behind + 1)[lane];
  std::byte* first = add_targets(one, *op, to, multicast);
  GlobalBytes global(s);
  op->pieces.reserve(chunks.size());
  for (const BoxChunk& chunk : chunks)
    op->pieces.push_back({chunk.count == 0 ? nullptr : global(chunk.global, chunk.count),
                          first + (chunk.shared - to.offset), kChunkBytes, chunk.first, chunk.count});
  launch_copy(s, std::move(op));
}

void store(const Step& s, const Form& form, uint32_t lane) {
  const Step one = only_lane(s, lane);
  const TiledDesc desc = desc_of(s, Space::generic, 0, 0, form.rank, lane);
  const uint32_t bytes = box_bytes(desc);
  const Place from = resolve(s, Space::shared, s.address(1 + static_cast<int>(form.rank), lane, form.shared_offset),
                             bytes, lane, kBoxAlignment);
  auto op = std::make_unique<CopyOp>(s, lane, form.reduce ? "tensor reduction" : "tensor store");
  op->bytes = bytes;
  op->clips_destination = true;
  if (form.reduce) {
    op->reduce = reduction(*form.reduce, desc.type);
    if (op->reduce == nullptr)
      s.fault(HazardId::H17, std::string("there is no such reduction of ") + tensor_type_name(desc.type),
              static_cast<int>(lane));
  }
  const auto offset = static_cast<uint32_t>(from.offset);
  const std::vector<BoxChunk> chunks = box_chunks(desc, coordinates_of(s, 1, form.rank, lane), offset);
  CopyGroups& groups = CopyGroups::of(s.warp, CopyKind::bulk);
  op->flight = groups.issue(s, one.mask);
  for (const ByteRange& range : shared_ranges(chunks))
    async_read_shared(one, *from.cta, static_cast<uint32_t>(range.first), static_cast<uint32_t>(range.second),
                      groups.read_event(*op->flight));
  for (const ByteRange& range : global_ranges(chunks))
    async_write_global(one, range.first, range.second, groups.write_event(*op->flight));
  GlobalBytes global(s);
  op->pieces.reserve(chunks.size());
  for (const BoxChunk& chunk : chunks)
    op->pieces.push_back({from.bytes + (chunk.shared - offset),
                          chunk.count == 0 ? nullptr : global(chunk.global, chunk.count), kChunkBytes, chunk.first,
                          chunk.count});
  launch_copy(s, std::move(op));
}

void prefetch(const Step& s, const Form& form, uint32_t lane) { desc_of(s, Space::generic, 0, 0, form.rank, lane); }

template <void (*copy)(const Step&, const Form&, uint32_t)>
Outcome run(Step& s) {
  const auto& form = *static_cast<const Form*>(s.inst.detail);
  for_lanes(s.mask, [&](uint32_t lane) { copy(s, form, lane); });
  return Outcome::next;
}

template <Space space>
Outcome prefetch_map(Step& s) {
  for_lanes(s.mask, [&](uint32_t lane) { desc_of(s, space, 0, s.inst.imm[0], 0, lane); });
  return Outcome::next;
}

/// "1d" to "5d".
uint32_t decode_rank(Decode& d) { return 1 + static_cast<uint32_t>(d.must_be_one_of({"1d", "2d", "3d", "4d", "5d"})); }

void decode_mode(Decode& d) {
  if (d.one_of({"im2col", "im2col::w", "im2col::w::128", "im2col_no_offs"}) >= 0) d.unsupported("im2col mode");
  if (d.one_of({"tile::gather4", "tile::scatter4"}) >= 0) d.unsupported("gather and scatter are of sm_100");
  d.flag("tile");
}

void decode_coordinates(Decode& d, const Form& form) {
  const int found = d.tensor_address();
  if (found != static_cast<int>(form.rank))
    d.invalid(std::to_string(found) + " coordinates, expected " + std::to_string(form.rank));
}

template <void (*copy)(const Step&, const Form&, uint32_t)>
void finish(Decode& d, const Form& form, bool hint) {
  if (hint) d.in(Type::b64);
  d.detail(std::make_shared<const Form>(form));
  d.emit(&run<copy>);
}

/// Behind .bulk_group: {.L2::cache_hint} [map, coordinates], [src]{, policy}
void decode_store(Decode& d, Form form) {
  d.must_be_one_of({"bulk_group"});
  const bool hint = d.flag("L2::cache_hint");
  decode_coordinates(d, form);
  form.shared_offset = d.address();
  finish<&store>(d, form, hint);
}

}  // namespace

/// cp.async.bulk.tensor.dim.dst.src{.tile}.completion{.multicast::cluster}{.L2::cache_hint} ...
void decode_tensor_copy(Decode& d) {
  Form form;
  form.rank = decode_rank(d);
  const int to = d.must_be_one_of({"shared::cluster", "shared::cta", "global"});
  d.must_be_one_of({to == 2 ? "shared::cta" : "global"});
  decode_mode(d);
  if (to == 2) return decode_store(d, form);
  form.to = to == 0 ? Space::shared_cluster : Space::shared;
  d.must_be_one_of({"mbarrier::complete_tx::bytes"});
  form.multicast = to == 0 && d.flag("multicast::cluster");
  const bool hint = d.flag("L2::cache_hint");
  form.shared_offset = d.address();
  decode_coordinates(d, form);
  form.mbarrier_offset = d.address();
  if (form.multicast) d.in(Type::u16);
  finish<&load>(d, form, hint);
}

/// cp.reduce.async.bulk.tensor.dim.global.shared::cta.op{.tile}.bulk_group{.L2::cache_hint} [map, coordinates], [src]
void decode_tensor_reduce(Decode& d) {
  Form form;
  form.rank = decode_rank(d);
  d.must_be_one_of({"global"});
  d.must_be_one_of({"shared::cta"});
  form.reduce = decode_copy_reduce(d);
  decode_mode(d);
  decode_store(d, form);
}

/// cp.async.bulk.prefetch.tensor.dim.L2.global{.tile}{.L2::cache_hint} [map, coordinates]{, policy}
void decode_tensor_prefetch(Decode& d) {
  Form form;
  form.rank = decode_rank(d);
  d.must_be_one_of({"L2"});
  d.must_be_one_of({"global"});
  decode_mode(d);
  const bool hint = d.flag("L2::cache_hint");
  decode_coordinates(d, form);
  finish<&prefetch>(d, form, hint);
}

void decode_prefetch_tensormap(Decode& d) {
  d.imm(0, d.address());
  d.emit(&prefetch_map<Space::generic>);
}
void decode_prefetch_const_tensormap(Decode& d) {
  d.imm(0, d.address());
  d.emit(&prefetch_map<Space::constant>);
}
void decode_prefetch_param_tensormap(Decode& d) {
  d.imm(0, d.address());
  d.emit(&prefetch_map<Space::param>);
}

}  // namespace ptxsim
