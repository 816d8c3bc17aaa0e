// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.8 "Logic and shift instructions".
#include <algorithm>

#include "sim/isa/lanes.hpp"

namespace ptxsim {
namespace {

enum class Logic { and_, or_, xor_ };

template <Logic op, class T>
constexpr T combine(T a, T b) {
  return static_cast<T>(op == Logic::and_ ? a & b : op == Logic::or_ ? a | b : a ^ b);
}
template <class T, Logic op>
Outcome binary_of(Step& s) {
  return map_lanes<T, T, T>(s, combine<op, T>);
}
template <class T>
Outcome complement(Step& s) {
  return map_lanes<T, T>(s, [](T a) { return ~a; });
}
Outcome complement_predicate(Step& s) {
  return map_lanes<uint32_t, uint32_t>(s, [](uint32_t a) { return (a & 1) ^ 1; });
}
template <class T>
Outcome is_zero(Step& s) {
  return map_lanes<T, T>(s, [](T a) { return a == 0 ? 1 : 0; });
}

/// Bit i of the result is the bit of the table at 4 a_i + 2 b_i + c_i: three levels of selection.
class LookUp {
 public:
  explicit LookUp(int64_t table) {
    for (uint32_t row = 0; row < 4; ++row) {
      const uint32_t without_c = 0u - static_cast<uint32_t>(table >> 2 * row & 1);
      base_[row] = without_c;
      toggle_[row] = without_c ^ (0u - static_cast<uint32_t>(table >> (2 * row + 1) & 1));
    }
  }
  uint32_t operator()(uint32_t a, uint32_t b, uint32_t c) const {
    const auto leaf = [&](int row) { return base_[row] ^ (toggle_[row] & c); };
    const auto select = [](uint32_t by, uint32_t if_clear, uint32_t if_set) {
      return if_clear ^ ((if_clear ^ if_set) & by);
    };
    return select(a, select(b, leaf(0), leaf(1)), select(b, leaf(2), leaf(3)));
  }

 private:
  uint32_t base_[4], toggle_[4];
};
Outcome lop3(Step& s) { return map_lanes<uint32_t, uint32_t, uint32_t, uint32_t>(s, LookUp(s.inst.imm[0])); }
/// d|p: p = (d != 0) and/or q.
template <bool is_and>
Outcome lop3_predicate(Step& s) {
  const LookUp look_up(s.inst.imm[0]);
  const uint32_t negated = static_cast<uint32_t>(s.inst.imm[1]);
  const auto a = s.lanes<uint32_t>(2), b = s.lanes<uint32_t>(3), c = s.lanes<uint32_t>(4), q = s.lanes<uint32_t>(5);
  Cells<uint32_t> value, predicate;
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    value.at[lane] = look_up(a[lane], b[lane], c[lane]);
    const uint32_t is_set = value.at[lane] != 0, other = (q[lane] ^ negated) & 1;
    predicate.at[lane] = is_and ? is_set & other : is_set | other;
  }
  commit(s, 0, value);
  commit(s, 1, predicate);
  return Outcome::next;
}

/// Shifts 64 bits b:a; the result is the upper half of a left shift, the lower half of a right one.
template <bool left, bool clamp>
Outcome shf(Step& s) {
  return map_lanes<uint32_t, uint32_t, uint32_t, uint32_t>(s, [](uint32_t a, uint32_t b, uint32_t c) {
    const uint32_t shift = clamp ? std::min(c, 32u) : c & 31;
    const uint64_t both = uint64_t{b} << 32 | a;
    return static_cast<uint32_t>(left ? both << shift >> 32 : both >> shift);
  });
}

/// Amounts beyond the width shift everything out.
template <class T>
Outcome shl(Step& s) {
  return map_lanes<T, T, uint32_t>(s, [](T a, uint32_t b) { return b < kBits<T> ? static_cast<T>(a << b) : T{0}; });
}
template <class T>
Outcome shr(Step& s) {
  return map_lanes<T, T, uint32_t>(s, [](T a, uint32_t b) -> T {
    if constexpr (std::is_signed_v<T>)
      return static_cast<T>(a >> std::min(b, kBits<T> - 1));
    else
      return b < kBits<T> ? static_cast<T>(a >> b) : T{0};
  });
}

template <Logic op>
void decode_logic(Decode& d) {
  const Type type = d.type({Type::pred, Type::b16, Type::b32, Type::b64});
  d.out(type), d.in(type), d.in(type);
  // Predicates are words 0 and 1.
  if (type == Type::pred) return d.emit(&binary_of<uint32_t, op>);
  d.emit(for_bytes(type, []<class T>(T) -> Handler { return &binary_of<T, op>; }));
}

}  // namespace

void decode_and(Decode& d) { decode_logic<Logic::and_>(d); }
void decode_or(Decode& d) { decode_logic<Logic::or_>(d); }
void decode_xor(Decode& d) { decode_logic<Logic::xor_>(d); }

void decode_not(Decode& d) {
  const Type type = d.type({Type::pred, Type::b16, Type::b32, Type::b64});
  d.out(type), d.in(type);
  if (type == Type::pred) return d.emit(&complement_predicate);
  d.emit(for_bytes(type, []<class T>(T) -> Handler { return &complement<T>; }));
}

void decode_cnot(Decode& d) {
  const Type type = d.type({Type::b16, Type::b32, Type::b64});
  d.out(type), d.in(type);
  d.emit(for_bytes(type, []<class T>(T) -> Handler { return &is_zero<T>; }));
}

void decode_lop3(Decode& d) {
  const int combination = d.one_of({"or", "and"});
  d.type({Type::b32});
  if (combination < 0)
    d.out(Type::b32);
  else
    d.out_pair(Type::b32, Type::pred);
  d.in(Type::b32), d.in(Type::b32), d.in(Type::b32);
  const int64_t table = d.immediate();
  if (table < 0 || table > 255) d.invalid("the table is an immediate of 8 bits");
  d.imm(0, table);
  if (combination < 0) return d.emit(&lop3);
  d.imm(1, d.in_predicate() ? 1 : 0);
  d.emit(combination == 1 ? &lop3_predicate<true> : &lop3_predicate<false>);
}

void decode_shf(Decode& d) {
  const bool left = d.must_be_one_of({"r", "l"}) == 1;
  const bool clamp = d.must_be_one_of({"wrap", "clamp"}) == 1;
  d.type({Type::b32});
  d.out(Type::b32), d.in(Type::b32), d.in(Type::b32), d.in(Type::u32);
  if (left) return d.emit(clamp ? &shf<true, true> : &shf<true, false>);
  d.emit(clamp ? &shf<false, true> : &shf<false, false>);
}

void decode_shl(Decode& d) {
  const Type type = d.type({Type::b16, Type::b32, Type::b64});
  d.out(type), d.in(type), d.in(Type::u32);
  d.emit(for_bytes(type, []<class T>(T) -> Handler { return &shl<T>; }));
}

void decode_shr(Decode& d) {
  const Type type =
      d.type({Type::b16, Type::b32, Type::b64, Type::u16, Type::u32, Type::u64, Type::s16, Type::s32, Type::s64});
  d.out(type), d.in(type), d.in(Type::u32);
  if (type_kind(type) == TypeKind::signed_int)
    return d.emit(for_signed_or_unsigned(type, []<class T>(T) -> Handler { return &shr<T>; }));
  d.emit(for_bytes(type, []<class T>(T) -> Handler { return &shr<T>; }));
}

}  // namespace ptxsim
