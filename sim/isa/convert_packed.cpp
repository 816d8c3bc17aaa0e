// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.9 "cvt" with packed types and .tf32, and "cvt.pack".
#include <algorithm>

#include "sim/isa/convert.hpp"
#include "sim/isa/lanes.hpp"
#include "sim/numeric/float8.hpp"
#include "sim/numeric/half.hpp"
#include "sim/numeric/narrow.hpp"

namespace ptxsim {
namespace {

const Conversion& conversion(const Step& s) { return *static_cast<const Conversion*>(s.inst.detail); }

/// Bits of format F, rounded as the modifiers say.
template <class F>
uint32_t encode(float x, const Conversion& how) {
  const uint32_t bits = round_to<F>(double{x}, how.round, how.satfinite);
  return how.relu && (bits & kSignBit<F>) != 0 ? 0 : bits;
}

/// The first operand becomes the upper part of the result.
template <class F>
Outcome pack_f32_pair(Step& s) {
  constexpr int kPart = F::kExponentBits + F::kFractionBits + 1;
  using D = std::conditional_t<kPart == 8, uint16_t, uint32_t>;
  const Conversion& how = conversion(s);
  if (how.plain)
    return map_lanes<D, float, float>(s, [](float a, float b) {
      constexpr bool kSatfinite = kPart == 8;
      return static_cast<uint32_t>(narrow<F, kSatfinite>(a)) << kPart | narrow<F, kSatfinite>(b);
    });
  return map_lanes<D, float, float>(s,
                                    [&](float a, float b) { return encode<F>(a, how) << kPart | encode<F>(b, how); });
}

template <class F>
Outcome f8_from_f16_pair(Step& s) {
  const Conversion& how = conversion(s);
  return map_lanes<uint16_t, uint32_t>(s, [&](uint32_t a) {
    return encode<F>(f16_to_f32(high_half(a)), how) << 8 | encode<F>(f16_to_f32(low_half(a)), how);
  });
}
/// Exact; every 8-bit float is an f16.
template <class F>
Outcome f16_from_f8_pair(Step& s) {
  const Conversion& how = conversion(s);
  const auto& table = std::is_same_v<F, E4m3> ? kE4m3Values : kE5m2Values;
  const auto part = [&](uint32_t bits) {
    const uint16_t half = f32_to_f16(table[bits & 0xff]);
    return how.relu && (half & 0x8000) != 0 ? uint16_t{0} : half;
  };
  return map_lanes<uint32_t, uint16_t>(s, [&](uint16_t a) { return pack_halves(part(a), part(a >> 8)); });
}

Outcome tf32_from_f32(Step& s) {
  const Conversion& how = conversion(s);
  return map_lanes<uint32_t, float>(s, [&](float a) -> uint32_t {
    if (a != a) return F32::kNan;
    return encode<Tf32>(a, how) << 13;
  });
}

struct PackedRow {
  Type to, from;
  int sources;
  Handler handler;
  bool rz, satfinite_required, satfinite_allowed;
};
constexpr PackedRow kPacked[] = {
    {Type::f16x2, Type::f32, 2, &pack_f32_pair<F16>, true, false, true},
    {Type::bf16x2, Type::f32, 2, &pack_f32_pair<Bf16>, true, false, true},
    {Type::e4m3x2, Type::f32, 2, &pack_f32_pair<E4m3>, false, true, true},
    {Type::e5m2x2, Type::f32, 2, &pack_f32_pair<E5m2>, false, true, true},
    {Type::e4m3x2, Type::f16x2, 1, &f8_from_f16_pair<E4m3>, false, true, true},
    {Type::e5m2x2, Type::f16x2, 1, &f8_from_f16_pair<E5m2>, false, true, true},
    {Type::f16x2, Type::e4m3x2, 1, &f16_from_f8_pair<E4m3>, false, false, false},
    {Type::f16x2, Type::e5m2x2, 1, &f16_from_f8_pair<E5m2>, false, false, false},
};

void decode_tf32(Decode& d, const Conversion& how) {
  if (!how.rounded || how.round == Round::rm || how.round == Round::rp)
    d.invalid("tf32 is rounded by .rna, .rn or .rz");
  if (how.ftz || how.sat || (how.relu && how.round == Round::rna)) d.invalid("a modifier does not go with .tf32");
  if (how.satfinite && how.round != Round::rna) d.unsupported(".satfinite of .tf32 with .rn or .rz is of sm_100");
  d.out(Type::b32), d.in(Type::f32);
  d.detail(std::make_shared<Conversion>(how));
  d.emit(&tf32_from_f32);
}

// cvt.pack: integers of 16, 8, 4 or 2 bits.

struct SmallInteger {
  std::string_view name;
  int bits;
  bool is_signed;
};
constexpr SmallInteger kSmallIntegers[] = {{"u16", 16, false}, {"s16", 16, true}, {"u8", 8, false}, {"s8", 8, true},
                                           {"u4", 4, false},   {"s4", 4, true},   {"u2", 2, false}, {"s2", 2, true}};

/// imm[0] bits, imm[1] lowest, imm[2] highest: a above b, the earlier result (of cvt.pack with three sources) above
/// both.
template <bool with_earlier>
Outcome cvt_pack(Step& s) {
  const int bits = static_cast<int>(s.inst.imm[0]);
  const int32_t low = static_cast<int32_t>(s.inst.imm[1]), high = static_cast<int32_t>(s.inst.imm[2]);
  const uint32_t field = (1u << bits) - 1;
  const auto both = [&](int32_t a, int32_t b) {
    return (static_cast<uint32_t>(std::clamp(a, low, high)) & field) << bits |
           (static_cast<uint32_t>(std::clamp(b, low, high)) & field);
  };
  if constexpr (with_earlier)
    return map_lanes<uint32_t, int32_t, int32_t, uint32_t>(
        s, [&](int32_t a, int32_t b, uint32_t c) { return c << 2 * bits | both(a, b); });
  else
    return map_lanes<uint32_t, int32_t, int32_t>(s, both);
}

}  // namespace

void decode_packed_conversion(Decode& d, const Conversion& how, Type to, Type from) {
  if (to == Type::tf32 && from == Type::f32) return decode_tf32(d, how);
  const PackedRow* row = nullptr;
  for (const PackedRow& each : kPacked) {
    if (each.to == to && each.from == from) row = &each;
  }
  if (row == nullptr) d.unsupported(std::string("no conversion from .") + type_name(from) + " to ." + type_name(to));
  if (!how.rounded || !(how.round == Round::rn || (how.round == Round::rz && row->rz)))
    d.invalid("the rounding does not go with the types");
  if (how.ftz || how.sat || (how.satfinite && !row->satfinite_allowed))
    d.invalid("a modifier does not go with the types");
  if (row->satfinite_required && !how.satfinite) d.invalid(".satfinite is required");
  d.out(to);
  for (int i = 0; i < row->sources; ++i) d.in(from);
  auto detail = std::make_shared<Conversion>(how);
  detail->plain = how.round == Round::rn && !how.relu && how.satfinite == row->satfinite_required;
  d.detail(detail);
  d.emit(row->handler);
}

void decode_cvt_pack(Decode& d) {
  d.must_be_one_of({"sat"});
  const SmallInteger* type = nullptr;
  for (const SmallInteger& each : kSmallIntegers) {
    if (type == nullptr && d.flag(each.name)) type = &each;
  }
  if (type == nullptr) d.unsupported("expected an integer type of 16, 8, 4 or 2 bits, found ." + std::string(d.peek()));
  d.type({Type::s32});
  const bool with_earlier = type->bits != 16;
  if (with_earlier) d.type({Type::b32});
  d.out(Type::b32), d.in(Type::s32), d.in(Type::s32);
  if (with_earlier) d.in(Type::b32);
  d.imm(0, type->bits);
  d.imm(1, type->is_signed ? -(int64_t{1} << (type->bits - 1)) : 0);
  d.imm(2, (int64_t{1} << (type->is_signed ? type->bits - 1 : type->bits)) - 1);
  d.emit(with_earlier ? &cvt_pack<true> : &cvt_pack<false>);
}

}  // namespace ptxsim
