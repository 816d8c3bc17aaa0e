// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.9 "Data movement": ld, ld.global.nc, ldu, st.
#include <algorithm>
#include <array>
#include <cstring>

#include "sim/isa/memory_modifiers.hpp"

namespace ptxsim {
namespace {

constexpr uint32_t kMaxBytes = 16;

/// Inst::detail of ld and st; operands: the registers, the address behind (ld) or before (st) them.
struct Transfer {
  Space space;
  Order order;
  Scope scope;
  bool non_coherent;
  bool is_signed;
  uint32_t parts;
  std::array<uint32_t, 8> register_bytes;  ///< of ld's registers: they may be wider than the type
  int64_t offset;
};

WarpAccess access_of(const Step& s, const Transfer& transfer, uint32_t bytes, int address) {
  WarpAccess access;
  access.space = transfer.space;
  access.bytes = bytes;
  access.order = transfer.order;
  access.scope = transfer.scope;
  access.non_coherent = transfer.non_coherent;
  access.mask = s.mask;
  for_lanes(s.mask, [&](uint32_t lane) { access.address[lane] = s.address(address, lane, transfer.offset); });
  return access;
}

/// 16 bytes of a .b128 register, or of its lane.
struct Wide {
  uint64_t low, high;
};

template <uint32_t bytes>
struct Element;
template <>
struct Element<1> {
  using Bits = uint8_t;
  using Signed = int8_t;
};
template <>
struct Element<2> {
  using Bits = uint16_t;
  using Signed = int16_t;
};
template <>
struct Element<4> {
  using Bits = uint32_t;
  using Signed = int32_t;
};
template <>
struct Element<8> {
  using Bits = uint64_t;
  using Signed = int64_t;
};

/// "Operand size exceeding instruction-type size": a wider register gets the value extended by its sign or by zeros.
template <uint32_t bytes>
void extend(Step& s, int operand, const std::byte* from, size_t stride, uint32_t register_bytes, bool is_signed) {
  using Bits = typename Element<bytes>::Bits;
  const auto value = [&](uint32_t lane) {
    Bits bits;
    std::memcpy(&bits, from + lane * stride, bytes);
    return is_signed ? static_cast<uint64_t>(int64_t{static_cast<typename Element<bytes>::Signed>(bits)})
                     : uint64_t{bits};
  };
  if (register_bytes == 8) {
    auto d = s.lanes<uint64_t>(operand);
    for_lanes(s.mask, [&](uint32_t lane) { d.set(lane, value(lane)); });
  } else {
    const uint32_t keep = register_bytes == 4 ? ~0u : register_bytes == 2 ? 0xffffu : 0xffu;
    auto d = s.lanes<uint32_t>(operand);
    for_lanes(s.mask, [&](uint32_t lane) { d.set(lane, static_cast<uint32_t>(value(lane)) & keep); });
  }
}

template <uint32_t bytes>
Outcome ld(Step& s) {
  const auto& transfer = *static_cast<const Transfer*>(s.inst.detail);
  const uint32_t whole = bytes * transfer.parts;
  alignas(16) std::byte data[kLanes * kMaxBytes];
  load(s, access_of(s, transfer, whole, static_cast<int>(transfer.parts)), data);
  for (uint32_t part = 0; part < transfer.parts; ++part) {
    const int operand = static_cast<int>(part);
    if (s.sink(operand)) continue;
    const std::byte* from = data + size_t{part} * bytes;
    if constexpr (bytes == 16) {
      auto d = s.lanes<Wide>(operand);
      for_lanes(s.mask, [&](uint32_t lane) {
        Wide value;
        std::memcpy(&value, from + size_t{lane} * whole, sizeof value);
        d.set(lane, value);
      });
    } else {
      extend<bytes>(s, operand, from, whole, transfer.register_bytes[part], transfer.is_signed);
    }
  }
  return Outcome::next;
}

template <uint32_t bytes>
Outcome st(Step& s) {
  const auto& transfer = *static_cast<const Transfer*>(s.inst.detail);
  const uint32_t whole = bytes * transfer.parts;
  alignas(16) std::byte data[kLanes * kMaxBytes];
  for (uint32_t part = 0; part < transfer.parts; ++part) {
    const int operand = static_cast<int>(part) + 1;
    std::byte* to = data + size_t{part} * bytes;
    const auto put = [&](const auto& from) {
      for_lanes(s.mask, [&](uint32_t lane) {
        const auto value = from[lane];
        std::memcpy(to + size_t{lane} * whole, &value, bytes);
      });
    };
    if constexpr (bytes == 16) {
      put(s.lanes<Wide>(operand));
    } else if (s.operands[operand].units == 2) {
      put(s.lanes<uint64_t>(operand));
    } else if constexpr (bytes <= 4) {
      put(s.lanes<uint32_t>(operand));
    }
  }
  store(s, access_of(s, transfer, whole, 0), data);
  return Outcome::next;
}

Handler by_width(Type type, Handler one, Handler two, Handler four, Handler eight, Handler sixteen) {
  switch (type_bytes(type)) {
    case 1: return one;
    case 2: return two;
    case 4: return four;
    case 8: return eight;
    default: return sixteen;
  }
}

Type type_of_transfer(Decode& d, const MemoryModifiers& m) {
  const Type type = d.type({Type::b8, Type::b16, Type::b32, Type::b64, Type::b128, Type::u8, Type::u16, Type::u32,
                            Type::u64, Type::s8, Type::s16, Type::s32, Type::s64, Type::f32, Type::f64});
  if (type_bytes(type) * m.parts > kMaxBytes)
    d.unsupported("a vector of more than 16 bytes needs sm_100: the target is sm_90a");
  return type;
}

std::shared_ptr<Transfer> transfer_of(const MemoryModifiers& m, Type type) {
  Transfer transfer{};
  transfer.space = m.space;
  transfer.order = m.order;
  transfer.scope = m.scope;
  transfer.non_coherent = m.non_coherent;
  transfer.is_signed = type_kind(type) == TypeKind::signed_int;
  transfer.parts = m.parts;
  return std::make_shared<Transfer>(transfer);
}

void check_order(const Decode& d, const MemoryModifiers& m, Order one_sided) {
  const bool needs_scope = m.order == Order::relaxed || m.order == one_sided;
  if (m.order != Order::weak && m.order != Order::is_volatile && !needs_scope)
    d.invalid("an order that this instruction does not have");
  if (needs_scope != m.scoped) d.invalid(needs_scope ? "an order without a scope" : "a scope without an order");
}

void load_from(Decode& d, MemoryModifiers m) {
  while (m.read(d)) {
  }
  check_order(d, m, Order::acquire);
  const Type type = type_of_transfer(d, m);
  auto transfer = transfer_of(m, type);
  if (m.parts == 1)
    d.out(type, true);
  else if (d.out_vector(type, false, true) != static_cast<int>(m.parts))
    d.invalid("the vector has another number of registers than the instruction says");
  for (uint32_t part = 0; part < m.parts; ++part)
    transfer->register_bytes[part] = std::max(1u, d.register_bytes(static_cast<int>(part)));
  transfer->offset = d.address();
  m.read_policy(d);
  d.detail(transfer);
  d.emit(by_width(type, &ld<1>, &ld<2>, &ld<4>, &ld<8>, &ld<16>));
}

}  // namespace

void decode_ld(Decode& d) { load_from(d, {}); }

void decode_ld_nc(Decode& d) {
  MemoryModifiers m;
  m.space = Space::global;
  m.non_coherent = true;
  load_from(d, m);
}

void decode_st(Decode& d) {
  MemoryModifiers m;
  while (m.read(d)) {
  }
  check_order(d, m, Order::release);
  if (m.space == Space::constant || m.non_coherent) d.invalid("constant or read-only memory cannot be stored to");
  const Type type = type_of_transfer(d, m);
  auto transfer = transfer_of(m, type);
  transfer->offset = d.address();
  if (m.parts == 1)
    d.in(type, true);
  else if (d.in_vector(type, false, true) != static_cast<int>(m.parts))
    d.invalid("the vector has another number of registers than the instruction says");
  m.read_policy(d);
  d.detail(transfer);
  d.emit(by_width(type, &st<1>, &st<2>, &st<4>, &st<8>, &st<16>));
}

}  // namespace ptxsim
