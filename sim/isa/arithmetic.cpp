// SPDX-License-Identifier: Apache-2.0
// The opcodes of PTX ISA 9.7.1 to 9.7.4 that exist for integers, floats and halves: told apart by their type.
#include "sim/isa/arithmetic.hpp"

namespace ptxsim {
namespace {

bool is_integer(Type type) {
  return type_kind(type) == TypeKind::signed_int || type_kind(type) == TypeKind::unsigned_int;
}
bool is_half(Type type) {
  return type == Type::f16 || type == Type::bf16 || type == Type::f16x2 || type == Type::bf16x2;
}

void decode_arithmetic(Decode& d, Arithmetic op) {
  const Modifiers m = Modifiers::read(d);
  const Type type = d.type();
  if (is_half(type)) return decode_half(d, op, m, type);
  if (type == Type::f32 || type == Type::f64) return decode_real(d, op, m, type);
  if (type == Type::u16x2 || type == Type::s16x2) return decode_packed_integer(d, op, m, type);
  if (is_integer(type)) return decode_integer(d, op, m, type);
  d.unsupported(std::string("no form with type .") + type_name(type));
}

void decode_multiply_add(Decode& d, bool carry_in) {
  const Modifiers m = Modifiers::read(d);
  const Type type = d.type();
  if (carry_in || m.cc) return decode_carry_mad(d, carry_in, m, type);
  if (type == Type::f32 || type == Type::f64) {
    // On these devices mad is fma; without a rounding it does not exist.
    return decode_real(d, Arithmetic::fma, m, type);
  }
  decode_integer_mad(d, m, type);
}

}  // namespace

Modifiers Modifiers::read(Decode& d) {
  Modifiers m;
  m.part = static_cast<Part>(d.one_of({"lo", "hi", "wide"}) + 1);
  m.approx = d.flag("approx");
  m.full = d.flag("full");
  const int rounding = d.one_of({"rn", "rz", "rm", "rp"});
  m.rounded = rounding >= 0;
  if (m.rounded) m.round = static_cast<Round>(rounding);
  m.ftz = d.flag("ftz");
  m.nan = d.flag("NaN");
  if (d.flag("xorsign")) {
    d.must_be_one_of({"abs"});
    m.xorsign_abs = true;
  }
  m.relu = d.flag("relu");
  m.sat = d.flag("sat");
  m.cc = d.flag("cc");
  return m;
}

void Modifiers::allow(const Decode& d, std::string_view allowed) const {
  const auto check = [&](bool present, std::string_view name) {
    if (present && allowed.find(name) == std::string_view::npos)
      d.invalid("the type does not go with the modifier of the kind ." + std::string(name));
  };
  check(part != Part::none, "part");
  check(approx || full, "approx");
  check(rounded, "rnd");
  check(ftz, "ftz");
  check(nan || xorsign_abs, "nan");
  check(relu, "relu");
  check(sat, "sat");
  check(cc, "cc");
}

void decode_add(Decode& d) { decode_arithmetic(d, Arithmetic::add); }
void decode_sub(Decode& d) { decode_arithmetic(d, Arithmetic::sub); }
void decode_mul(Decode& d) { decode_arithmetic(d, Arithmetic::mul); }
void decode_div(Decode& d) { decode_arithmetic(d, Arithmetic::div); }
void decode_fma(Decode& d) { decode_arithmetic(d, Arithmetic::fma); }
void decode_min(Decode& d) { decode_arithmetic(d, Arithmetic::min); }
void decode_max(Decode& d) { decode_arithmetic(d, Arithmetic::max); }
void decode_neg(Decode& d) { decode_arithmetic(d, Arithmetic::neg); }
void decode_abs(Decode& d) { decode_arithmetic(d, Arithmetic::abs); }

void decode_mad(Decode& d) { decode_multiply_add(d, false); }
void decode_madc(Decode& d) { decode_multiply_add(d, true); }

void decode_addc(Decode& d) {
  const Modifiers m = Modifiers::read(d);
  decode_carry(d, false, true, m, d.type());
}
void decode_subc(Decode& d) {
  const Modifiers m = Modifiers::read(d);
  decode_carry(d, true, true, m, d.type());
}

}  // namespace ptxsim
