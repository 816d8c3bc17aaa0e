// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.9 "cvt" of scalars; convert_packed.cpp has the forms with packed results or sources.
#include "sim/isa/convert.hpp"

#include <cmath>
#include <limits>

#include "sim/isa/lanes.hpp"
#include "sim/numeric/half.hpp"
#include "sim/numeric/narrow.hpp"

namespace ptxsim {
namespace {

/// How a register's bits become a C++ value and back: integers are themselves, halves are floats.
template <class T>
struct Scalar {
  using Bits = T;
  using Value = T;
  static constexpr bool kReal = std::is_floating_point_v<T>;
  static T value(T bits) { return bits; }
};
template <>
struct Scalar<F16> {
  using Bits = uint16_t;
  using Value = float;
  static constexpr bool kReal = true;
  static float value(uint16_t bits) { return f16_to_f32(bits); }
};
template <>
struct Scalar<Bf16> {
  using Bits = uint16_t;
  using Value = float;
  static constexpr bool kReal = true;
  static float value(uint16_t bits) { return bf16_to_f32(bits); }
};
template <class T>
using BitsOf = typename Scalar<T>::Bits;
template <class T>
using ValueOf = typename Scalar<T>::Value;
template <class T>
inline constexpr bool kHalf = std::is_same_v<T, F16> || std::is_same_v<T, Bf16>;

template <class D, class S>
constexpr D integer_to_integer(S x, bool sat) {
  if (!sat) return static_cast<D>(x);
  constexpr D kLow = std::numeric_limits<D>::min(), kHigh = std::numeric_limits<D>::max();
  return std::cmp_less(x, kLow) ? kLow : std::cmp_greater(x, kHigh) ? kHigh : static_cast<D>(x);
}

double round_integral(double x, Round mode) {
  switch (mode) {
    case Round::rz: return integral<Round::rz>(x);
    case Round::rm: return integral<Round::rm>(x);
    case Round::rp: return integral<Round::rp>(x);
    default: return integral<Round::rn>(x);
  }
}

/// Of an integral value: what is out of range becomes the nearest in range. A NaN becomes 0, or the top bit alone where
/// a 64-bit type takes part.
template <class D, bool wide_source>
constexpr D real_to_integer(double x) {
  constexpr double kBelow = static_cast<double>(std::numeric_limits<D>::min());
  constexpr double kAbove = static_cast<double>(std::numeric_limits<D>::max() / 2 + 1) * 2;
  constexpr D kNan = wide_source || sizeof(D) == 8 ? static_cast<D>(uint64_t{1} << (kBits<D> - 1)) : D{0};
  const bool inside = x >= kBelow && x < kAbove;
  const D value = static_cast<D>(inside ? x : 0.0);
  return inside ? value : x < kBelow ? std::numeric_limits<D>::min() : x != x ? kNan : std::numeric_limits<D>::max();
}

/// To a half, from an integer or a real number.
template <class D, class V>
uint16_t to_half(V x, const Conversion& how) {
  uint32_t bits;
  if constexpr (std::is_floating_point_v<V>) {
    bits = round_to<D>(static_cast<double>(x), how.round, how.satfinite);
  } else {
    const bool negative = x < 0;
    const uint64_t magnitude = negative ? 0 - static_cast<uint64_t>(x) : static_cast<uint64_t>(x);
    bits = round_to<D>(exact(magnitude, negative), how.round, how.satfinite);
  }
  return static_cast<uint16_t>(how.relu && (bits & 0x8000) != 0 ? 0 : bits);
}

template <class D, class S>
BitsOf<D> convert_one(ValueOf<S> x, const Conversion& how) {
  using V = ValueOf<S>;
  if constexpr (Scalar<S>::kReal) {
    if constexpr (std::is_same_v<S, float>) {
      if (how.ftz) x = flush(x);
    }
    if (how.integral) x = static_cast<V>(round_integral(x, how.round));
  }
  if constexpr (!Scalar<D>::kReal) {
    if constexpr (Scalar<S>::kReal)
      return real_to_integer<D, std::is_same_v<S, double>>(x);
    else
      return integer_to_integer<D>(x, how.sat);
  } else {
    if constexpr (kHalf<D>) {
      if (!how.sat) return to_half<D>(x, how);
      return to_half<D>(saturate(static_cast<double>(x)), how);
    } else {
      // In the host's rounding mode, which is the instruction's.
      D result = canonical(static_cast<D>(x));
      if (std::is_same_v<D, float> && how.ftz) result = flush(result);
      return how.sat ? saturate(result) : result;
    }
  }
}

/// The conversion as most kernels have it: .rn to a real number, .rzi to an integer, nothing else.
template <class D, class S>
BitsOf<D> convert_plainly(ValueOf<S> x) {
  if constexpr (!Scalar<D>::kReal) {
    if constexpr (Scalar<S>::kReal)
      return real_to_integer<D, std::is_same_v<S, double>>(integral<Round::rz>(x));
    else
      return static_cast<D>(x);
  } else if constexpr (std::is_same_v<D, F16> && std::is_same_v<ValueOf<S>, float>) {
    return f32_to_f16(x);
  } else if constexpr (std::is_same_v<D, Bf16> && std::is_same_v<ValueOf<S>, float>) {
    return f32_to_bf16(x);
  } else if constexpr (kHalf<D>) {
    return to_half<D>(x, Conversion{});
  } else {
    return canonical(static_cast<D>(x));
  }
}

/// Not inlined: the caller may have changed the host's rounding mode.
template <class D, class S>
__attribute__((noinline)) void convert_lanes(const BitsOf<S>* from, BitsOf<D>* __restrict to, const Conversion& how) {
  if (how.plain) {
    for (uint32_t lane = 0; lane < kLanes; ++lane) to[lane] = convert_plainly<D, S>(Scalar<S>::value(from[lane]));
  } else {
    for (uint32_t lane = 0; lane < kLanes; ++lane) to[lane] = convert_one<D, S>(Scalar<S>::value(from[lane]), how);
  }
}

/// Register cells of `bytes` as values of T; a register may be wider than the type, then its low bits count.
template <class T>
void read_cells(Step& s, int index, bool wide, Cells<T>& to) {
  if (wide && sizeof(T) < 8) {
    const uint64_t* from = s.lanes<uint64_t>(index).data();
    using U = std::conditional_t<sizeof(T) == 1, uint8_t, std::conditional_t<sizeof(T) == 2, uint16_t, uint32_t>>;
    if constexpr (sizeof(T) < 8) {
      for (uint32_t lane = 0; lane < kLanes; ++lane) to.at[lane] = std::bit_cast<T>(static_cast<U>(from[lane]));
    }
  } else {
    const auto from = s.lanes<T>(index);
    for (uint32_t lane = 0; lane < kLanes; ++lane) to.at[lane] = from[lane];
  }
}

/// Extends an integer by its sign, other values by zeros, to the register's width.
template <class T>
void write_cells(Step& s, uint32_t bytes, const Cells<T>& from) {
  if (bytes == sizeof(T)) {
    write_lanes<T>(s, 0, [&](uint32_t lane) { return from.at[lane]; });
    return;
  }
  const auto extended = [&](uint32_t lane) -> uint64_t {
    if constexpr (std::is_same_v<T, float>)
      return std::bit_cast<uint32_t>(from.at[lane]);
    else if constexpr (std::is_same_v<T, double>)
      return std::bit_cast<uint64_t>(from.at[lane]);
    else
      return static_cast<uint64_t>(static_cast<int64_t>(from.at[lane]));
  };
  if (bytes == 8) return write_lanes<uint64_t>(s, 0, extended);
  if (bytes == 4) return write_lanes<uint32_t>(s, 0, [&](uint32_t l) { return static_cast<uint32_t>(extended(l)); });
  write_lanes<uint16_t>(s, 0, [&](uint32_t l) { return static_cast<uint16_t>(extended(l)); });
}

template <class D, class S>
Outcome convert(Step& s) {
  const auto& how = *static_cast<const Conversion*>(s.inst.detail);
  Cells<BitsOf<S>> from;
  Cells<BitsOf<D>> to;
  read_cells<BitsOf<S>>(s, 1, how.source_bytes == 8, from);
  constexpr bool kByHost = std::is_same_v<D, float> || std::is_same_v<D, double>;
  if (kByHost && !how.integral && how.round != Round::rn) {
    const HostRounding rounding(how.round);
    convert_lanes<D, S>(from.at, to.at, how);
  } else {
    convert_lanes<D, S>(from.at, to.at, how);
  }
  write_cells<BitsOf<D>>(s, how.result_bytes, to);
  return Outcome::next;
}

/// The result of choose.operator()<T>() for the scalar type.
template <class C>
Handler for_scalar(Type type, C choose) {
  switch (type) {
    case Type::u8: return choose.template operator()<uint8_t>();
    case Type::s8: return choose.template operator()<int8_t>();
    case Type::u16: return choose.template operator()<uint16_t>();
    case Type::s16: return choose.template operator()<int16_t>();
    case Type::u32: return choose.template operator()<uint32_t>();
    case Type::s32: return choose.template operator()<int32_t>();
    case Type::u64: return choose.template operator()<uint64_t>();
    case Type::s64: return choose.template operator()<int64_t>();
    case Type::f16: return choose.template operator()<F16>();
    case Type::bf16: return choose.template operator()<Bf16>();
    case Type::f32: return choose.template operator()<float>();
    default: return choose.template operator()<double>();
  }
}

bool is_integer(Type type) {
  return type_kind(type) == TypeKind::signed_int || type_kind(type) == TypeKind::unsigned_int;
}
bool is_scalar(Type type) {
  return is_integer(type) || type == Type::f16 || type == Type::bf16 || type == Type::f32 || type == Type::f64;
}

/// Whether the rounding, or its absence, is what the pair of types asks for.
void check_rounding(const Decode& d, const Conversion& how, Type to, Type from) {
  const bool real_to = !is_integer(to), real_from = !is_integer(from);
  const bool same = to == from;
  const bool halves = type_bytes(to) == 2 && type_bytes(from) == 2;
  if (how.integral && (!real_from || (real_to && !same)))
    d.invalid("rounding to an integer does not go with the types");
  if (real_from && !real_to && !how.integral) d.invalid("a rounding to an integer is required");
  const bool narrows = real_to && (!real_from || type_bytes(to) < type_bytes(from));
  if (narrows && !how.rounded) d.invalid("a rounding modifier is required");
  if (how.rounded && !narrows && !(real_to && !same && (halves || from == Type::bf16)))
    d.invalid("a rounding modifier does not go with the types");
}

void check_scalar(const Decode& d, const Conversion& how, Type to, Type from) {
  check_rounding(d, how, to, from);
  const bool f32 = to == Type::f32 || from == Type::f32;
  const bool bf16 = to == Type::bf16 || from == Type::bf16;
  if (how.ftz && !f32) d.invalid(".ftz goes with .f32 alone");
  if ((how.relu || how.satfinite) && !(from == Type::f32 && type_bytes(to) == 2 && !is_integer(to)))
    d.invalid(".relu and .satfinite are of conversions of .f32 to halves");
  if (how.sat && (bf16 || how.relu || how.satfinite)) d.invalid(".sat does not go with the types");
  if (how.sat && to == from && is_integer(to)) d.invalid(".sat has no effect");
  if (bf16 && (type_bytes(to) == 1 || type_bytes(from) == 1)) d.invalid("no conversion between .bf16 and 8 bits");
}

void decode_scalar(Decode& d, Conversion how, Type to, Type from) {
  check_scalar(d, how, to, from);
  d.out(to, true);
  d.in(from, true);
  const uint32_t result = d.register_bytes(0), source = d.register_bytes(1);
  how.result_bytes = result == 0 ? type_bytes(to) : result;
  how.source_bytes = source == 0 ? type_bytes(from) : source;
  const bool to_integer = is_integer(to), from_integer = is_integer(from);
  const Round usual = to_integer && !from_integer ? Round::rz : Round::rn;
  how.plain = how.round == usual && how.integral == (to_integer && !from_integer) && !how.ftz && !how.sat &&
              !how.relu && !how.satfinite;
  d.detail(std::make_shared<Conversion>(how));
  d.emit(for_scalar(
      to, [&]<class D>() -> Handler { return for_scalar(from, []<class S>() -> Handler { return &convert<D, S>; }); }));
}

Conversion decode_modifiers(Decode& d) {
  Conversion how;
  const int integral = d.one_of({"rni", "rzi", "rmi", "rpi"});
  const int rounding = integral >= 0 ? integral : d.one_of({"rn", "rz", "rm", "rp", "rna"});
  how.integral = integral >= 0;
  how.rounded = !how.integral && rounding >= 0;
  if (rounding >= 0) how.round = static_cast<Round>(rounding);
  for (;;) {
    if (d.flag("ftz"))
      how.ftz = true;
    else if (d.flag("sat"))
      how.sat = true;
    else if (d.flag("relu"))
      how.relu = true;
    else if (d.flag("satfinite"))
      how.satfinite = true;
    else
      return how;
  }
}

}  // namespace

void decode_cvt(Decode& d) {
  const Conversion how = decode_modifiers(d);
  const Type to = d.type(), from = d.type();
  if (!is_scalar(to) || !is_scalar(from)) return decode_packed_conversion(d, how, to, from);
  if (how.round == Round::rna) d.invalid(".rna is of .tf32");
  decode_scalar(d, how, to, from);
}

}  // namespace ptxsim
