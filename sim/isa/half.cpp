// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.4 "Half precision floating-point instructions": f16, bf16 and their packed pairs; ex2 and tanh of them.
#include <cmath>

#include "sim/isa/arithmetic.hpp"
#include "sim/isa/lanes.hpp"
#include "sim/machine/machine.hpp"
#include "sim/numeric/float_lanes.hpp"
#include "sim/numeric/half.hpp"
#include "sim/numeric/narrow.hpp"

namespace ptxsim {
namespace {

template <class F>
constexpr float value(uint16_t x) {
  if constexpr (std::is_same_v<F, F16>)
    return f16_to_f32(x);
  else
    return bf16_to_f32(x);
}
template <class F>
constexpr uint16_t rounded(float x) {
  if constexpr (std::is_same_v<F, F16>)
    return f32_to_f16(x);
  else
    return f32_to_bf16(x);
}

/// Subnormal numbers become zero. For bits of either format.
template <class F>
constexpr uint16_t flush_half(uint16_t x) {
  constexpr uint16_t kSmallestNormal = 1 << F::kFractionBits;
  return (x & 0x7fff) < kSmallestNormal ? x & 0x8000 : x;
}
constexpr uint16_t relu_half(uint16_t x) { return (x & 0x8000) != 0 ? 0 : x; }
template <class F>
constexpr uint16_t saturate_half(uint16_t x) {
  const uint16_t one = rounded<F>(1.0f);
  if ((x & 0x8000) != 0 || (x & 0x7fff) > F::kOverflow) return 0;
  return std::min(x, one);
}

/// Sums and products of f16, and sums of bf16, are exact in f32 or, at 24 bits, rounded late enough not to matter. The
/// product of two bf16 can be smaller than any f32, and a fused sum can need more bits than a double has.
template <class F, Arithmetic op>
constexpr uint16_t compute(uint16_t a, uint16_t b, uint16_t c) {
  const float x = value<F>(a), y = value<F>(b);
  if constexpr (op == Arithmetic::add)
    return rounded<F>(x + y);
  else if constexpr (op == Arithmetic::sub)
    return rounded<F>(x - y);
  else if constexpr (op == Arithmetic::fma)
    return narrow<F>(add_to_odd(double{x} * y, value<F>(c)));
  else if constexpr (std::is_same_v<F, F16>)
    return rounded<F>(x * y);
  else
    return narrow<F>(double{x} * y);
}

/// .ftz .relu .sat of an instruction, in imm[].
struct Finish {
  explicit Finish(const Inst& inst) : ftz(inst.imm[0] != 0), relu(inst.imm[1] != 0), sat(inst.imm[2] != 0) {}
  template <class F>
  uint16_t before(uint16_t x) const {
    return ftz ? flush_half<F>(x) : x;
  }
  template <class F>
  uint16_t after(uint16_t x) const {
    if (ftz) x = flush_half<F>(x);
    if (relu) x = relu_half(x);
    return sat ? saturate_half<F>(x) : x;
  }
  bool ftz, relu, sat;
};

/// f(a, b, c) of 16-bit operands, or of both halves of packed ones.
template <bool pair, int operands, class G>
Outcome halves(Step& s, G g) {
  if constexpr (pair) {
    const auto both = [&](uint32_t a, uint32_t b, uint32_t c) {
      return pack_halves(g(low_half(a), low_half(b), low_half(c)), g(high_half(a), high_half(b), high_half(c)));
    };
    using W = uint32_t;
    if constexpr (operands == 1)
      return map_lanes<W, W>(s, [&](W a) { return both(a, a, a); });
    else if constexpr (operands == 2)
      return map_lanes<W, W, W>(s, [&](W a, W b) { return both(a, b, a); });
    else
      return map_lanes<W, W, W, W>(s, both);
  } else {
    using H = uint16_t;
    if constexpr (operands == 1)
      return map_lanes<H, H>(s, [&](H a) { return g(a, a, a); });
    else if constexpr (operands == 2)
      return map_lanes<H, H, H>(s, [&](H a, H b) { return g(a, b, a); });
    else
      return map_lanes<H, H, H, H>(s, g);
  }
}

template <class F, bool pair, Arithmetic op, bool finish>
Outcome arithmetic(Step& s) {
  const Finish around(s.inst);
  return halves < pair,
         op == Arithmetic::fma ? 3 : 2 > (s, [&](uint16_t a, uint16_t b, uint16_t c) -> uint16_t {
                                       if constexpr (!finish)
                                         return compute<F, op>(a, b, c);
                                       else
                                         return around.after<F>(compute<F, op>(around.before<F>(a), around.before<F>(b),
                                                                               around.before<F>(c)));
                                     });
}

/// imm[0] .ftz, imm[1] .xorsign.abs
template <class F, bool pair, bool take_max, bool nan>
Outcome extremum_of(Step& s) {
  const bool ftz = s.inst.imm[0] != 0, xorsign = s.inst.imm[1] != 0;
  return halves<pair, 2>(s, [&](uint16_t a, uint16_t b, uint16_t) -> uint16_t {
    if (ftz) a = flush_half<F>(a), b = flush_half<F>(b);
    const uint16_t sign = xorsign ? (a ^ b) & 0x8000 : 0;
    if (xorsign) a &= 0x7fff, b &= 0x7fff;
    const uint16_t result = rounded<F>(extremum<float, take_max, nan>(value<F>(a), value<F>(b)));
    return result > F::kOverflow && (result & 0x8000) == 0 ? F::kNan : result | sign;
  });
}

template <class F, bool pair, bool absolute>
Outcome sign(Step& s) {
  const bool ftz = s.inst.imm[0] != 0;
  return halves<pair, 1>(s, [&](uint16_t a, uint16_t, uint16_t) -> uint16_t {
    if (ftz) a = flush_half<F>(a);
    return static_cast<uint16_t>(absolute ? a & 0x7fff : a ^ 0x8000);
  });
}

/// The documented bounds of ex2 (2^-9.9 and 2^-7, relative) and tanh (2^-10.987 and 2^-8, absolute), less the rounding.
template <class F, Approximate f>
constexpr ErrorBudget half_budget() {
  constexpr bool kF16 = std::is_same_v<F, F16>;
  if (f == Approximate::ex2) return {.relative = kF16 ? 0x1.12p-10 - 0x1p-11 : 0x1p-7 - 0x1p-8};
  return {.absolute = kF16 ? 0x1.02p-11 - 0x1p-12 : 0x1p-8 - 0x1p-9};
}

template <class F, bool pair, Approximate f>
Outcome approximate(Step& s) {
  const bool ftz = s.inst.imm[0] != 0;
  const Schedule& schedule = s.machine.schedule();
  return halves<pair, 1>(s, [&](uint16_t a, uint16_t, uint16_t) -> uint16_t {
    const double x = value<F>(ftz ? flush_half<F>(a) : a);
    double result = exact_value<f>(x);
    if (schedule.perturb_approx) {
      const double error = seeded_error(schedule.seed, f, uint64_t{a} << 32);
      result = in_range<f>(with_error(result, half_budget<F, f>(), F::kFractionBits, error), x);
    }
    const uint16_t bits = narrow<F>(result);
    return ftz ? flush_half<F>(bits) : bits;
  });
}

struct Form {
  bool is_f16, pair;
};
Form form_of(Type type) {
  return {type == Type::f16 || type == Type::f16x2, type == Type::f16x2 || type == Type::bf16x2};
}

/// The handler choose.operator()<F, pair>() for the type.
template <class C>
Handler for_form(Type type, C choose) {
  const Form form = form_of(type);
  if (form.is_f16)
    return form.pair ? choose.template operator()<F16, true>() : choose.template operator()<F16, false>();
  return form.pair ? choose.template operator()<Bf16, true>() : choose.template operator()<Bf16, false>();
}

template <Arithmetic op>
Handler arithmetic_handler(Type type, bool finish) {
  return for_form(type, [&]<class F, bool pair>() -> Handler {
    return finish ? &arithmetic<F, pair, op, true> : &arithmetic<F, pair, op, false>;
  });
}

template <bool take_max>
Handler extremum_handler(Type type, bool nan) {
  return for_form(type, [&]<class F, bool pair>() -> Handler {
    return nan ? &extremum_of<F, pair, take_max, true> : &extremum_of<F, pair, take_max, false>;
  });
}

template <bool absolute>
Handler sign_handler(Type type) {
  return for_form(type, []<class F, bool pair>() -> Handler { return &sign<F, pair, absolute>; });
}

}  // namespace

void decode_half(Decode& d, Arithmetic op, const Modifiers& m, Type type) {
  const bool is_f16 = form_of(type).is_f16;
  if (m.rounded && m.round != Round::rn) d.invalid("halves round by .rn alone");
  d.imm(0, m.ftz);
  const auto operands = [&](int sources) {
    d.out(type);
    for (int i = 0; i < sources; ++i) d.in(type);
  };
  switch (op) {
    case Arithmetic::add:
    case Arithmetic::sub:
    case Arithmetic::mul:
    case Arithmetic::fma:
      m.allow(d, op == Arithmetic::fma ? is_f16 ? "rnd ftz relu sat" : "rnd relu" : is_f16 ? "rnd ftz sat" : "rnd");
      if (op == Arithmetic::fma && !m.rounded) d.invalid("a rounding modifier is required");
      if (m.relu && m.sat) d.invalid(".relu and .sat exclude each other");
      operands(op == Arithmetic::fma ? 3 : 2);
      d.imm(1, m.relu), d.imm(2, m.sat);
      break;
    case Arithmetic::min:
    case Arithmetic::max:
      m.allow(d, is_f16 ? "ftz nan" : "nan");
      operands(2);
      d.imm(1, m.xorsign_abs);
      break;
    case Arithmetic::neg:
    case Arithmetic::abs:
      m.allow(d, is_f16 ? "ftz" : "");
      operands(1);
      break;
    case Arithmetic::div: d.invalid("halves are not divided");
  }
  const bool finish = m.ftz || m.relu || m.sat;
  switch (op) {
    case Arithmetic::add: return d.emit(arithmetic_handler<Arithmetic::add>(type, finish));
    case Arithmetic::sub: return d.emit(arithmetic_handler<Arithmetic::sub>(type, finish));
    case Arithmetic::mul: return d.emit(arithmetic_handler<Arithmetic::mul>(type, finish));
    case Arithmetic::fma: return d.emit(arithmetic_handler<Arithmetic::fma>(type, finish));
    case Arithmetic::min: return d.emit(extremum_handler<false>(type, m.nan));
    case Arithmetic::max: return d.emit(extremum_handler<true>(type, m.nan));
    case Arithmetic::neg: return d.emit(sign_handler<false>(type));
    case Arithmetic::abs: return d.emit(sign_handler<true>(type));
    case Arithmetic::div: break;
  }
}

void decode_half_approximate(Decode& d, Approximate f, const Modifiers& m, Type type) {
  const bool is_bf16 = type == Type::bf16 || type == Type::bf16x2;
  if (!is_bf16 && type != Type::f16 && type != Type::f16x2)
    d.unsupported(std::string("no approximate form with type .") + type_name(type));
  if (m.ftz != (is_bf16 && f == Approximate::ex2)) d.invalid("ex2 of bf16 requires .ftz, other halves do not have it");
  d.out(type), d.in(type);
  d.imm(0, m.ftz);
  d.emit(for_form(type, [&]<class F, bool pair>() -> Handler {
    return f == Approximate::ex2 ? &approximate<F, pair, Approximate::ex2> : &approximate<F, pair, Approximate::tanh>;
  }));
}

}  // namespace ptxsim
