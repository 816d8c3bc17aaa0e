// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/tests/alu/instruction.hpp"
#include "sim/tests/alu/reals.hpp"

namespace ptxsim::test {
namespace {

using Real = long double;

/// One of the two formats.
struct Format {
  std::string name;
  char kind;
  Grid grid;
  int width;  ///< of the exponent field
  Real value(uint64_t bits) const { return value_on_grid(static_cast<uint16_t>(bits), grid, width); }
  uint16_t bits(Real x) const { return static_cast<uint16_t>(bits_on_grid(x, grid, 0x7fff)); }
  uint16_t rounded(Real x) const { return bits(on_grid(x, grid, kNearest)); }
  bool subnormal(uint64_t bits) const { return std::fabs(value(bits)) < std::ldexp(1.0L, grid.smallest); }
  uint16_t flushed(uint16_t bits) const { return subnormal(bits) ? bits & 0x8000 : bits; }
};
const Format kHalf{"f16", 'x', kF16, 5}, kBrain{"bf16", 'y', kBf16, 8};

/// Both the scalar and the packed form of an operation on bits.
template <class F>
void both_forms(std::vector<Case>& cases, const Format& format, const std::string& op, int operands, F f) {
  std::string args = " $0";
  for (int i = 1; i <= operands; ++i) args += ", $" + std::to_string(i);
  const auto at = [](const Words& in, size_t i) { return i < in.size() ? in[i] : uint64_t{0}; };
  const auto count = static_cast<size_t>(operands);
  const auto one = [=](uint64_t a, uint64_t b, uint64_t c) -> uint16_t {
    return f(static_cast<uint16_t>(a), static_cast<uint16_t>(b), static_cast<uint16_t>(c));
  };
  cases.push_back({op + "." + format.name + args + ";", std::string(1, format.kind), std::string(count, format.kind),
                   [=](const Words& in) { return Words{one(at(in, 0), at(in, 1), at(in, 2))}; }});
  const char packed = format.kind == 'x' ? 'X' : 'Y';
  cases.push_back({op + "." + format.name + "x2" + args + ";", std::string(1, packed), std::string(count, packed),
                   [=](const Words& in) {
                     const uint64_t high = one(at(in, 0) >> 16, at(in, 1) >> 16, at(in, 2) >> 16);
                     return Words{high << 16 | one(at(in, 0), at(in, 1), at(in, 2))};
                   }});
}

struct Form {
  std::string suffix;
  bool ftz, sat, relu;
};

template <class F>
void arithmetic(std::vector<Case>& cases, const Format& format, const std::string& op, int operands,
                const std::vector<Form>& forms, F exact) {
  for (const Form& form : forms) {
    both_forms(cases, format, op + form.suffix, operands, [=](uint16_t a, uint16_t b, uint16_t c) -> uint16_t {
      if (form.ftz) a = format.flushed(a), b = format.flushed(b), c = format.flushed(c);
      uint16_t bits = format.rounded(exact(format.value(a), format.value(b), format.value(c)));
      if (form.ftz) bits = format.flushed(bits);
      const Real value = format.value(bits);
      if (form.sat) return std::isnan(value) || std::signbit(value) ? 0 : format.bits(std::min(value, 1.0L));
      if (form.relu && !std::isnan(value) && std::signbit(value)) return 0;
      return bits;
    });
  }
}

TEST(alu_half, sums_and_products) {
  std::vector<Case> cases;
  const std::vector<Form> f16 = {{"", false, false, false},
                                 {".rn.ftz", true, false, false},
                                 {".sat", false, true, false},
                                 {".rn.ftz.sat", true, true, false}};
  const std::vector<Form> bf16 = {{"", false, false, false}, {".rn", false, false, false}};
  const std::vector<Form> f16_fma = {{".rn", false, false, false},
                                     {".rn.ftz", true, false, false},
                                     {".rn.sat", false, true, false},
                                     {".rn.relu", false, false, true},
                                     {".rn.ftz.relu", true, false, true}};
  const std::vector<Form> bf16_fma = {{".rn", false, false, false}, {".rn.relu", false, false, true}};
  for (const Format& format : {kHalf, kBrain}) {
    const auto& forms = format.kind == 'x' ? f16 : bf16;
    arithmetic(cases, format, "add", 2, forms, [](Real a, Real b, Real) { return fused(a, 1, b); });
    arithmetic(cases, format, "sub", 2, forms, [](Real a, Real b, Real) { return fused(a, 1, -b); });
    arithmetic(cases, format, "mul", 2, forms, [](Real a, Real b, Real) { return a * b; });
    arithmetic(cases, format, "fma", 3, format.kind == 'x' ? f16_fma : bf16_fma,
               [](Real a, Real b, Real c) { return fused(a, b, c); });
  }
  check(cases);
}

TEST(alu_half, order_and_signs) {
  std::vector<Case> cases;
  for (const Format& format : {kHalf, kBrain}) {
    for (const bool take_max : {false, true}) {
      for (int form = 0; form < 8; ++form) {
        const bool ftz = (form & 1) != 0, nan = (form & 2) != 0, xorsign = (form & 4) != 0;
        if (ftz && format.kind == 'y') continue;
        const std::string op = std::string(take_max ? "max" : "min") + (ftz ? ".ftz" : "") + (nan ? ".NaN" : "") +
                               (xorsign ? ".xorsign.abs" : "");
        both_forms(cases, format, op, 2, [=](uint16_t a, uint16_t b, uint16_t) -> uint16_t {
          if (ftz) a = format.flushed(a), b = format.flushed(b);
          const uint16_t sign = xorsign ? (a ^ b) & 0x8000 : 0;
          if (xorsign) a &= 0x7fff, b &= 0x7fff;
          const Real x = format.value(a), y = format.value(b);
          if (std::isnan(x) && std::isnan(y)) return 0x7fff;
          if (std::isnan(x) || std::isnan(y))
            return nan ? 0x7fff : static_cast<uint16_t>((std::isnan(x) ? b : a) | sign);
          const bool a_is_less = x < y || (x == y && std::signbit(x));
          return static_cast<uint16_t>((a_is_less == take_max ? b : a) | sign);
        });
      }
    }
    both_forms(cases, format, "neg", 1,
               [](uint16_t a, uint16_t, uint16_t) { return static_cast<uint16_t>(a ^ 0x8000); });
    both_forms(cases, format, "abs", 1,
               [](uint16_t a, uint16_t, uint16_t) { return static_cast<uint16_t>(a & 0x7fff); });
  }
  both_forms(cases, kHalf, "neg.ftz", 1,
             [](uint16_t a, uint16_t, uint16_t) { return static_cast<uint16_t>(kHalf.flushed(a) ^ 0x8000); });
  both_forms(cases, kHalf, "abs.ftz", 1,
             [](uint16_t a, uint16_t, uint16_t) { return static_cast<uint16_t>(kHalf.flushed(a) & 0x7fff); });
  check(cases);
}

TEST(alu_half, exponentials_and_tangents) {
  std::vector<Case> cases;
  const auto exact = [&](const Format& format, const std::string& op, bool ftz, auto f) {
    both_forms(cases, format, op, 1, [=](uint16_t a, uint16_t, uint16_t) {
      const uint16_t bits = format.rounded(f(format.value(ftz ? format.flushed(a) : a)));
      return ftz ? format.flushed(bits) : bits;
    });
  };
  exact(kHalf, "ex2.approx", false, [](Real x) { return std::exp2(x); });
  exact(kBrain, "ex2.approx.ftz", true, [](Real x) { return std::exp2(x); });
  exact(kHalf, "tanh.approx", false, [](Real x) { return std::tanh(x); });
  exact(kBrain, "tanh.approx", false, [](Real x) { return std::tanh(x); });
  check(cases);
}

TEST(alu_half, perturbed_exponentials_and_tangents_stay_within_the_documented_bounds) {
  Schedule schedule;
  schedule.perturb_approx = true;
  schedule.seed = 3;
  struct Row {
    std::string text;
    const Format* format;
    bool tanh;
    Real bound;
  };
  const Row rows[] = {{"ex2.approx.f16 $0, $1;", &kHalf, false, std::exp2(-9.9L)},
                      {"ex2.approx.ftz.bf16 $0, $1;", &kBrain, false, 0x1p-7L},
                      {"tanh.approx.f16 $0, $1;", &kHalf, true, std::exp2(-10.987L)},
                      {"tanh.approx.bf16 $0, $1;", &kBrain, true, 0x1p-8L}};
  for (const Row& row : rows) {
    const std::string kind(1, row.format->kind);
    const auto in = operands(kind, 2048, 11);
    const auto out = run({row.text, kind, kind, {}}, in, schedule);
    size_t moved = 0;
    for (size_t lane = 0; lane < in.size(); ++lane) {
      const Real x = row.format->value(in[lane][0]), y = row.format->value(out[lane][0]);
      const Real exact = row.tanh ? std::tanh(x) : std::exp2(x);
      if (std::isnan(x) || row.format->subnormal(row.format->rounded(exact)) || std::isinf(y) ||
          row.format->subnormal(in[lane][0]))
        continue;
      EXPECT_LE(std::fabs(y - exact), row.tanh ? row.bound : row.bound * exact)
          << row.text << " of " << static_cast<double>(x);
      moved += row.format->rounded(exact) != static_cast<uint16_t>(out[lane][0]);
    }
    EXPECT_GT(moved, 50u) << row.text;
  }
}

TEST(alu_half, refuses_what_is_not_ptx) {
  for (const char* text :
       {"add.rz.f16 %h0, %h1, %h2;", "add.sat.bf16x2 %r0, %r1, %r2;", "fma.f16 %h0, %h1, %h2, %h3;",
        "neg.ftz.bf16 %h0, %h1;", "ex2.approx.bf16 %h0, %h1;", "ex2.approx.ftz.f16 %h0, %h1;",
        "div.rn.f16 %h0, %h1, %h2;", "max.f16 %h0, %h1, %h2, %h3;", "fma.rn.relu.sat.f16 %h0, %h1, %h2, %h3;"})
    expect_refused(text);
}

}  // namespace
}  // namespace ptxsim::test
