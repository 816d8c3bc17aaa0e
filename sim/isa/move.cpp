// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.9 "Data movement and conversion instructions": mov, prmt, isspacep, cvta; what touches no memory.
#include "sim/isa/lanes.hpp"
#include "sim/machine/cta.hpp"
#include "sim/machine/machine.hpp"
#include "sim/memory/access.hpp"

namespace ptxsim {
namespace {

struct Bits128 {
  uint64_t low, high;
};

template <class T>
Outcome copy(Step& s) {
  return map_lanes<T, T>(s, [](T a) { return a; });
}

/// The first part is the least significant one.
template <class T, class Part>
Outcome pack(Step& s) {
  Cells<T> whole;
  for (int i = 0; i < static_cast<int>(sizeof(T) / sizeof(Part)); ++i) {
    const auto part = s.lanes<Part>(i + 1);
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      const Part value = part[lane];
      std::memcpy(reinterpret_cast<std::byte*>(&whole.at[lane]) + size_t(i) * sizeof(Part), &value, sizeof value);
    }
  }
  write_lanes<T>(s, 0, [&](uint32_t lane) { return whole.at[lane]; });
  return Outcome::next;
}
template <class T, class Part>
Outcome unpack(Step& s) {
  constexpr int kParts = sizeof(T) / sizeof(Part);
  // Read in full first: a part may lie where the whole does.
  Cells<T> whole;
  const auto from = s.lanes<T>(kParts);
  for (uint32_t lane = 0; lane < kLanes; ++lane) whole.at[lane] = from[lane];
  for (int i = 0; i < kParts; ++i) {
    write_lanes<Part>(s, i, [&](uint32_t lane) {
      Part value;
      std::memcpy(&value, reinterpret_cast<const std::byte*>(&whole.at[lane]) + size_t(i) * sizeof(Part), sizeof value);
      return value;
    });
  }
  return Outcome::next;
}

struct PackRow {
  Type whole;
  int parts;
  Type part;
  Handler pack, unpack;
};
constexpr PackRow kPacks[] = {
    {Type::b16, 2, Type::b8, &pack<uint16_t, uint8_t>, &unpack<uint16_t, uint8_t>},
    {Type::b32, 2, Type::b16, &pack<uint32_t, uint16_t>, &unpack<uint32_t, uint16_t>},
    {Type::b32, 4, Type::b8, &pack<uint32_t, uint8_t>, &unpack<uint32_t, uint8_t>},
    {Type::b64, 2, Type::b32, &pack<uint64_t, uint32_t>, &unpack<uint64_t, uint32_t>},
    {Type::b64, 4, Type::b16, &pack<uint64_t, uint16_t>, &unpack<uint64_t, uint16_t>},
    {Type::b128, 2, Type::b64, &pack<Bits128, uint64_t>, &unpack<Bits128, uint64_t>},
    {Type::b128, 4, Type::b32, &pack<Bits128, uint32_t>, &unpack<Bits128, uint32_t>},
};

const PackRow& pack_row(const Decode& d, Type type, int parts) {
  for (const PackRow& row : kPacks) {
    if (row.whole == type && row.parts == parts) return row;
  }
  d.invalid(std::string("no .") + type_name(type) + " has " + std::to_string(parts) + " parts");
}

// prmt: a selector of four nibbles; each names a byte of b:a, its top bit asks for the byte's sign instead.

constexpr uint32_t select_byte(uint64_t bytes, uint32_t nibble) {
  const uint32_t byte = static_cast<uint32_t>(bytes >> 8 * (nibble & 7)) & 0xff;
  return (nibble & 8) == 0 ? byte : (byte & 0x80) != 0 ? 0xff : 0;
}
constexpr uint32_t permute(uint32_t a, uint32_t b, uint32_t selector) {
  const uint64_t bytes = uint64_t{b} << 32 | a;
  uint32_t result = 0;
  for (uint32_t i = 0; i < 4; ++i) result |= select_byte(bytes, selector >> 4 * i & 15) << 8 * i;
  return result;
}

/// imm[0]: a selector for each of the four values of the mode's two control bits.
Outcome prmt_mode(Step& s) {
  const uint64_t selectors = static_cast<uint64_t>(s.inst.imm[0]);
  return map_lanes<uint32_t, uint32_t, uint32_t, uint32_t>(s, [&](uint32_t a, uint32_t b, uint32_t c) {
    return permute(a, b, static_cast<uint32_t>(selectors >> 16 * (c & 3)));
  });
}
Outcome prmt(Step& s) { return map_lanes<uint32_t, uint32_t, uint32_t, uint32_t>(s, permute); }

/// imm[0]: the one selector, without signs; shifts by the same amount in all lanes.
Outcome prmt_constant(Step& s) {
  uint32_t shift[4], from_b[4];
  for (int i = 0; i < 4; ++i) {
    shift[i] = static_cast<uint32_t>(s.inst.imm[0] >> 4 * i & 3) * 8;
    from_b[i] = (s.inst.imm[0] >> 4 * i & 4) != 0 ? ~0u : 0u;
  }
  return map_lanes<uint32_t, uint32_t, uint32_t>(s, [&](uint32_t a, uint32_t b) {
    uint32_t result = 0;
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t source = a ^ ((a ^ b) & from_b[i]);
      result |= (source >> shift[i] & 0xff) << 8 * i;
    }
    return result;
  });
}
/// The same with signs.
Outcome prmt_constant_signs(Step& s) {
  const uint32_t selector = static_cast<uint32_t>(s.inst.imm[0]);
  return map_lanes<uint32_t, uint32_t, uint32_t>(s, [&](uint32_t a, uint32_t b) { return permute(a, b, selector); });
}

struct PermuteMode {
  std::string_view name;
  std::array<uint16_t, 4> selectors;  ///< by the control bits
};
constexpr PermuteMode kPermuteModes[] = {
    {"f4e", {0x3210, 0x4321, 0x5432, 0x6543}}, {"b4e", {0x5670, 0x6701, 0x7012, 0x0123}},
    {"rc8", {0x0000, 0x1111, 0x2222, 0x3333}}, {"ecl", {0x3210, 0x3211, 0x3222, 0x3333}},
    {"ecr", {0x0000, 0x1110, 0x2210, 0x3210}}, {"rc16", {0x1010, 0x3232, 0x1010, 0x3232}},
};

const PermuteMode* permute_mode(Decode& d) {
  for (const PermuteMode& mode : kPermuteModes) {
    if (d.flag(mode.name)) return &mode;
  }
  return nullptr;
}

// Generic addresses: windows of memory/access.hpp; global and constant memory are where they are.

uint64_t window_of(Space space) {
  switch (space) {
    case Space::shared:
    case Space::shared_cluster: return kGenericShared;
    case Space::local: return kGenericLocal;
    case Space::param: return kGenericParam;
    default: return 0;
  }
}

Space space_of(Decode& d) {
  constexpr Space kSpaces[] = {Space::global, Space::shared,   Space::shared, Space::shared_cluster,
                               Space::local,  Space::constant, Space::param,  Space::param};
  return kSpaces[d.must_be_one_of(
      {"global", "shared", "shared::cta", "shared::cluster", "local", "const", "param", "param::entry"})];
}

Outcome add_window(Step& s) {
  const uint64_t window = static_cast<uint64_t>(s.inst.imm[0]);
  return map_lanes<uint64_t, uint64_t>(s, [&](uint64_t a) { return a + window; });
}

bool in_space(const Step& s, uint64_t address, Space space) {
  const uint64_t window = address & (kGenericShared | kGenericLocal | kGenericParam);
  switch (space) {
    case Space::shared: {
      const uint64_t rank = address >> 24 & 0xff;  // 0: the own CTA; else one more than the rank
      return window == kGenericShared && (rank == 0 || rank == uint64_t{s.cta.rank} + 1);
    }
    case Space::shared_cluster:
    case Space::local:
    case Space::param: return window == window_of(space);
    default: break;
  }
  const DeviceMemory::Block* block = window == 0 ? s.machine.memory().find(address, 1) : nullptr;
  const bool constant = block != nullptr && block->constant;
  return window == 0 && constant == (space == Space::constant);
}

Outcome isspacep(Step& s) {
  const auto space = static_cast<Space>(s.inst.imm[0]);
  auto to = s.lanes<uint32_t>(0);
  for_lanes(s.mask, [&](uint32_t lane) { to.set(lane, in_space(s, s.address(1, lane), space) ? 1 : 0); });
  return Outcome::next;
}

}  // namespace

void decode_mov(Decode& d) {
  const Type type = d.type({Type::pred, Type::b16, Type::b32, Type::b64, Type::b128, Type::u16, Type::u32, Type::u64,
                            Type::s16, Type::s32, Type::s64, Type::f32, Type::f64});
  if (const int parts = d.next_vector_size(); parts != 0) {
    const PackRow& row = pack_row(d, type, parts);
    d.out_vector(row.part);
    d.in(type);
    return d.emit(row.unpack);
  }
  d.out(type);
  if (const int parts = d.next_vector_size(); parts != 0) {
    const PackRow& row = pack_row(d, type, parts);
    d.in_vector(row.part);
    return d.emit(row.pack);
  }
  d.in(type);
  if (type == Type::pred) return d.emit(&copy<uint32_t>);
  if (type == Type::b128) return d.emit(&copy<Bits128>);
  d.emit(for_bytes(type, []<class T>(T) -> Handler { return &copy<T>; }));
}

void decode_prmt(Decode& d) {
  d.type({Type::b32});
  const PermuteMode* mode = permute_mode(d);
  d.out(Type::b32), d.in(Type::b32), d.in(Type::b32);
  if (d.next_is_immediate()) {
    const uint64_t control = static_cast<uint64_t>(d.immediate());
    const uint64_t selector = mode == nullptr ? control & 0xffff : mode->selectors[control & 3];
    d.imm(0, static_cast<int64_t>(selector));
    return d.emit((selector & 0x8888) == 0 ? &prmt_constant : &prmt_constant_signs);
  }
  d.in(Type::b32);
  if (mode == nullptr) return d.emit(&prmt);
  uint64_t selectors = 0;
  for (size_t i = 0; i < 4; ++i) selectors |= uint64_t{mode->selectors[i]} << 16 * i;
  d.imm(0, static_cast<int64_t>(selectors));
  d.emit(&prmt_mode);
}

void decode_isspacep(Decode& d) {
  const Space space = space_of(d);
  d.out(Type::pred), d.in(Type::u64);
  d.imm(0, static_cast<int64_t>(space));
  d.emit(&isspacep);
}

void decode_cvta(Decode& d) {
  const bool to_space = d.flag("to");
  const uint64_t window = window_of(space_of(d));
  d.type({Type::u64});
  d.out(Type::u64), d.in(Type::u64);
  d.imm(0, static_cast<int64_t>(to_space ? 0 - window : window));
  d.emit(window == 0 ? &copy<uint64_t> : &add_window);
}

}  // namespace ptxsim
