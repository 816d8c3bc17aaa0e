// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.1 "Integer arithmetic": add to abs, mad, mul24, mad24, rem, sad.
#include <algorithm>
#include <limits>

#include "sim/isa/arithmetic.hpp"
#include "sim/isa/lanes.hpp"

namespace ptxsim {
namespace {

template <class T>
constexpr T absolute(T a) {
  return a < 0 ? wrap_sub(T{0}, a) : a;
}
/// Division by zero is unspecified in PTX; the device gives all ones, and the dividend as remainder.
template <class T>
constexpr T quotient(T a, T b) {
  if (b == 0) return static_cast<T>(~T{0});
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return wrap_sub(T{0}, a);
  }
  return static_cast<T>(a / b);
}
template <class T>
constexpr T remainder(T a, T b) {
  if (b == 0) return a;
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return 0;
  }
  return static_cast<T>(a % b);
}
constexpr int32_t saturate(int64_t x) {
  return static_cast<int32_t>(
      std::clamp<int64_t>(x, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()));
}

template <class T, Arithmetic op>
Outcome binary_of(Step& s) {
  return map_lanes<T, T, T>(s, [](T a, T b) -> T {
    if constexpr (op == Arithmetic::add)
      return wrap_add(a, b);
    else if constexpr (op == Arithmetic::sub)
      return wrap_sub(a, b);
    else if constexpr (op == Arithmetic::div)
      return quotient(a, b);
    else if constexpr (op == Arithmetic::min)
      return std::min(a, b);
    else
      return std::max(a, b);
  });
}
template <class T, Arithmetic op>
Outcome unary_of(Step& s) {
  return map_lanes<T, T>(s, [](T a) { return op == Arithmetic::neg ? wrap_sub(T{0}, a) : absolute(a); });
}
template <bool subtract>
Outcome saturating(Step& s) {
  return map_lanes<int32_t, int32_t, int32_t>(
      s, [](int32_t a, int32_t b) { return saturate(subtract ? int64_t{a} - b : int64_t{a} + b); });
}
template <bool take_max>
Outcome relu(Step& s) {
  return map_lanes<int32_t, int32_t, int32_t>(
      s, [](int32_t a, int32_t b) { return std::max(take_max ? std::max(a, b) : std::min(a, b), 0); });
}

template <class T, Part part>
Outcome multiply(Step& s) {
  if constexpr (part == Part::wide)
    return map_lanes<Wide<T>, T, T>(s, [](T a, T b) { return wrap_mul<Wide<T>>(a, b); });
  else
    return map_lanes<T, T, T>(s, [](T a, T b) { return part == Part::lo ? wrap_mul(a, b) : high_product(a, b); });
}
template <class T, Part part>
Outcome multiply_add(Step& s) {
  if constexpr (part == Part::wide)
    return map_lanes<Wide<T>, T, T, Wide<T>>(
        s, [](T a, T b, Wide<T> c) { return wrap_add<Wide<T>>(wrap_mul<Wide<T>>(a, b), c); });
  else
    return map_lanes<T, T, T, T>(
        s, [](T a, T b, T c) { return wrap_add(part == Part::lo ? wrap_mul(a, b) : high_product(a, b), c); });
}
Outcome multiply_high_add_saturating(Step& s) {
  return map_lanes<int32_t, int32_t, int32_t, int32_t>(
      s, [](int32_t a, int32_t b, int32_t c) { return saturate(int64_t{high_product(a, b)} + c); });
}

/// 24-bit operands: bits 0 to 23; of the 48-bit product the bits from 16 (hi) or 0 (lo).
template <class T, bool high>
constexpr T product24(T a, T b) {
  const auto cut = [](T x) { return int64_t{static_cast<T>(static_cast<uint32_t>(x) << 8)} >> 8; };
  const int64_t product = cut(a) * cut(b);
  return static_cast<T>(high ? product >> 16 : product);
}
template <class T, bool high>
Outcome multiply24(Step& s) {
  return map_lanes<T, T, T>(s, [](T a, T b) { return product24<T, high>(a, b); });
}
template <class T, bool high>
Outcome multiply_add24(Step& s) {
  return map_lanes<T, T, T, T>(s, [](T a, T b, T c) { return wrap_add(product24<T, high>(a, b), c); });
}
Outcome multiply_add24_saturating(Step& s) {
  return map_lanes<int32_t, int32_t, int32_t, int32_t>(
      s, [](int32_t a, int32_t b, int32_t c) { return saturate(int64_t{product24<int32_t, true>(a, b)} + c); });
}

template <class T>
Outcome remainder_of(Step& s) {
  return map_lanes<T, T, T>(s, [](T a, T b) { return remainder(a, b); });
}
template <class T>
Outcome sum_of_absolute_difference(Step& s) {
  return map_lanes<T, T, T, T>(s, [](T a, T b, T c) { return wrap_add(c, a < b ? wrap_sub(b, a) : wrap_sub(a, b)); });
}

/// Both halves of a packed pair.
template <class T, Arithmetic op, bool with_relu>
Outcome packed(Step& s) {
  return map_lanes<uint32_t, uint32_t, uint32_t>(s, [](uint32_t a, uint32_t b) {
    const auto half = [](uint32_t x, uint32_t y) -> uint32_t {
      const T p = static_cast<T>(x), q = static_cast<T>(y);
      T r = op == Arithmetic::add ? wrap_add(p, q) : op == Arithmetic::min ? std::min(p, q) : std::max(p, q);
      if (with_relu) r = std::max(r, T{0});
      return static_cast<uint16_t>(r);
    };
    return half(a, b) | half(a >> 16, b >> 16) << 16;
  });
}

constexpr std::initializer_list<Type> kIntegers = {Type::u16, Type::s16, Type::u32, Type::s32, Type::u64, Type::s64};

void operands(Decode& d, Type type, int sources) {
  d.out(type);
  for (int i = 0; i < sources; ++i) d.in(type);
}

Type wide_type(Decode& d, Type type) {
  switch (type) {
    case Type::u16: return Type::u32;
    case Type::s16: return Type::s32;
    case Type::u32: return Type::u64;
    case Type::s32: return Type::s64;
    default: d.invalid("no .wide of a 64-bit type");
  }
}

template <Arithmetic op>
Handler binary_handler(Type type) {
  return for_signed_or_unsigned(type, []<class T>(T) -> Handler { return &binary_of<T, op>; });
}

Handler wide_handler(Type type, bool add) {
  switch (type) {
    case Type::u16: return add ? &multiply_add<uint16_t, Part::wide> : &multiply<uint16_t, Part::wide>;
    case Type::s16: return add ? &multiply_add<int16_t, Part::wide> : &multiply<int16_t, Part::wide>;
    case Type::u32: return add ? &multiply_add<uint32_t, Part::wide> : &multiply<uint32_t, Part::wide>;
    default: return add ? &multiply_add<int32_t, Part::wide> : &multiply<int32_t, Part::wide>;
  }
}

void decode_multiply(Decode& d, const Modifiers& m, Type type) {
  m.allow(d, "part");
  if (m.part == Part::none) d.invalid("an integer product is .lo, .hi or .wide");
  d.out(m.part == Part::wide ? wide_type(d, type) : type);
  d.in(type), d.in(type);
  if (m.part == Part::wide) return d.emit(wide_handler(type, false));
  d.emit(for_signed_or_unsigned(type, [&]<class T>(T) -> Handler {
    if constexpr (sizeof(T) == 1)
      return nullptr;
    else
      return m.part == Part::lo ? &multiply<T, Part::lo> : &multiply<T, Part::hi>;
  }));
}

}  // namespace

void decode_integer(Decode& d, Arithmetic op, const Modifiers& m, Type type) {
  if (m.cc && (op == Arithmetic::add || op == Arithmetic::sub))
    return decode_carry(d, op == Arithmetic::sub, false, m, type);
  if (type_bytes(type) == 1) d.invalid("no arithmetic on 8-bit types");
  const bool is_s32 = type == Type::s32;
  switch (op) {
    case Arithmetic::add:
    case Arithmetic::sub:
      m.allow(d, is_s32 ? "sat" : "");
      operands(d, type, 2);
      if (m.sat) return d.emit(op == Arithmetic::sub ? &saturating<true> : &saturating<false>);
      return d.emit(op == Arithmetic::sub ? binary_handler<Arithmetic::sub>(type)
                                          : binary_handler<Arithmetic::add>(type));
    case Arithmetic::mul: return decode_multiply(d, m, type);
    case Arithmetic::div:
      m.allow(d, "");
      operands(d, type, 2);
      return d.emit(binary_handler<Arithmetic::div>(type));
    case Arithmetic::min:
    case Arithmetic::max:
      m.allow(d, is_s32 ? "relu" : "");
      operands(d, type, 2);
      if (m.relu) return d.emit(op == Arithmetic::max ? &relu<true> : &relu<false>);
      return d.emit(op == Arithmetic::max ? binary_handler<Arithmetic::max>(type)
                                          : binary_handler<Arithmetic::min>(type));
    case Arithmetic::neg:
    case Arithmetic::abs:
      m.allow(d, "");
      if (type_kind(type) != TypeKind::signed_int) d.invalid("the type must be signed");
      operands(d, type, 1);
      return d.emit(for_signed_or_unsigned(type, [&]<class T>(T) -> Handler {
        return op == Arithmetic::neg ? &unary_of<T, Arithmetic::neg> : &unary_of<T, Arithmetic::abs>;
      }));
    case Arithmetic::fma: d.invalid("fma has no integer form");
  }
}

void decode_integer_mad(Decode& d, const Modifiers& m, Type type) {
  if (type_bytes(type) == 1 || (type_kind(type) != TypeKind::signed_int && type_kind(type) != TypeKind::unsigned_int))
    d.invalid("mad is of 16-, 32- and 64-bit integers, .f32 and .f64");
  m.allow(d, m.part == Part::hi && type == Type::s32 ? "part sat" : "part");
  if (m.part == Part::none) d.invalid("an integer product is .lo, .hi or .wide");
  const Type result = m.part == Part::wide ? wide_type(d, type) : type;
  d.out(result), d.in(type), d.in(type), d.in(result);
  if (m.sat) return d.emit(&multiply_high_add_saturating);
  if (m.part == Part::wide) return d.emit(wide_handler(type, true));
  d.emit(for_signed_or_unsigned(type, [&]<class T>(T) -> Handler {
    if constexpr (sizeof(T) == 1)
      return nullptr;
    else
      return m.part == Part::lo ? &multiply_add<T, Part::lo> : &multiply_add<T, Part::hi>;
  }));
}

void decode_packed_integer(Decode& d, Arithmetic op, const Modifiers& m, Type type) {
  const bool is_signed = type == Type::s16x2;
  m.allow(d, is_signed && op != Arithmetic::add ? "relu" : "");
  operands(d, type, 2);
  switch (op) {
    case Arithmetic::add: return d.emit(&packed<uint16_t, Arithmetic::add, false>);
    case Arithmetic::min:
      if (m.relu) return d.emit(&packed<int16_t, Arithmetic::min, true>);
      return d.emit(is_signed ? &packed<int16_t, Arithmetic::min, false> : &packed<uint16_t, Arithmetic::min, false>);
    case Arithmetic::max:
      if (m.relu) return d.emit(&packed<int16_t, Arithmetic::max, true>);
      return d.emit(is_signed ? &packed<int16_t, Arithmetic::max, false> : &packed<uint16_t, Arithmetic::max, false>);
    default: d.unsupported("packed 16-bit integers know add, min and max");
  }
}

void decode_mul24(Decode& d) {
  const bool high = d.must_be_one_of({"lo", "hi"}) == 1;
  const Type type = d.type({Type::u32, Type::s32});
  operands(d, type, 2);
  if (type == Type::u32) return d.emit(high ? &multiply24<uint32_t, true> : &multiply24<uint32_t, false>);
  d.emit(high ? &multiply24<int32_t, true> : &multiply24<int32_t, false>);
}

void decode_mad24(Decode& d) {
  const bool high = d.must_be_one_of({"lo", "hi"}) == 1;
  const bool sat = high && d.flag("sat");
  const Type type = sat ? d.type({Type::s32}) : d.type({Type::u32, Type::s32});
  operands(d, type, 3);
  if (sat) return d.emit(&multiply_add24_saturating);
  if (type == Type::u32) return d.emit(high ? &multiply_add24<uint32_t, true> : &multiply_add24<uint32_t, false>);
  d.emit(high ? &multiply_add24<int32_t, true> : &multiply_add24<int32_t, false>);
}

void decode_rem(Decode& d) {
  const Type type = d.type(kIntegers);
  operands(d, type, 2);
  d.emit(for_signed_or_unsigned(type, []<class T>(T) -> Handler { return &remainder_of<T>; }));
}

void decode_sad(Decode& d) {
  const Type type = d.type(kIntegers);
  operands(d, type, 3);
  d.emit(for_signed_or_unsigned(type, []<class T>(T) -> Handler { return &sum_of_absolute_difference<T>; }));
}

}  // namespace ptxsim
