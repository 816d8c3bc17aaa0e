// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/alu/instruction.hpp"
#include "sim/tests/alu/reals.hpp"

namespace ptxsim::test {
namespace {

struct Mode {
  std::string name;
  int host;
};
const std::vector<Mode> kModes = {{".rn", kNearest}, {".rz", kZero}, {".rm", kDown}, {".rp", kUp}};

float flushed(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }
float clamped(float x) { return std::isnan(x) || std::signbit(x) ? 0.0f : x > 1 ? 1.0f : x; }

/// The host's arithmetic in the mode, with operands and result that the compiler cannot see through.
template <class T, class F>
T computed(int mode, F f, T a, T b, T c) {
  volatile T x = a, y = b, z = c, result;
  std::fesetround(mode);
  const T p = x, q = y, r = z;
  result = f(p, q, r);
  std::fesetround(FE_TONEAREST);
  return result;
}

/// Forms of an f32 operation: roundings times .ftz times .sat.
template <class F>
void f32_forms(std::vector<Case>& cases, const std::string& op, int operands, bool with_sat, F f) {
  for (const Mode& mode : kModes) {
    for (const bool ftz : {false, true}) {
      for (const bool sat : {false, true}) {
        if (sat && !with_sat) continue;
        std::string text = op + mode.name + (ftz ? ".ftz" : "") + (sat ? ".sat" : "") + ".f32 $0";
        for (int i = 1; i <= operands; ++i) text += ", $" + std::to_string(i);
        cases.push_back({text + ";", "f", std::string(static_cast<size_t>(operands), 'f'), [=](const Words& in) {
                           float x[3] = {};
                           for (size_t i = 0; i < in.size(); ++i)
                             x[i] = ftz ? flushed(as<float>(in[i])) : as<float>(in[i]);
                           float y = computed<float>(mode.host, f, x[0], x[1], x[2]);
                           if (ftz) y = flushed(y);
                           return Words{word(sat ? clamped(y) : y)};
                         }});
      }
    }
  }
}
template <class F>
void f64_forms(std::vector<Case>& cases, const std::string& op, int operands, F f) {
  for (const Mode& mode : kModes) {
    std::string text = op + mode.name + ".f64 $0";
    for (int i = 1; i <= operands; ++i) text += ", $" + std::to_string(i);
    cases.push_back({text + ";", "e", std::string(static_cast<size_t>(operands), 'e'), [=](const Words& in) {
                       double x[3] = {};
                       for (size_t i = 0; i < in.size(); ++i) x[i] = as<double>(in[i]);
                       return Words{word(computed<double>(mode.host, f, x[0], x[1], x[2]))};
                     }});
  }
}

TEST(alu_real, ieee_operations_in_all_roundings) {
  std::vector<Case> cases;
  const auto all = [&](const std::string& op, int operands, bool sat, auto f) {
    f32_forms(cases, op, operands, sat, f);
    f64_forms(cases, op, operands, f);
  };
  all("add", 2, true, [](auto a, auto b, auto) { return a + b; });
  all("sub", 2, true, [](auto a, auto b, auto) { return a - b; });
  all("mul", 2, true, [](auto a, auto b, auto) { return a * b; });
  all("div", 2, false, [](auto a, auto b, auto) { return a / b; });
  all("fma", 3, true, [](auto a, auto b, auto c) { return std::fma(a, b, c); });
  all("mad", 3, true, [](auto a, auto b, auto c) { return std::fma(a, b, c); });
  all("rcp", 1, false, [](auto a, auto, auto) { return 1 / a; });
  all("sqrt", 1, false, [](auto a, auto, auto) { return std::sqrt(a); });
  cases.push_back(map<float, float, float>("add.f32 $0, $1, $2;", "f", "ff", [](float a, float b) { return a + b; }));
  cases.push_back(map<float, float, float>("mul.ftz.f32 $0, $1, $2;", "f", "ff",
                                           [](float a, float b) { return flushed(flushed(a) * flushed(b)); }));
  cases.push_back(
      map<double, double, double>("sub.f64 $0, $1, $2;", "e", "ee", [](double a, double b) { return a - b; }));
  check(cases);
}

TEST(alu_real, a_fused_product_is_rounded_once) {
  // 1 + 2^-23 squared is 1 + 2^-22 + 2^-46: the last term decides against a tie.
  const Case fma = map<float, float, float, float>("fma.rn.f32 $0, $1, $2, $3;", "f", "fff",
                                                   [](float, float, float) { return 0.0f; });
  const uint64_t one = word(1.0f), next = word(0x1.000002p0f);
  std::vector<Words> in(128, Words{next, next, word(-0x1.000004p0f)});
  in[1] = {one, one, word(0x1p-24f)};
  in[2] = {next, next, word(0x1p-47f)};
  const auto out = run(fma, in);
  EXPECT_EQ(as<float>(out[0][0]), 0x1p-46f);
  EXPECT_EQ(as<float>(out[1][0]), 1.0f);
  EXPECT_EQ(as<float>(out[2][0]), 0x1.000004p0f);
}

template <class T>
T extremum(T a, T b, bool take_max, bool nan) {
  if (std::isnan(a) || std::isnan(b)) {
    if (nan || (std::isnan(a) && std::isnan(b))) return std::numeric_limits<T>::quiet_NaN();
    return std::isnan(a) ? b : a;
  }
  if (a == 0 && b == 0)
    return (take_max ? std::signbit(a) && std::signbit(b) : std::signbit(a) || std::signbit(b)) ? -T{0} : T{0};
  return (a < b) == take_max ? b : a;
}

TEST(alu_real, minimum_and_maximum) {
  std::vector<Case> cases;
  for (const bool take_max : {false, true}) {
    const std::string op = take_max ? "max" : "min";
    for (int form = 0; form < 8; ++form) {
      const bool ftz = (form & 1) != 0, nan = (form & 2) != 0, xorsign = (form & 4) != 0;
      const std::string text =
          op + (ftz ? ".ftz" : "") + (nan ? ".NaN" : "") + (xorsign ? ".xorsign.abs" : "") + ".f32 $0, $1, $2;";
      cases.push_back(map<float, float, float>(text, "f", "ff", [=](float a, float b) {
        if (ftz) a = flushed(a), b = flushed(b);
        if (!xorsign) return extremum(a, b, take_max, nan);
        return std::copysign(extremum(std::fabs(a), std::fabs(b), take_max, nan),
                             std::signbit(a) != std::signbit(b) ? -1.0f : 1.0f);
      }));
    }
    cases.push_back(map<double, double, double>(op + ".f64 $0, $1, $2;", "e", "ee",
                                                [=](double a, double b) { return extremum(a, b, take_max, false); }));
  }
  check(cases);
}

TEST(alu_real, signs) {
  check({
      map<float, float>("neg.f32 $0, $1;", "f", "f", [](float a) { return -a; }),
      map<float, float>("neg.ftz.f32 $0, $1;", "f", "f", [](float a) { return -flushed(a); }),
      map<float, float>("abs.f32 $0, $1;", "f", "f", [](float a) { return std::fabs(a); }),
      map<float, float>("abs.ftz.f32 $0, $1;", "f", "f", [](float a) { return std::fabs(flushed(a)); }),
      map<double, double>("neg.f64 $0, $1;", "e", "e", [](double a) { return -a; }),
      map<double, double>("abs.f64 $0, $1;", "e", "e", [](double a) { return std::fabs(a); }),
      map<float, float, float>("copysign.f32 $0, $1, $2;", "f", "ff",
                               [](float a, float b) { return std::copysign(b, a); }),
      map<double, double, double>("copysign.f64 $0, $1, $2;", "e", "ee",
                                  [](double a, double b) { return std::copysign(b, a); }),
  });
}

TEST(alu_real, classes_of_numbers) {
  std::vector<Case> cases;
  const auto test = [&](const std::string& name, auto f) {
    cases.push_back({"testp." + name + ".f32 $0, $1;", "p", "f",
                     [f](const Words& in) { return Words{f(std::fpclassify(as<float>(in[0])))}; }});
    cases.push_back({"testp." + name + ".f64 $0, $1;", "p", "e",
                     [f](const Words& in) { return Words{f(std::fpclassify(as<double>(in[0])))}; }});
  };
  test("finite", [](int c) { return c != FP_NAN && c != FP_INFINITE; });
  test("infinite", [](int c) { return c == FP_INFINITE; });
  test("number", [](int c) { return c != FP_NAN; });
  test("notanumber", [](int c) { return c == FP_NAN; });
  test("normal", [](int c) { return c == FP_NORMAL; });
  test("subnormal", [](int c) { return c == FP_SUBNORMAL; });
  check(cases);
}

TEST(alu_real, nan_results_are_canonical) {
  const Case add = map<float, float, float>("add.f32 $0, $1, $2;", "r", "ff", [](float, float) { return 0.0f; });
  const std::vector<Words> in(128, Words{0xff800001, word(1.0f)});
  EXPECT_EQ(run(add, in)[5][0], 0x7fffffffu);
}

TEST(alu_real, refuses_what_is_not_ptx) {
  for (const char* text : {"fma.f32 %f0, %f1, %f2, %f3;", "div.f32 %f0, %f1, %f2;", "add.ftz.f64 %e0, %e1, %e2;",
                           "add.rna.f32 %f0, %f1, %f2;", "max.ftz.NaN.abs.f32 %f0, %f1, %f2, %f3;", "rcp.f32 %f0, %f1;",
                           "rcp.approx.f64 %e0, %e1;", "sqrt.approx.f64 %e0, %e1;", "tanh.approx.ftz.f32 %f0, %f1;",
                           "ex2.f32 %f0, %f1;", "testp.normal.f16 %p0, %h1;", "add.rn.f32x2 %d0, %d1, %d2;",
                           "add.f32.f16 %f0, %h1, %f2;", "neg.sat.f32 %f0, %f1;"})
    expect_refused(text);
}

}  // namespace
}  // namespace ptxsim::test
