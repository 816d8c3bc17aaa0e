// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.2 "Extended-precision integer arithmetic": add.cc, addc, sub.cc, subc, mad.cc, madc.
#include "sim/isa/arithmetic.hpp"
#include "sim/isa/lanes.hpp"

namespace ptxsim {
namespace {

// The flag stands behind the operands of the text: first where it is read, then where it is written.

template <class T>
struct WithFlag {
  T value;
  uint32_t flag;
};

template <class T, bool subtract>
constexpr WithFlag<T> combine(T a, T b, uint32_t flag) {
  const auto wide = subtract ? static_cast<Wide<T>>(a) - b - flag : static_cast<Wide<T>>(a) + b + flag;
  return {static_cast<T>(wide), static_cast<uint32_t>(wide >> kBits<T>) & 1};
}

template <class T, bool subtract, bool carry_in, bool carry_out>
Outcome add_with_flag(Step& s) {
  const auto a = s.lanes<T>(1), b = s.lanes<T>(2);
  const auto in = s.lanes<uint32_t>(carry_in ? 3 : 0);
  Cells<T> sum;
  Cells<uint32_t> out;
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    const auto result = combine<T, subtract>(a[lane], b[lane], carry_in ? in[lane] & 1 : 0);
    sum.at[lane] = result.value;
    out.at[lane] = result.flag;
  }
  commit(s, 0, sum);
  if (carry_out) commit(s, carry_in ? 4 : 3, out);
  return Outcome::next;
}

template <class T, Part part, bool carry_in, bool carry_out>
Outcome multiply_add_with_flag(Step& s) {
  using Bits = std::make_unsigned_t<T>;
  const auto a = s.lanes<T>(1), b = s.lanes<T>(2);
  const auto c = s.lanes<Bits>(3);
  const auto in = s.lanes<uint32_t>(carry_in ? 4 : 0);
  Cells<Bits> sum;
  Cells<uint32_t> out;
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    const T product = part == Part::lo ? wrap_mul(a[lane], b[lane]) : high_product(a[lane], b[lane]);
    const auto result = combine<Bits, false>(static_cast<Bits>(product), c[lane], carry_in ? in[lane] & 1 : 0);
    sum.at[lane] = result.value;
    out.at[lane] = result.flag;
  }
  commit(s, 0, sum);
  if (carry_out) commit(s, carry_in ? 5 : 4, out);
  return Outcome::next;
}

template <class T, bool subtract>
Handler add_handler(bool in, bool out) {
  if (in) return out ? &add_with_flag<T, subtract, true, true> : &add_with_flag<T, subtract, true, false>;
  return &add_with_flag<T, subtract, false, true>;
}

template <class T, Part part>
Handler multiply_add_handler(bool in, bool out) {
  if (in) return out ? &multiply_add_with_flag<T, part, true, true> : &multiply_add_with_flag<T, part, true, false>;
  return &multiply_add_with_flag<T, part, false, true>;
}

template <class T>
Handler multiply_add_handler(Part part, bool in, bool out) {
  return part == Part::lo ? multiply_add_handler<T, Part::lo>(in, out) : multiply_add_handler<T, Part::hi>(in, out);
}

void flags(Decode& d, bool in, bool out) {
  if (in) d.carry_in();
  if (out) d.carry_out();
}

void check_type(const Decode& d, Type type) {
  const bool is_integer = type_kind(type) == TypeKind::signed_int || type_kind(type) == TypeKind::unsigned_int;
  if (!is_integer || type_bytes(type) < 4 || type_bytes(type) > 8)
    d.invalid("extended precision is of 32- and 64-bit integers");
}

}  // namespace

void decode_carry(Decode& d, bool subtract, bool carry_in, const Modifiers& m, Type type) {
  m.allow(d, "cc");
  check_type(d, type);
  d.out(type), d.in(type), d.in(type);
  flags(d, carry_in, m.cc);
  if (type_bytes(type) == 8)
    return d.emit(subtract ? add_handler<uint64_t, true>(carry_in, m.cc)
                           : add_handler<uint64_t, false>(carry_in, m.cc));
  d.emit(subtract ? add_handler<uint32_t, true>(carry_in, m.cc) : add_handler<uint32_t, false>(carry_in, m.cc));
}

void decode_carry_mad(Decode& d, bool carry_in, const Modifiers& m, Type type) {
  m.allow(d, "part cc");
  check_type(d, type);
  if (m.part != Part::lo && m.part != Part::hi) d.invalid("with a carry the product is .lo or .hi");
  d.out(type), d.in(type), d.in(type), d.in(type);
  flags(d, carry_in, m.cc);
  switch (type) {
    case Type::u32: return d.emit(multiply_add_handler<uint32_t>(m.part, carry_in, m.cc));
    case Type::s32: return d.emit(multiply_add_handler<int32_t>(m.part, carry_in, m.cc));
    case Type::u64: return d.emit(multiply_add_handler<uint64_t>(m.part, carry_in, m.cc));
    default: return d.emit(multiply_add_handler<int64_t>(m.part, carry_in, m.cc));
  }
}

}  // namespace ptxsim
