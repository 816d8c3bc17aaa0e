// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/alu/convert.hpp"

// cvt between all pairs of scalar types, in all roundings; every value of 8 and 16 bits where it may be rounded.
namespace ptxsim::test {
namespace {

using Real = long double;  // holds all integers of 64 bits and all numbers of the formats
__extension__ using Big = __int128;

constexpr Grid kF64{-1022, 1023, 52};

struct Scalar {
  std::string name;
  char kind;
  int bits;
  bool is_real, is_signed;
  Grid grid = {};
  bool is_half() const { return is_real && bits == 16; }
  bool is_bf16() const { return name == "bf16"; }
};
const std::vector<Scalar>& scalars() {
  static const std::vector<Scalar> all = {
      {"u8", 'c', 8, false, false},         {"s8", 'c', 8, false, true},        {"u16", 'h', 16, false, false},
      {"s16", 'h', 16, false, true},        {"u32", 'r', 32, false, false},     {"s32", 'r', 32, false, true},
      {"u64", 'd', 64, false, false},       {"s64", 'd', 64, false, true},      {"f16", 'x', 16, true, true, kF16},
      {"bf16", 'y', 16, true, true, kBf16}, {"f32", 'f', 32, true, true, kF32}, {"f64", 'e', 64, true, true, kF64},
  };
  return all;
}

Big smallest_of(const Scalar& type) { return type.is_signed ? -(Big{1} << (type.bits - 1)) : Big{0}; }
Big largest_integer(const Scalar& type) { return (Big{1} << (type.bits - (type.is_signed ? 1 : 0))) - 1; }

/// An integer of the type from the low bits of a word.
Big integer_of(const Scalar& type, uint64_t bits) {
  const Big low = static_cast<Big>(bits) & ((Big{1} << type.bits) - 1);
  return type.is_signed && (low >> (type.bits - 1)) != 0 ? low - (Big{1} << type.bits) : low;
}
/// As it stands in a register: 8 bits are extended to 16.
uint64_t register_of(const Scalar& type, Big x) {
  const int width = std::max(type.bits, 16);
  return static_cast<uint64_t>(integer_of(type, static_cast<uint64_t>(x)) & ((Big{1} << width) - 1));
}

Real real_of(const Scalar& type, uint64_t bits) {
  if (type.bits == 64) return as<double>(bits);
  if (type.bits == 32) return as<float>(bits);
  return type.is_bf16() ? bf16_value(bits) : f16_value(bits);
}
uint64_t bits_of(const Scalar& type, Real on_the_grid) {
  if (type.bits == 64) return word(static_cast<double>(on_the_grid));
  if (type.bits == 32) return word(static_cast<float>(on_the_grid));
  return bits_on_grid(on_the_grid, type.grid, 0x7fff);
}

Real integral(Real x, int mode) {
  if (!std::isfinite(x)) return x;
  const Real whole = std::trunc(x), rest = std::fabs(x - whole), sign = std::signbit(x) ? -1 : 1;
  const bool away = mode == kNearest ? rest > 0.5L || (rest == 0.5L && std::fmod(whole, 2.0L) != 0)
                    : mode == kUp    ? rest > 0 && sign > 0
                    : mode == kDown  ? rest > 0 && sign < 0
                                     : false;
  return std::copysign(away ? whole + sign : whole, x);
}
Real flushed(Real x) { return std::fabs(x) < 0x1p-126L ? std::copysign(0.0L, x) : x; }
Real clamped(Real x) { return std::isnan(x) || std::signbit(x) ? 0 : std::min(x, 1.0L); }

struct Rounding {
  std::string name;
  int mode;
  bool to_integer;
};
const std::vector<Rounding> kToIntegers = {
    {".rni", kNearest, true}, {".rzi", kZero, true}, {".rmi", kDown, true}, {".rpi", kUp, true}};
const std::vector<Rounding> kToReals = {
    {".rn", kNearest, false}, {".rz", kZero, false}, {".rm", kDown, false}, {".rp", kUp, false}};
const std::vector<Rounding> kNone = {{"", kNearest, false}};

/// PTX ISA, cvt: what a NaN becomes, and that other numbers are clamped.
Big to_integer(const Scalar& to, const Scalar& from, Real x) {
  if (std::isnan(x)) return from.name == "f64" || to.bits == 64 ? Big{1} << (to.bits - 1) : Big{0};
  if (x <= static_cast<Real>(smallest_of(to))) return smallest_of(to);
  if (x >= static_cast<Real>(largest_integer(to))) return largest_integer(to);
  return static_cast<Big>(x);
}

struct Form {
  Scalar to, from;
  Rounding rounding;
  bool ftz = false, sat = false;
  std::string text() const {
    return "cvt" + rounding.name + (ftz ? ".ftz" : "") + (sat ? ".sat" : "") + "." + to.name + "." + from.name +
           " $0, $1;";
  }
  uint64_t expected(uint64_t in) const {
    if (!to.is_real && !from.is_real) {
      const Big x = integer_of(from, in);
      return register_of(to, sat ? std::min(std::max(x, smallest_of(to)), largest_integer(to)) : x);
    }
    Real x = from.is_real ? real_of(from, in) : static_cast<Real>(integer_of(from, in));
    if (ftz && from.name == "f32") x = flushed(x);
    if (rounding.to_integer) x = integral(x, rounding.mode);
    if (!to.is_real) return register_of(to, to_integer(to, from, x));
    if (!rounding.to_integer) x = on_grid(x, to.grid, rounding.mode);
    if (ftz && to.name == "f32") x = flushed(x);
    return bits_of(to, sat ? clamped(x) : x);
  }
  std::vector<Words> inputs() const {
    const bool exact = !from.is_real && to.bits >= 32;
    if (from.bits == 8) return all_words(8);
    if (from.bits == 16 && (from.is_real || to.is_real) && !exact) {
      std::vector<Words> all = all_words(16);
      // All of them in one rounding, a quarter that covers all exponents in the others.
      if (rounding.mode != kNearest)
        for (uint64_t i = 0; i < 16384; ++i) all[i] = {4 * i + i % 4};
      all.resize(rounding.mode == kNearest ? 65536 : 16384);
      return all;
    }
    std::vector<Words> out = operands(std::string(1, from.kind), 1024, 1);
    const Grid& grid = to.is_real && !rounding.to_integer ? to.grid : Grid{0, std::min(to.bits, 63), 8};
    if (!from.is_real) return out;
    for (const uint64_t bits :
         from.bits == 64 ? hard_to_round<double>(grid, 1024, 2) : hard_to_round<float>(grid, 1024, 2))
      out.push_back({bits});
    return out;
  }
};

void run_forms(const std::vector<Form>& forms) {
  std::vector<Case> cases;
  for (const Form& form : forms)
    cases.push_back({form.text(), std::string(1, form.to.kind), std::string(1, form.from.kind),
                     [form](const Words& in) { return Words{form.expected(in[0])}; }, form.inputs()});
  check(cases);
}

template <class F>
void for_pairs(bool real_to, bool real_from, F f) {
  for (const Scalar& to : scalars())
    for (const Scalar& from : scalars())
      if (to.is_real == real_to && from.is_real == real_from && !(to.is_bf16() && from.bits == 8) &&
          !(from.is_bf16() && to.bits == 8))
        f(to, from);
}

TEST(alu_convert, integers_to_integers) {
  std::vector<Form> forms;
  for_pairs(false, false, [&](const Scalar& to, const Scalar& from) {
    forms.push_back({to, from, kNone[0]});
    // Only where the result may be out of range.
    if (smallest_of(from) < smallest_of(to) || largest_integer(from) > largest_integer(to))
      forms.push_back({to, from, kNone[0], false, true});
  });
  run_forms(forms);
}

TEST(alu_convert, integers_to_reals) {
  std::vector<Form> forms;
  for_pairs(true, false, [&](const Scalar& to, const Scalar& from) {
    for (const Rounding& rounding : kToReals) forms.push_back({to, from, rounding});
    if (!to.is_bf16()) forms.push_back({to, from, kToReals[0], to.name == "f32", true});
  });
  run_forms(forms);
}

TEST(alu_convert, reals_to_integers) {
  std::vector<Form> forms;
  for_pairs(false, true, [&](const Scalar& to, const Scalar& from) {
    for (const Rounding& rounding : kToIntegers) forms.push_back({to, from, rounding});
    if (from.name == "f32") forms.push_back({to, from, kToIntegers[3], true, false});
    if (!from.is_bf16()) forms.push_back({to, from, kToIntegers[1], false, true});
  });
  run_forms(forms);
}

TEST(alu_convert, reals_to_reals) {
  std::vector<Form> forms;
  for_pairs(true, true, [&](const Scalar& to, const Scalar& from) {
    const bool same = to.name == from.name, f32 = to.name == "f32" || from.name == "f32";
    const bool bf16 = to.is_bf16() || from.is_bf16();
    const bool narrows = to.bits < from.bits || (to.bits == from.bits && !same);
    for (const Rounding& rounding : narrows ? kToReals : kNone) {
      for (const bool ftz : {false, true}) {
        if (ftz && !f32) continue;
        forms.push_back({to, from, rounding, ftz, false});
        if (!bf16) forms.push_back({to, from, rounding, ftz, true});
      }
    }
    if (!same) return;
    for (const Rounding& rounding : kToIntegers) {
      forms.push_back({to, from, rounding});
      if (f32) forms.push_back({to, from, rounding, true, true});
    }
  });
  run_forms(forms);
}

TEST(alu_convert, registers_may_be_wider_than_types) {
  check({
      map<uint64_t, uint64_t>("cvt.u32.u8 $0, $1;", "d", "d", [](uint64_t a) { return a & 0xff; }),
      map<uint64_t, uint64_t>("cvt.s16.s8 $0, $1;", "d", "d", [](uint64_t a) { return static_cast<int8_t>(a); }),
      map<uint32_t, uint32_t>("cvt.s8.s32 $0, $1;", "r", "r", [](uint32_t a) { return static_cast<int8_t>(a); }),
      map<uint32_t, uint32_t>("cvt.u8.s32 $0, $1;", "r", "r", [](uint32_t a) { return a & 0xff; }),
      map<uint32_t, uint64_t>("cvt.sat.s8.s16 $0, $1;", "r", "d",
                              [](uint64_t a) { return std::clamp<int>(static_cast<int16_t>(a), -128, 127); }),
      map<uint64_t, uint32_t>("cvt.u64.u16 $0, $1;", "d", "r", [](uint32_t a) { return a & 0xffff; }),
      map<uint16_t, float>(
          "cvt.rzi.s8.f32 $0, $1;", "h", "f",
          [](float a) { return std::isnan(a) ? 0 : static_cast<int>(std::clamp(a, -128.0f, 127.0f)); }),
  });
}

TEST(alu_convert, refuses_what_is_not_ptx) {
  for (const char* text : {"cvt.s32.f32 %r0, %f1;", "cvt.f32.s32 %f0, %r1;", "cvt.f32.f64 %f0, %e1;",
                           "cvt.f16.f32 %h0, %f1;", "cvt.rni.s32.u32 %r0, %r1;", "cvt.rn.f32.f16 %f0, %h1;",
                           "cvt.rn.f64.f32 %e0, %f1;", "cvt.ftz.f64.f16 %e0, %h1;", "cvt.rna.f16.f32 %h0, %f1;",
                           "cvt.rn.relu.f32.f64 %f0, %e1;", "cvt.rn.bf16.u8 %h0, %h1;", "cvt.u32.u4 %r0, %r1;",
                           "cvt.b32.u32 %r0, %r1;", "cvt.u64.u32 %r0, %r1;", "cvt.rn.sat.bf16.f32 %h0, %f1;"})
    expect_refused(text);
}

}  // namespace
}  // namespace ptxsim::test
