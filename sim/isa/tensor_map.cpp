// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.9 "tensormap.replace" and 9.7.13 "tensormap.cp_fenceproxy": tensor maps that a kernel changes. The bytes
// are written in the generic proxy; the races of such writes are found, a missing fence.proxy.tensormap is not.
#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <string>

#include "sim/isa/copy_op.hpp"
#include "sim/isa/decode.hpp"
#include "sim/memory/access.hpp"
#include "sim/memory/tensor_map_codec.hpp"

namespace ptxsim {
namespace {

using Bytes = std::array<std::byte, kTensorMapBytes>;
constexpr uint32_t kPart = 16;

/// Calls f(access, first byte) for the parts of a map at the address of the step's one lane.
template <class F>
void for_parts(const Step& one, Space space, uint64_t address, F f) {
  const uint32_t lane = one.first_lane();
  resolve(one, space, address, kTensorMapBytes, lane, kTensorMapAlignment);
  WarpAccess access;
  access.space = space;
  access.bytes = kPart;
  access.mask = one.mask;
  for (uint32_t at = 0; at < kTensorMapBytes; at += kPart) {
    access.address[lane] = address + at;
    f(access, at);
  }
}

Bytes read_map(const Step& one, Space space, uint64_t address) {
  Bytes map;
  std::array<std::byte, kLanes * kPart> lanes;
  for_parts(one, space, address, [&](const WarpAccess& access, uint32_t at) {
    load(one, access, lanes.data());
    std::copy_n(lanes.begin() + one.first_lane() * kPart, kPart, map.begin() + at);
  });
  return map;
}

void write_map(const Step& one, Space space, uint64_t address, const Bytes& map) {
  std::array<std::byte, kLanes * kPart> lanes{};
  for_parts(one, space, address, [&](const WarpAccess& access, uint32_t at) {
    std::copy_n(map.begin() + at, kPart, lanes.begin() + one.first_lane() * kPart);
    store(one, access, lanes.data());
  });
}

/// Inst::detail of tensormap.replace. Operands: the map's address, the new value unless it is an immediate.
struct Replace {
  TensorMapField field{};
  Space space = Space::generic;
  int64_t offset = 0;
  uint32_t dimension = 0;
  bool wide = false;  ///< the value has 64 bits
};

Outcome replace(Step& s) {
  const auto& form = *static_cast<const Replace*>(s.inst.detail);
  for_lanes(s.mask, [&](uint32_t lane) {
    const Step one = only_lane(s, lane);
    const uint64_t address = s.address(0, lane, form.offset);
    const uint64_t value = form.wide ? s.lanes<uint64_t>(1)[lane] : s.lanes<uint32_t>(1)[lane];
    Bytes map = read_map(one, form.space, address);
    std::string why;
    if (!replace_field(map, form.field, form.dimension, value, why))
      s.fault(HazardId::H17, why, static_cast<int>(lane));
    write_map(one, form.space, address, map);
  });
  return Outcome::next;
}

/// imm[0], imm[1]: offsets of the addresses. One lane copies for all; then the others see it.
Outcome copy_and_fence(Step& s) {
  const Step one = only_lane(s, s.first_lane());
  const uint32_t lane = one.first_lane();
  write_map(one, Space::global, s.address(0, lane, s.inst.imm[0]),
            read_map(one, Space::shared, s.address(1, lane, s.inst.imm[1])));
  converge(s);
  return Outcome::next;
}

}  // namespace

/// tensormap.replace.tile.field{.ss}.b1024.type [addr], {ord,} new_val;
void decode_tensormap_replace(Decode& d) {
  Replace form;
  d.must_be_one_of({"tile"});
  if (d.peek() == "swizzle_atomicity") d.unsupported(".swizzle_atomicity is of sm_100");
  form.field = static_cast<TensorMapField>(
      d.must_be_one_of({"global_address", "rank", "box_dim", "global_dim", "global_stride", "element_stride",
                        "elemtype", "interleave_layout", "swizzle_mode", "fill_mode"}));
  constexpr Space kSpaces[] = {Space::generic, Space::global, Space::shared};
  form.space = kSpaces[d.one_of({"global", "shared::cta"}) + 1];
  d.must_be_one_of({"b1024"});
  form.wide = form.field == TensorMapField::global_address || form.field == TensorMapField::global_stride;
  const Type type = d.type({form.wide ? Type::b64 : Type::b32});
  form.offset = d.address();
  if (form.field >= TensorMapField::box_dim && form.field <= TensorMapField::element_stride) {
    const int64_t dimension = d.immediate();
    if (dimension < 0 || dimension > 4) d.invalid("a dimension is 0 to 4");
    form.dimension = static_cast<uint32_t>(dimension);
  }
  if (form.field >= TensorMapField::elemtype && !d.next_is_immediate()) d.invalid("the new value is a constant");
  d.in(type);
  d.detail(std::make_shared<Replace>(form));
  d.emit(&replace);
}

/// tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.scope.sync.aligned [dst], [src], 128;
void decode_tensormap_cp_fenceproxy(Decode& d) {
  d.must_be_one_of({"global"}), d.must_be_one_of({"shared::cta"});
  d.must_be_one_of({"tensormap::generic"}), d.must_be_one_of({"release"});
  d.must_be_one_of({"cta", "cluster", "gpu", "sys"});
  d.must_be_one_of({"sync"}), d.must_be_one_of({"aligned"});
  d.imm(0, d.address());
  d.imm(1, d.address());
  if (d.immediate() != kTensorMapBytes) d.invalid("a tensor map has 128 bytes");
  d.emit(&copy_and_fence);
}

}  // namespace ptxsim
