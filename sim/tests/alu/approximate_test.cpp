// SPDX-License-Identifier: Apache-2.0
#include <functional>

#include "sim/tests/alu/instruction.hpp"
#include "sim/tests/alu/reals.hpp"

namespace ptxsim::test {
namespace {

using Real = long double;

float flushed(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }

/// One function: what it is, and the documented bound as an absolute error for (operand, exact result).
struct Function {
  std::string name;
  std::function<Real(Real)> exact;
  std::function<Real(Real, Real)> bound;
  std::function<bool(float)> in_domain;  ///< where the bound is documented
};

Real unit_of(Real exact) { return std::ldexp(1.0L, std::max(std::ilogb(exact), -126) - 23); }
auto relative(Real bound) {
  return [=](Real, Real y) { return bound * std::fabs(y); };
}
auto units(Real count) {
  return [=](Real, Real y) { return count * unit_of(y); };
}
auto absolute(Real bound) {
  return [=](Real, Real) { return bound; };
}

const std::vector<Function>& functions() {
  static const auto anywhere = [](float) { return true; };
  static const auto one_turn = [](float x) { return std::fabs(x) <= 3.14159f; };
  static const std::vector<Function> all = {
      {"rcp", [](Real x) { return 1 / x; }, units(1), anywhere},
      {"sqrt", [](Real x) { return std::sqrt(x); }, relative(0x1p-23L), anywhere},
      {"rsqrt", [](Real x) { return 1 / std::sqrt(x); }, relative(std::exp2(-22.9L)), anywhere},
      {"sin", [](Real x) { return std::sin(x); }, absolute(std::exp2(-20.5L)), one_turn},
      {"cos", [](Real x) { return std::cos(x); }, absolute(std::exp2(-20.5L)), one_turn},
      {"lg2", [](Real x) { return std::log2(x); },
       [](Real x, Real y) { return x > 0.5L && x < 2 ? 0x1p-22L : 0x1p-22L * std::fabs(y); }, anywhere},
      {"ex2", [](Real x) { return std::exp2(x); }, units(2), anywhere},
      {"tanh", [](Real x) { return std::tanh(x); }, relative(0x1p-11L), anywhere},
  };
  return all;
}

Case case_of(const Function& f, bool ftz) {
  return {f.name + ".approx" + (ftz ? ".ftz" : "") + ".f32 $0, $1;", "f", "f", [](const Words& in) { return in; }};
}

/// Results against the bound; `exactly`: to half a unit in the last place.
void expect_within_bounds(const Function& f, bool ftz, const Schedule& schedule, bool exactly) {
  const Case the_case = case_of(f, ftz);
  const auto in = operands("f", 2048, 77);
  const auto out = run(the_case, in, schedule);
  int failures = 0;
  for (size_t lane = 0; lane < in.size() && failures < 3; ++lane) {
    const float x = ftz ? flushed(as<float>(in[lane][0])) : as<float>(in[lane][0]);
    const float y = as<float>(out[lane][0]);
    const Real exact = f.exact(x);
    bool good;
    if (std::isnan(exact)) {
      good = std::isnan(y);
    } else if (std::isinf(exact) || exact == 0 || (x == 0 && exact == 1)) {
      good = y == exact && std::signbit(y) == std::signbit(exact);
    } else if (!f.in_domain(x)) {
      good = std::isfinite(y);
    } else {
      const Real largest = std::numeric_limits<float>::max();
      const Real bound = exactly ? 0.5000001L * unit_of(exact) : std::max(f.bound(x, exact), 0.5L * unit_of(exact));
      good = std::fabs(y - exact) <= bound || (std::fabs(exact) + bound >= largest && std::isinf(y)) ||
             (ftz && std::fabs(exact) < 0x1.00001p-126L && y == 0);
    }
    EXPECT_TRUE(good) << the_case.text << " of " << x << " is " << y << ", exactly " << static_cast<double>(exact);
    failures += good ? 0 : 1;
  }
}

TEST(alu_approximate, is_rounded_correctly_by_default) {
  for (const Function& f : functions()) {
    expect_within_bounds(f, false, {}, true);
    if (f.name != "tanh") expect_within_bounds(f, true, {}, true);
  }
}

TEST(alu_approximate, perturbed_results_stay_within_the_documented_bounds) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    Schedule schedule;
    schedule.seed = seed;
    schedule.perturb_approx = true;
    for (const Function& f : functions()) expect_within_bounds(f, false, schedule, false);
  }
}

TEST(alu_approximate, errors_depend_on_the_seed_alone) {
  Schedule one, two;
  one.perturb_approx = two.perturb_approx = true;
  one.seed = 1, two.seed = 2;
  const auto in = operands("f", 2048, 5);
  for (const Function& f : functions()) {
    const auto first = run(case_of(f, false), in, one);
    EXPECT_EQ(first, run(case_of(f, false), in, one)) << f.name;
    EXPECT_NE(first, run(case_of(f, false), in, two)) << f.name;
    EXPECT_NE(first, run(case_of(f, false), in, {})) << f.name;
  }
}

TEST(alu_approximate, quotients) {
  for (const bool perturb : {false, true}) {
    for (const std::string form : {".approx", ".approx.ftz", ".full", ".full.ftz"}) {
      Schedule schedule;
      schedule.perturb_approx = perturb;
      const bool ftz = form.find("ftz") != std::string::npos, full = form.find("full") != std::string::npos;
      const Case div{"div" + form + ".f32 $0, $1, $2;", "f", "ff", [](const Words& in) { return in; }};
      const auto in = operands("ff", 2048, 9);
      const auto out = run(div, in, schedule);
      int failures = 0;
      for (size_t lane = 0; lane < in.size() && failures < 3; ++lane) {
        float a = as<float>(in[lane][0]), b = as<float>(in[lane][1]);
        if (ftz) a = flushed(a), b = flushed(b);
        const float y = as<float>(out[lane][0]);
        Real exact = Real{a} / b;
        // a * (1 / b) with a reciprocal that is flushed.
        if (!full && std::fabs(b) > 0x1p126f && std::isfinite(b)) exact = a * std::copysign(0.0L, Real{b});
        bool good;
        if (std::isnan(exact)) {
          good = std::isnan(y);
        } else if (std::isinf(exact) || exact == 0) {
          good = y == exact && std::signbit(y) == std::signbit(exact);
        } else {
          const Real bound = (perturb ? 2.0L : 0.5000001L) * unit_of(exact);
          good = std::fabs(y - exact) <= bound ||
                 (std::fabs(exact) + bound > std::numeric_limits<float>::max() && std::isinf(y)) ||
                 (ftz && std::fabs(exact) < 0x1.00001p-126L && y == 0);
        }
        EXPECT_TRUE(good) << div.text << " of " << a << ", " << b << " is " << y;
        failures += good ? 0 : 1;
      }
    }
  }
}

TEST(alu_approximate, f64_starting_values) {
  const auto upper = [](uint64_t bits) { return bits >> 32 << 32; };
  for (const bool root : {false, true}) {
    const Case c{(root ? "rsqrt.approx.ftz.f64 $0, $1;" : "rcp.approx.ftz.f64 $0, $1;"), "e", "e",
                 [](const Words& in) { return in; }};
    const auto in = operands("e", 2048, 3);
    const auto out = run(c, in);
    for (size_t lane = 0; lane < in.size(); ++lane) {
      const double x = as<double>(in[lane][0]), cut = as<double>(upper(in[lane][0])), y = as<double>(out[lane][0]);
      if (std::fpclassify(x) == FP_SUBNORMAL || std::isnan(x)) continue;
      const double exact = root ? 1 / std::sqrt(cut) : 1 / cut;
      if (std::isnan(exact)) {
        EXPECT_TRUE(std::isnan(y)) << x;
      } else if (std::fpclassify(exact) == FP_NORMAL) {
        EXPECT_EQ(out[lane][0], upper(out[lane][0]));
        EXPECT_LE(std::fabs(y - exact), std::ldexp(std::fabs(exact), -20)) << x;
      }
    }
  }
  check({map<double, double>("rsqrt.approx.f64 $0, $1;", "e", "e", [](double x) { return 1 / std::sqrt(x); })});
}

}  // namespace
}  // namespace ptxsim::test
