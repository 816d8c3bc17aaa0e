// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.6 "Comparison and selection instructions", 9.7.7 the same of halves.
#include <array>

#include "sim/isa/lanes.hpp"
#include "sim/numeric/float_lanes.hpp"
#include "sim/numeric/half.hpp"

namespace ptxsim {
namespace {

// A comparison is the set of relations for which it is true.
constexpr uint32_t kLess = 1, kEqual = 2, kGreater = 4, kUnordered = 8;

struct Comparison {
  std::string_view name;
  uint32_t relations;
  bool bits, signed_int, unsigned_int, real;  ///< kinds of types that have it
};
constexpr std::array<Comparison, 18> kComparisons = {{
    {"eq", kEqual, true, true, true, true},
    {"ne", kLess | kGreater, true, true, true, true},
    {"lt", kLess, false, true, true, true},
    {"le", kLess | kEqual, false, true, true, true},
    {"gt", kGreater, false, true, true, true},
    {"ge", kGreater | kEqual, false, true, true, true},
    {"lo", kLess, false, false, true, false},
    {"ls", kLess | kEqual, false, false, true, false},
    {"hi", kGreater, false, false, true, false},
    {"hs", kGreater | kEqual, false, false, true, false},
    {"equ", kEqual | kUnordered, false, false, false, true},
    {"neu", kLess | kGreater | kUnordered, false, false, false, true},
    {"ltu", kLess | kUnordered, false, false, false, true},
    {"leu", kLess | kEqual | kUnordered, false, false, false, true},
    {"gtu", kGreater | kUnordered, false, false, false, true},
    {"geu", kGreater | kEqual | kUnordered, false, false, false, true},
    {"num", kLess | kEqual | kGreater, false, false, false, true},
    {"nan", kUnordered, false, false, false, true},
}};

enum class Combine : int64_t { none, and_, or_, xor_ };

// imm[] of set and setp: the relations; how a third predicate is combined; whether it is negated; .ftz.
struct Test {
  explicit Test(const Inst& inst)
      : less(bit(inst, 0)), equal(bit(inst, 1)), greater(bit(inst, 2)), unordered(bit(inst, 3)) {}
  static uint32_t bit(const Inst& inst, int place) { return static_cast<uint32_t>(inst.imm[0] >> place & 1); }

  /// 1 or 0.
  template <class T>
  uint32_t operator()(T a, T b) const {
    const uint32_t is_less = a<b, is_equal = a == b, is_greater = a> b;
    const uint32_t is_unordered = (is_less | is_equal | is_greater) ^ 1;
    return (is_less & less) | (is_equal & equal) | (is_greater & greater) | (is_unordered & unordered);
  }
  uint32_t less, equal, greater, unordered;
};

struct CombineWith {
  explicit CombineWith(const Inst& inst)
      : how(static_cast<Combine>(inst.imm[1])), flip(static_cast<uint32_t>(inst.imm[2])) {}
  uint32_t operator()(uint32_t t, uint32_t c) const {
    const uint32_t other = (c ^ flip) & 1;
    switch (how) {
      case Combine::and_: return t & other;
      case Combine::or_: return t | other;
      case Combine::xor_: return t ^ other;
      case Combine::none: break;
    }
    return t;
  }
  Combine how;
  uint32_t flip;
};

using Words = Cells<uint32_t>;

/// Operands `first` and `first` + 1 compared.
template <class T>
Words compare(Step& s, int first) {
  const Test test(s.inst);
  const auto a = s.lanes<T>(first), b = s.lanes<T>(first + 1);
  Words result;
  for (uint32_t lane = 0; lane < kLanes; ++lane) result.at[lane] = test(a[lane], b[lane]);
  return result;
}
template <class T>
Words compare_flushed(Step& s, int first) {
  const Test test(s.inst);
  const auto a = s.lanes<T>(first), b = s.lanes<T>(first + 1);
  Words result;
  for (uint32_t lane = 0; lane < kLanes; ++lane) result.at[lane] = test(flush(a[lane]), flush(b[lane]));
  return result;
}
/// Halves, of packed pairs the lower or the upper ones, are compared as f32, which holds them all.
template <class F, bool upper>
Words compare_halves(Step& s, int first) {
  const Test test(s.inst);
  const bool ftz = (s.inst.imm[3] & 1) != 0;
  const uint32_t* a = s.lanes<uint32_t>(first).data();
  const uint32_t* b = s.lanes<uint32_t>(first + 1).data();
  const auto value = [&](uint32_t cell) {
    const uint16_t bits = upper ? high_half(cell) : low_half(cell);
    if constexpr (std::is_same_v<F, Bf16>)
      return bf16_to_f32(bits);
    else
      return f16_to_f32(ftz && (bits & 0x7c00) == 0 ? bits & 0x8000 : bits);
  };
  Words result;
  for (uint32_t lane = 0; lane < kLanes; ++lane) result.at[lane] = test(value(a[lane]), value(b[lane]));
  return result;
}

using Compare = Words (*)(Step&, int first);

/// t with the third predicate, when the instruction has one.
void combine(Step& s, Words& t, int predicate) {
  const CombineWith with(s.inst);
  if (with.how == Combine::none) return;
  const auto c = s.lanes<uint32_t>(predicate);
  for (uint32_t lane = 0; lane < kLanes; ++lane) t.at[lane] = with(t.at[lane], c[lane]);
}

/// p|q = a ? b; q is its negation, each combined with c.
template <Compare compare_lanes>
Outcome setp(Step& s) {
  Words p = compare_lanes(s, 2);
  const bool with_q = !s.sink(1);
  if (with_q) {
    Words q = p;
    for (uint32_t& each : q.at) each ^= 1;
    combine(s, q, 4);
    combine(s, p, 4);
    commit(s, 1, q);
  } else {
    combine(s, p, 4);
  }
  commit(s, 0, p);
  return Outcome::next;
}
/// p|q are the results of the lower and the upper halves.
template <class F>
Outcome setp_pair(Step& s) {
  Words p = compare_halves<F, false>(s, 2), q = compare_halves<F, true>(s, 2);
  combine(s, p, 4);
  combine(s, q, 4);
  commit(s, 0, p);
  commit(s, 1, q);
  return Outcome::next;
}

/// What stands for true in the result of set, by type; false is 0.
struct TrueValue {
  Type type;
  uint32_t bits;
};
constexpr TrueValue kTrue[] = {{Type::u32, ~0u},     {Type::s32, ~0u},      {Type::f32, 0x3f800000},
                               {Type::u16, 0xffff},  {Type::s16, 0xffff},   {Type::f16, 0x3c00},
                               {Type::bf16, 0x3f80}, {Type::f16x2, 0x3c00}, {Type::bf16x2, 0x3f80}};

template <Compare compare_lanes>
Outcome set(Step& s) {
  const uint32_t when_true = static_cast<uint32_t>(s.inst.imm[3] >> 1);
  Words t = compare_lanes(s, 1);
  combine(s, t, 3);
  for (uint32_t& each : t.at) each = (0u - each) & when_true;
  commit(s, 0, t);
  return Outcome::next;
}
template <class F>
Outcome set_pair(Step& s) {
  const uint32_t when_true = static_cast<uint32_t>(s.inst.imm[3] >> 1);
  Words low = compare_halves<F, false>(s, 1), high = compare_halves<F, true>(s, 1);
  combine(s, low, 3);
  combine(s, high, 3);
  for (uint32_t lane = 0; lane < kLanes; ++lane)
    low.at[lane] = ((0u - low.at[lane]) & when_true) | ((0u - high.at[lane]) & when_true) << 16;
  commit(s, 0, low);
  return Outcome::next;
}

/// Calls choose.operator()<compare function>() for the type of the operands.
template <class C>
Handler for_comparison(const Decode& d, Type type, bool ftz, C choose) {
  switch (type) {
    case Type::b16:
    case Type::u16: return choose.template operator()<&compare<uint16_t>>();
    case Type::s16: return choose.template operator()<&compare<int16_t>>();
    case Type::b32:
    case Type::u32: return choose.template operator()<&compare<uint32_t>>();
    case Type::s32: return choose.template operator()<&compare<int32_t>>();
    case Type::b64:
    case Type::u64: return choose.template operator()<&compare<uint64_t>>();
    case Type::s64: return choose.template operator()<&compare<int64_t>>();
    case Type::f64: return choose.template operator()<&compare<double>>();
    case Type::f32:
      return ftz ? choose.template operator()<&compare_flushed<float>>()
                 : choose.template operator()<&compare<float>>();
    case Type::f16: return choose.template operator()<&compare_halves<F16, false>>();
    case Type::bf16: return choose.template operator()<&compare_halves<Bf16, false>>();
    default: d.unsupported(std::string("no comparison of type .") + type_name(type));
  }
}

struct Relation {
  const Comparison* comparison;
  Combine combine;
  bool ftz;
};

/// .CmpOp{.BoolOp}{.ftz}
Relation decode_relation(Decode& d) {
  const Comparison* found = nullptr;
  for (const Comparison& each : kComparisons) {
    if (found == nullptr && d.flag(each.name)) found = &each;
  }
  if (found == nullptr) d.unsupported("expected a comparison, found ." + std::string(d.peek()));
  const auto combined = static_cast<Combine>(d.one_of({"and", "or", "xor"}) + 1);
  return {found, combined, d.flag("ftz")};
}

/// Checks the comparison against the operands' type and fills imm[0..2].
void check_relation(Decode& d, const Relation& relation, Type type) {
  const Comparison& comparison = *relation.comparison;
  bool exists = comparison.real;
  switch (type_kind(type)) {
    case TypeKind::bits: exists = comparison.bits; break;
    case TypeKind::signed_int: exists = comparison.signed_int; break;
    case TypeKind::unsigned_int: exists = comparison.unsigned_int; break;
    default: break;
  }
  if (!exists) d.invalid("the comparison ." + std::string(comparison.name) + " does not go with ." + type_name(type));
  if (relation.ftz && type != Type::f32 && type != Type::f16 && type != Type::f16x2)
    d.invalid(".ftz does not go with the type");
  d.imm(0, comparison.relations);
  d.imm(1, static_cast<int64_t>(relation.combine));
}

void decode_third_predicate(Decode& d, const Relation& relation) {
  if (relation.combine != Combine::none) d.imm(2, d.in_predicate() ? 1 : 0);
}

/// b, or c >= 0 ? a : b.
template <class T>
Outcome selp(Step& s) {
  const uint32_t flip = static_cast<uint32_t>(s.inst.imm[0]);
  return map_lanes<T, T, T, uint32_t>(s, [&](T a, T b, uint32_t c) { return ((c ^ flip) & 1) != 0 ? a : b; });
}
template <class T, class C>
Outcome slct(Step& s) {
  const bool ftz = s.inst.imm[0] != 0;
  return map_lanes<T, T, T, C>(s, [&](T a, T b, C c) {
    if constexpr (std::is_same_v<C, float>) {
      if (ftz) c = flush(c);
    }
    return c >= 0 ? a : b;
  });
}

constexpr std::initializer_list<Type> kSelectable = {Type::b16, Type::b32, Type::b64, Type::u16, Type::u32, Type::u64,
                                                     Type::s16, Type::s32, Type::s64, Type::f32, Type::f64};

}  // namespace

void decode_setp(Decode& d) {
  const Relation relation = decode_relation(d);
  const Type type = d.type();
  check_relation(d, relation, type);
  d.imm(3, relation.ftz);
  const bool pair = type == Type::f16x2 || type == Type::bf16x2;
  const bool half = type == Type::f16 || type == Type::bf16;
  d.out_pair(Type::pred, Type::pred);
  if (half && d.register_bytes(1) != 0) d.invalid("a comparison of halves has one result");
  d.in(type), d.in(type);
  decode_third_predicate(d, relation);
  if (pair) return d.emit(type == Type::f16x2 ? &setp_pair<F16> : &setp_pair<Bf16>);
  d.emit(
      for_comparison(d, type, relation.ftz, [&]<Compare compare_lanes>() -> Handler { return &setp<compare_lanes>; }));
}

void decode_set(Decode& d) {
  const Relation relation = decode_relation(d);
  const Type result = d.type();
  const Type type = d.type();
  check_relation(d, relation, type);
  const bool pair = type == Type::f16x2 || type == Type::bf16x2;
  const bool half = type == Type::f16 || type == Type::bf16;
  const TrueValue* when_true = nullptr;
  for (const TrueValue& each : kTrue) {
    if (each.type == result) when_true = &each;
  }
  const bool only_halves = result == Type::u16 || result == Type::s16;
  const bool integer = result == Type::u32 || result == Type::s32;
  const bool other_half = half && result != type && (result == Type::f16 || result == Type::bf16);
  if (when_true == nullptr || (pair && result != type && !integer) ||
      (!pair && type_kind(result) == TypeKind::packed) || (only_halves && !half) || (half && result == Type::f32) ||
      other_half)
    d.invalid(std::string("no set of .") + type_name(type) + " with a result ." + type_name(result));
  // A pair's integer result has a mask in each half.
  const uint32_t bits = pair && integer ? 0xffff : when_true->bits;
  d.imm(3, int64_t{bits} << 1 | (relation.ftz ? 1 : 0));
  d.out(result), d.in(type), d.in(type);
  decode_third_predicate(d, relation);
  if (pair) return d.emit(type == Type::f16x2 ? &set_pair<F16> : &set_pair<Bf16>);
  d.emit(for_comparison(d, type, relation.ftz, []<Compare compare_lanes>() -> Handler { return &set<compare_lanes>; }));
}

void decode_selp(Decode& d) {
  const Type type = d.type(kSelectable);
  d.out(type), d.in(type), d.in(type);
  d.imm(0, d.in_predicate() ? 1 : 0);
  d.emit(for_bytes(type, []<class T>(T) -> Handler { return &selp<T>; }));
}

void decode_slct(Decode& d) {
  const bool ftz = d.flag("ftz");
  const Type type = d.type(kSelectable);
  const Type by = d.type({Type::s32, Type::f32});
  if (ftz && by != Type::f32) d.invalid(".ftz is for a selection by .f32");
  d.imm(0, ftz);
  d.out(type), d.in(type), d.in(type), d.in(by);
  if (by == Type::f32) return d.emit(for_bytes(type, []<class T>(T) -> Handler { return &slct<T, float>; }));
  d.emit(for_bytes(type, []<class T>(T) -> Handler { return &slct<T, int32_t>; }));
}

}  // namespace ptxsim
