// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.3 "Floating-point instructions": rcp, sqrt, rsqrt, sin, cos, lg2, ex2, tanh and div.approx, div.full.
#include "sim/isa/arithmetic.hpp"
#include "sim/isa/lanes.hpp"
#include "sim/machine/machine.hpp"
#include "sim/numeric/float_lanes.hpp"

namespace ptxsim {
namespace {

template <Approximate f>
float erring(float exact_input, double exact, const Schedule& schedule) {
  const double x = exact_input;
  const double error = seeded_error(schedule.seed, f, std::bit_cast<uint32_t>(exact_input));
  return static_cast<float>(in_range<f>(with_error(exact, f32_budget<f>(x), 23, error), x));
}

template <Approximate f, bool ftz>
Outcome approximate(Step& s) {
  const Schedule& schedule = s.machine.schedule();
  const auto from = s.lanes<float>(1);
  auto to = s.lanes<float>(0);
  for_lanes(s.mask, [&](uint32_t lane) {
    const float x = ftz ? flush(from[lane]) : from[lane];
    const double exact = exact_value<f>(x);
    const float result = schedule.perturb_approx ? erring<f>(x, exact, schedule) : static_cast<float>(exact);
    to.set(lane, canonical(ftz ? flush(result) : result));
  });
  return Outcome::next;
}

/// rcp and rsqrt of f64: of the operand the upper word counts, of the result the lower word is zero.
template <Approximate f>
Outcome approximate_upper_word(Step& s) {
  return map_lanes<double, double>(s, [](double x) {
    constexpr uint64_t kUpper = ~uint64_t{0} << 32;
    const double cut = std::bit_cast<double>(std::bit_cast<uint64_t>(flush(x)) & kUpper);
    const double result = canonical(flush(exact_value<f>(x != x ? x : cut)));
    return std::bit_cast<double>(std::bit_cast<uint64_t>(result) & kUpper);
  });
}
Outcome rsqrt_f64(Step& s) {
  return map_lanes<double, double>(s, [](double x) { return canonical(exact_value<Approximate::rsqrt>(x)); });
}

/// div.approx is a * (1 / b), which ends where 1 / b is subnormal; div.full scales its operands first.
template <bool ftz, bool full>
Outcome divide(Step& s) {
  const Schedule& schedule = s.machine.schedule();
  const auto dividend = s.lanes<float>(1), divisor = s.lanes<float>(2);
  auto to = s.lanes<float>(0);
  for_lanes(s.mask, [&](uint32_t lane) {
    const float a = ftz ? flush(dividend[lane]) : dividend[lane];
    const float b = ftz ? flush(divisor[lane]) : divisor[lane];
    double exact = double{a} / b;
    if (!full && std::fabs(b) > 0x1p126f && std::fabs(b) < INFINITY) exact = a * std::copysign(0.0, double{b});
    if (schedule.perturb_approx) {
      const uint64_t bits = uint64_t{std::bit_cast<uint32_t>(a)} << 32 | std::bit_cast<uint32_t>(b);
      const double error = seeded_error(schedule.seed, Approximate::div, bits);
      exact = with_error(exact, f32_budget<Approximate::div>(a), 23, error);
    }
    const float result = static_cast<float>(exact);
    to.set(lane, canonical(ftz ? flush(result) : result));
  });
  return Outcome::next;
}

template <Approximate f>
void decode_f32(Decode& d, const Modifiers& m) {
  d.out(Type::f32), d.in(Type::f32);
  d.emit(m.ftz ? &approximate<f, true> : &approximate<f, false>);
}

template <Approximate f>
void decode_approximate(Decode& d) {
  d.must_be_one_of({"approx"});
  const Modifiers m = Modifiers::read(d);
  const Type type = f == Approximate::ex2 || f == Approximate::tanh ? d.type() : d.type({Type::f32});
  m.allow(d, f == Approximate::tanh ? "" : "ftz");
  if (type != Type::f32) return decode_half_approximate(d, f, m, type);
  decode_f32<f>(d, m);
}

}  // namespace

void decode_approximate_div(Decode& d, const Modifiers& m, Type type) {
  if (type != Type::f32) d.invalid("an approximate division is of .f32");
  d.out(type), d.in(type), d.in(type);
  if (m.full) return d.emit(m.ftz ? &divide<true, true> : &divide<false, true>);
  d.emit(m.ftz ? &divide<true, false> : &divide<false, false>);
}

void decode_rcp(Decode& d) {
  const Modifiers m = Modifiers::read(d);
  const Type type = d.type({Type::f32, Type::f64});
  if (!m.approx && !m.rounded) d.invalid("a rounding or .approx is required");
  m.allow(d, m.approx ? "approx ftz" : type == Type::f32 ? "rnd ftz" : "rnd");
  if (!m.approx) return decode_exact_rcp(d, m, type);
  if (type == Type::f32) return decode_f32<Approximate::rcp>(d, m);
  if (!m.ftz) d.invalid("rcp.approx.f64 requires .ftz");
  d.out(type), d.in(type);
  d.emit(&approximate_upper_word<Approximate::rcp>);
}

void decode_sqrt(Decode& d) {
  const Modifiers m = Modifiers::read(d);
  const Type type = d.type({Type::f32, Type::f64});
  if (!m.approx && !m.rounded) d.invalid("a rounding or .approx is required");
  if (m.approx && type == Type::f64) d.invalid("sqrt.approx is of .f32");
  m.allow(d, m.approx ? "approx ftz" : type == Type::f32 ? "rnd ftz" : "rnd");
  if (m.approx) return decode_f32<Approximate::sqrt>(d, m);
  decode_exact_sqrt(d, m, type);
}

void decode_rsqrt(Decode& d) {
  d.must_be_one_of({"approx"});
  const Modifiers m = Modifiers::read(d);
  const Type type = d.type({Type::f32, Type::f64});
  m.allow(d, "ftz");
  if (type == Type::f32) return decode_f32<Approximate::rsqrt>(d, m);
  d.out(type), d.in(type);
  d.emit(m.ftz ? &approximate_upper_word<Approximate::rsqrt> : &rsqrt_f64);
}

void decode_sin(Decode& d) { decode_approximate<Approximate::sin>(d); }
void decode_cos(Decode& d) { decode_approximate<Approximate::cos>(d); }
void decode_lg2(Decode& d) { decode_approximate<Approximate::lg2>(d); }
void decode_ex2(Decode& d) { decode_approximate<Approximate::ex2>(d); }
void decode_tanh(Decode& d) { decode_approximate<Approximate::tanh>(d); }

}  // namespace ptxsim
