// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.3 "Floating-point instructions": those that round by IEEE 754; approximate.cpp has the others.
#include <cmath>

#include "sim/isa/arithmetic.hpp"
#include "sim/isa/lanes.hpp"
#include "sim/numeric/float_lanes.hpp"

namespace ptxsim {
namespace {

/// What stands around an operation: nothing, .ftz, or what imm[] says (a rounding other than .rn, .ftz, .sat).
enum class Around : uint8_t { nothing, ftz, any };

struct Add {
  static constexpr int kOperands = 2;
  template <class T>
  static T apply(T a, T b, T) {
    return a + b;
  }
};
struct Sub {
  static constexpr int kOperands = 2;
  template <class T>
  static T apply(T a, T b, T) {
    return a - b;
  }
};
struct Mul {
  static constexpr int kOperands = 2;
  template <class T>
  static T apply(T a, T b, T) {
    return a * b;
  }
};
struct Div {
  static constexpr int kOperands = 2;
  template <class T>
  static T apply(T a, T b, T) {
    return a / b;
  }
};
struct Rcp {
  static constexpr int kOperands = 1;
  template <class T>
  static T apply(T a, T, T) {
    return T{1} / a;
  }
};
struct Sqrt {
  static constexpr int kOperands = 1;
  template <class T>
  static T apply(T a, T, T) {
    return std::sqrt(a);
  }
};
struct Fma {
  static constexpr int kOperands = 3;
};

void fma_lanes(const float* a, const float* b, const float* c, float* d) { fma_f32(a, b, c, d); }
void fma_lanes(const double* a, const double* b, const double* c, double* d) { fma_f64(a, b, c, d); }

/// The operation on all lanes. Not inlined: the caller may have changed the rounding mode.
template <class T, class Op>
__attribute__((noinline)) void compute(const T* a, const T* b, const T* c, T* __restrict d) {
  if constexpr (Op::kOperands == 3) {
    fma_lanes(a, b, c, d);
  } else {
    for (uint32_t lane = 0; lane < kLanes; ++lane) d[lane] = Op::apply(a[lane], b[lane], c[lane]);
  }
}

template <class T>
const T* flushed(const T* from, Cells<T>& to) {
  for (uint32_t lane = 0; lane < kLanes; ++lane) to.at[lane] = flush(from[lane]);
  return to.at;
}

template <class T, class Op, Around around>
Outcome real(Step& s) {
  const T* a = s.lanes<T>(1).data();
  const T* b = Op::kOperands > 1 ? s.lanes<T>(2).data() : a;
  const T* c = Op::kOperands > 2 ? s.lanes<T>(3).data() : a;
  const bool ftz = around == Around::ftz || (around == Around::any && s.inst.imm[1] != 0);
  Cells<T> flat[3], result;
  if (ftz) {
    a = flushed(a, flat[0]);
    b = Op::kOperands > 1 ? flushed(b, flat[1]) : a;
    c = Op::kOperands > 2 ? flushed(c, flat[2]) : a;
  }
  if constexpr (around == Around::any) {
    const HostRounding rounding(static_cast<Round>(s.inst.imm[0]));
    compute<T, Op>(a, b, c, result.at);
  } else {
    compute<T, Op>(a, b, c, result.at);
  }
  for (T& x : result.at) x = canonical(x);
  if (ftz) flushed(result.at, result);
  if (around == Around::any && s.inst.imm[2] != 0) {
    for (T& x : result.at) x = saturate(x);
  }
  commit(s, 0, result);
  return Outcome::next;
}

template <class T, bool take_max, bool nan>
Outcome extremum_of(Step& s) {
  return map_lanes<T, T, T>(s, extremum<T, take_max, nan>);
}
/// imm[0]: .ftz, imm[1]: .xorsign.abs, which compares magnitudes and gives the result the product's sign.
template <bool take_max, bool nan>
Outcome extremum_modified(Step& s) {
  const bool ftz = s.inst.imm[0] != 0, xorsign = s.inst.imm[1] != 0;
  return map_lanes<float, float, float>(s, [&](float a, float b) {
    if (ftz) a = flush(a), b = flush(b);
    if (!xorsign) return extremum<float, take_max, nan>(a, b);
    const uint32_t sign = (std::bit_cast<uint32_t>(a) ^ std::bit_cast<uint32_t>(b)) & 0x80000000u;
    const float magnitude = extremum<float, take_max, nan>(std::fabs(a), std::fabs(b));
    return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | (magnitude != magnitude ? 0 : sign));
  });
}

/// neg and abs work on the sign alone; a NaN's payload is unspecified.
template <class T, bool absolute, bool ftz>
Outcome sign(Step& s) {
  using B = RealBits<T>;
  return map_lanes<T, T>(s, [](T a) {
    const auto bits = std::bit_cast<typename B::type>(ftz ? flush(a) : a);
    return std::bit_cast<T>(absolute ? bits & ~B::kSign : bits ^ B::kSign);
  });
}

/// The sign of a on the magnitude of b.
template <class T>
Outcome copysign_of(Step& s) {
  return map_lanes<T, T, T>(s, [](T a, T b) { return std::copysign(b, a); });
}

enum class Property { finite, infinite, number, not_a_number, normal, subnormal };

template <class T, Property property>
Outcome testp(Step& s) {
  using B = RealBits<T>;
  return map_lanes<uint32_t, T>(s, [](T a) -> bool {
    const auto magnitude = std::bit_cast<typename B::type>(a) & ~B::kSign;
    constexpr auto kInfinity = B::kSign - B::kSmallestNormal;
    switch (property) {
      case Property::finite: return magnitude < kInfinity;
      case Property::infinite: return magnitude == kInfinity;
      case Property::number: return magnitude <= kInfinity;
      case Property::not_a_number: return magnitude > kInfinity;
      case Property::normal: return magnitude >= B::kSmallestNormal && magnitude < kInfinity;
      case Property::subnormal: return magnitude != 0 && magnitude < B::kSmallestNormal;
    }
    return false;
  });
}

template <class T, class Op>
void emit_real(Decode& d, const Modifiers& m) {
  d.imm(0, static_cast<int64_t>(m.round)), d.imm(1, m.ftz), d.imm(2, m.sat);
  if (m.round != Round::rn || m.sat) return d.emit(&real<T, Op, Around::any>);
  d.emit(m.ftz ? &real<T, Op, Around::ftz> : &real<T, Op, Around::nothing>);
}
template <class Op>
void emit_real(Decode& d, const Modifiers& m, Type type) {
  d.out(type);
  for (int i = 0; i < Op::kOperands; ++i) d.in(type);
  type == Type::f64 ? emit_real<double, Op>(d, m) : emit_real<float, Op>(d, m);
}

template <bool take_max>
void emit_extremum(Decode& d, const Modifiers& m, Type type) {
  d.out(type), d.in(type), d.in(type);
  if (type == Type::f64) return d.emit(&extremum_of<double, take_max, false>);
  if (!m.ftz && !m.xorsign_abs)
    return d.emit(m.nan ? &extremum_of<float, take_max, true> : &extremum_of<float, take_max, false>);
  d.imm(0, m.ftz), d.imm(1, m.xorsign_abs);
  d.emit(m.nan ? &extremum_modified<take_max, true> : &extremum_modified<take_max, false>);
}

template <bool absolute>
void emit_sign(Decode& d, const Modifiers& m, Type type) {
  d.out(type), d.in(type);
  if (type == Type::f64) return d.emit(&sign<double, absolute, false>);
  d.emit(m.ftz ? &sign<float, absolute, true> : &sign<float, absolute, false>);
}

template <class T>
Handler testp_handler(int property) {
  switch (static_cast<Property>(property)) {
    case Property::finite: return &testp<T, Property::finite>;
    case Property::infinite: return &testp<T, Property::infinite>;
    case Property::number: return &testp<T, Property::number>;
    case Property::not_a_number: return &testp<T, Property::not_a_number>;
    case Property::normal: return &testp<T, Property::normal>;
    case Property::subnormal: break;
  }
  return &testp<T, Property::subnormal>;
}

}  // namespace

void decode_real(Decode& d, Arithmetic op, const Modifiers& m, Type type) {
  const bool f32 = type == Type::f32;
  const bool needs_rounding = op == Arithmetic::fma || op == Arithmetic::div;
  if (needs_rounding && !m.rounded && !m.approx && !m.full) d.invalid("a rounding modifier is required");
  switch (op) {
    case Arithmetic::add:
    case Arithmetic::sub:
    case Arithmetic::mul:
    case Arithmetic::fma: m.allow(d, f32 ? "rnd ftz sat" : "rnd"); break;
    case Arithmetic::div: m.allow(d, f32 ? "approx rnd ftz" : "rnd"); break;
    case Arithmetic::min:
    case Arithmetic::max: m.allow(d, f32 ? "ftz nan" : ""); break;
    case Arithmetic::neg:
    case Arithmetic::abs: m.allow(d, f32 ? "ftz" : ""); break;
  }
  switch (op) {
    case Arithmetic::add: return emit_real<Add>(d, m, type);
    case Arithmetic::sub: return emit_real<Sub>(d, m, type);
    case Arithmetic::mul: return emit_real<Mul>(d, m, type);
    case Arithmetic::fma: return emit_real<Fma>(d, m, type);
    case Arithmetic::div: return m.approx || m.full ? decode_approximate_div(d, m, type) : emit_real<Div>(d, m, type);
    case Arithmetic::min: return emit_extremum<false>(d, m, type);
    case Arithmetic::max: return emit_extremum<true>(d, m, type);
    case Arithmetic::neg: return emit_sign<false>(d, m, type);
    case Arithmetic::abs: return emit_sign<true>(d, m, type);
  }
}

void decode_exact_rcp(Decode& d, const Modifiers& m, Type type) { emit_real<Rcp>(d, m, type); }
void decode_exact_sqrt(Decode& d, const Modifiers& m, Type type) { emit_real<Sqrt>(d, m, type); }

void decode_copysign(Decode& d) {
  const Type type = d.type({Type::f32, Type::f64});
  d.out(type), d.in(type), d.in(type);
  d.emit(type == Type::f64 ? &copysign_of<double> : &copysign_of<float>);
}

void decode_testp(Decode& d) {
  const int property = d.must_be_one_of({"finite", "infinite", "number", "notanumber", "normal", "subnormal"});
  const Type type = d.type({Type::f32, Type::f64});
  d.out(Type::pred), d.in(type);
  d.emit(type == Type::f64 ? testp_handler<double>(property) : testp_handler<float>(property));
}

}  // namespace ptxsim
