// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.9 "Data movement: bulk copy": cp.async.bulk, cp.reduce.async.bulk, their prefetch and their groups.
#include <memory>
#include <optional>
#include <string>

#include "sim/isa/copy_op.hpp"
#include "sim/isa/copy_reduce.hpp"
#include "sim/isa/copy_target.hpp"
#include "sim/isa/decode.hpp"
#include "sim/machine/cta.hpp"
#include "sim/memory/access.hpp"

namespace ptxsim {
namespace {

constexpr uint32_t kAlignment = 16;

/// Inst::detail. Operands: destination, source, size, and where there are any: mbarrier, mask of CTAs.
struct Form {
  Space to = Space::shared_cluster, from = Space::global;
  bool multicast = false;
  Reduce reduce = nullptr;
  int64_t to_offset = 0, from_offset = 0, mbarrier_offset = 0;
};

uint32_t size_of(const Step& s, uint32_t lane) {
  const uint32_t bytes = s.lanes<uint32_t>(2)[lane];
  if (bytes % kAlignment != 0)
    s.fault(HazardId::H22, "the size is " + std::to_string(bytes) + " bytes, not a multiple of 16",
            static_cast<int>(lane));
  return bytes;
}

/// To shared memory, counted by an mbarrier there.
void to_shared(const Step& s, const Form& form, uint32_t lane) {
  const Step one = only_lane(s, lane);
  const uint32_t bytes = size_of(s, lane);
  const Place from = resolve(s, form.from, s.address(1, lane, form.from_offset), bytes, lane, kAlignment);
  const CopyPlace to = copy_place(one, form.to, s.address(0, lane, form.to_offset), bytes, kAlignment,
                                  s.address(3, lane, form.mbarrier_offset));
  if (bytes == 0) return;
  auto op = std::make_unique<CopyOp>(s, lane, form.reduce != nullptr ? "bulk reduction" : "bulk load");
  op->bytes = bytes;
  op->reduce = form.reduce;
  const Event event = mbarrier_event(to.mbarrier);
  if (from.space == Space::shared) {
    async_read_shared(one, *from.cta, static_cast<uint32_t>(from.offset), bytes, event);
    CopyGroups::of(s.warp, CopyKind::bulk).lend(event, s.inst, lane);
  } else {
    async_read_global(one, from.offset, bytes, event);
  }
  std::optional<uint16_t> multicast;
  if (form.multicast) multicast = s.lanes<uint16_t>(4)[lane];
  std::byte* first = add_targets(one, *op, to, multicast);
  add_parts(*op, from.bytes, first, bytes);
  launch_copy(s, std::move(op));
}

/// To global memory, in the thread's bulk group.
void to_global(const Step& s, const Form& form, uint32_t lane) {
  const Step one = only_lane(s, lane);
  const uint32_t bytes = size_of(s, lane);
  const Place from = resolve(s, form.from, s.address(1, lane, form.from_offset), bytes, lane, kAlignment);
  const Place to = resolve(s, form.to, s.address(0, lane, form.to_offset), bytes, lane, kAlignment);
  if (bytes == 0) return;
  CopyGroups& groups = CopyGroups::of(s.warp, CopyKind::bulk);
  auto op = std::make_unique<CopyOp>(s, lane, form.reduce != nullptr ? "bulk reduction" : "bulk store");
  op->bytes = bytes;
  op->reduce = form.reduce;
  op->flight = groups.issue(s, one.mask);
  async_read_shared(one, *from.cta, static_cast<uint32_t>(from.offset), bytes, groups.read_event(*op->flight));
  async_write_global(one, to.offset, bytes, groups.write_event(*op->flight));
  add_parts(*op, from.bytes, to.bytes, bytes);
  launch_copy(s, std::move(op));
}

template <void (*copy)(const Step&, const Form&, uint32_t)>
Outcome run(Step& s) {
  const auto& form = *static_cast<const Form*>(s.inst.detail);
  for_lanes(s.mask, [&](uint32_t lane) { copy(s, form, lane); });
  return Outcome::next;
}

Outcome prefetch(Step& s) {
  for_lanes(s.mask, [&](uint32_t lane) {
    const uint32_t bytes = s.lanes<uint32_t>(1)[lane];
    if (bytes % kAlignment != 0)
      s.fault(HazardId::H22, "the size is " + std::to_string(bytes) + " bytes, not a multiple of 16",
              static_cast<int>(lane));
    resolve(s, Space::global, s.address(0, lane, s.inst.imm[0]), bytes, lane, kAlignment);
  });
  return Outcome::next;
}

Outcome commit(Step& s) {
  CopyGroups::of(s.warp, CopyKind::bulk).commit(s.mask);
  return Outcome::next;
}

/// imm[0]: how many groups may be pending; imm[1]: .read.
Outcome wait(Step& s) {
  return wait_copies(s, CopyKind::bulk, static_cast<uint64_t>(s.inst.imm[0]), s.inst.imm[1] != 0);
}

/// The two forms of destination: [dst], [src], size, [mbar]{, mask}{, policy} or [dst], [src], size{, policy}.
void decode_operands(Decode& d, Form form, bool hint) {
  form.to_offset = d.address();
  form.from_offset = d.address();
  d.in(Type::u32);
  if (form.to != Space::global) form.mbarrier_offset = d.address();
  if (form.multicast) d.in(Type::u16);
  if (hint) d.in(Type::b64);
  const bool global = form.to == Space::global;
  d.detail(std::make_shared<const Form>(form));
  d.emit(global ? &run<&to_global> : &run<&to_shared>);
}

/// .dst.src.completion: what may come from where, and how its end is known.
Form decode_way(Decode& d, bool reduces) {
  Form form;
  const int to = d.must_be_one_of({"shared::cluster", "shared::cta", "global"});
  form.to = to == 0 ? Space::shared_cluster : to == 1 ? Space::shared : Space::global;
  if (to == 2 || reduces || to == 0) {
    const int from = d.must_be_one_of({"shared::cta", "global"});
    form.from = from == 0 ? Space::shared : Space::global;
  } else {
    d.must_be_one_of({"global"});
  }
  if (form.from == Space::global && (to == 2 || reduces)) d.invalid("a copy from global memory ends in shared memory");
  if (reduces && to == 1) d.invalid("a reduction goes to .shared::cluster or .global");
  d.must_be_one_of({to == 2 ? "bulk_group" : "mbarrier::complete_tx::bytes"});
  return form;
}

}  // namespace

/// cp.async.bulk.dst.src.completion{.multicast::cluster}{.L2::cache_hint} ...
void decode_bulk_copy(Decode& d) {
  Form form = decode_way(d, false);
  if (form.to == Space::shared_cluster && form.from == Space::global) form.multicast = d.flag("multicast::cluster");
  const bool hint = (form.to == Space::global || form.from == Space::global) && d.flag("L2::cache_hint");
  decode_operands(d, form, hint);
}

/// cp.reduce.async.bulk.dst.src.completion{.L2::cache_hint}.op{.noftz}.type ...
void decode_bulk_reduce(Decode& d) {
  Form form = decode_way(d, true);
  const bool hint = form.to == Space::global && d.flag("L2::cache_hint");
  const CopyReduce operation = decode_copy_reduce(d);
  const bool noftz = d.flag("noftz");
  const Type type = d.type();
  const bool half = type == Type::f16 || type == Type::bf16;
  if (noftz != (half && operation == CopyReduce::add))
    d.invalid(".noftz goes with the sum of f16 or bf16, which needs it");
  form.reduce = copy_reduce(operation, type);
  if (form.reduce == nullptr) d.invalid("no such operation on this type");
  if (form.to != Space::global && (half || type == Type::f32 || type == Type::f64 || type == Type::b64 ||
                                   (type_bytes(type) == 8 && operation != CopyReduce::add)))
    d.invalid("this operation goes to global memory alone");
  decode_operands(d, form, hint);
}

/// cp.async.bulk.prefetch.L2.global{.L2::cache_hint} [src], size{, policy}
void decode_bulk_prefetch(Decode& d) {
  d.must_be_one_of({"global"});
  const bool hint = d.flag("L2::cache_hint");
  d.imm(0, d.address());
  d.in(Type::u32);
  if (hint) d.in(Type::b64);
  d.emit(&prefetch);
}

void decode_bulk_commit(Decode& d) { d.emit(&commit); }

/// cp.async.bulk.wait_group{.read} N
void decode_bulk_wait(Decode& d) {
  d.imm(1, d.flag("read") ? 1 : 0);
  const int64_t newest = d.immediate();
  if (newest < 0) d.invalid("a number of groups cannot be negative");
  d.imm(0, newest);
  d.emit(&wait);
}

}  // namespace ptxsim
