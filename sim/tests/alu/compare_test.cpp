// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "sim/tests/alu/instruction.hpp"
#include "sim/tests/alu/reals.hpp"

namespace ptxsim::test {
namespace {

/// a below, equal to, above b, or unordered: -1, 0, 1, 2.
template <class T>
int order(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return 2;
  }
  return a < b ? -1 : a == b ? 0 : 1;
}

bool holds(const std::string& comparison, int o) {
  const bool unordered_form = comparison.size() == 3 && comparison.back() == 'u';
  if (comparison == "num") return o != 2;
  if (comparison == "nan") return o == 2;
  if (o == 2) return unordered_form;
  const std::string base = unordered_form ? comparison.substr(0, 2) : comparison;
  if (base == "eq") return o == 0;
  if (base == "ne") return o != 0;
  if (base == "lt" || base == "lo") return o < 0;
  if (base == "le" || base == "ls") return o <= 0;
  if (base == "gt" || base == "hi") return o > 0;
  return o >= 0;  // ge, hs
}

const std::vector<std::string> kSigned = {"eq", "ne", "lt", "le", "gt", "ge"};
const std::vector<std::string> kUnsigned = {"eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs"};
const std::vector<std::string> kBits = {"eq", "ne"};
const std::vector<std::string> kReal = {"eq",  "ne",  "lt",  "le",  "gt",  "ge",  "equ",
                                        "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};

using Order = std::function<int(uint64_t, uint64_t)>;
struct Operands {
  std::string type;  ///< with .ftz in front where it is flushed
  char kind;
  const std::vector<std::string>* comparisons;
  Order order;
  bool is_half() const { return kind == 'x' || kind == 'y'; }
};

template <class T>
Order order_of() {
  return [](uint64_t a, uint64_t b) { return order(as<T>(a), as<T>(b)); };
}
float flushed(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }
long double flushed_half(uint64_t bits) { return (bits & 0x7c00) == 0 ? 0.0L : f16_value(bits); }

const std::vector<Operands>& scalars() {
  static const std::vector<Operands> all = {
      {".s16", 'h', &kSigned, order_of<int16_t>()},
      {".u16", 'h', &kUnsigned, order_of<uint16_t>()},
      {".b16", 'h', &kBits, order_of<uint16_t>()},
      {".s32", 'r', &kSigned, order_of<int32_t>()},
      {".u32", 'r', &kUnsigned, order_of<uint32_t>()},
      {".b32", 'r', &kBits, order_of<uint32_t>()},
      {".s64", 'd', &kSigned, order_of<int64_t>()},
      {".u64", 'd', &kUnsigned, order_of<uint64_t>()},
      {".b64", 'd', &kBits, order_of<uint64_t>()},
      {".f32", 'f', &kReal, order_of<float>()},
      {".f64", 'e', &kReal, order_of<double>()},
      {".ftz.f32", 'f', &kReal,
       [](uint64_t a, uint64_t b) { return order(flushed(as<float>(a)), flushed(as<float>(b))); }},
      {".f16", 'x', &kReal, [](uint64_t a, uint64_t b) { return order(f16_value(a), f16_value(b)); }},
      {".ftz.f16", 'x', &kReal, [](uint64_t a, uint64_t b) { return order(flushed_half(a), flushed_half(b)); }},
      {".bf16", 'y', &kReal, [](uint64_t a, uint64_t b) { return order(bf16_value(a), bf16_value(b)); }},
  };
  return all;
}

bool combined(const std::string& how, bool a, bool b) {
  return how == ".and" ? a && b : how == ".or" ? a || b : a != b;
}

TEST(alu_compare, all_relations_of_all_types) {
  std::vector<Case> cases;
  for (const Operands& type : scalars()) {
    for (const std::string& comparison : *type.comparisons) {
      const Order in_order = type.order;
      const std::string head = "setp." + comparison + type.type, kinds(2, type.kind);
      if (type.is_half()) {
        cases.push_back({head + " $0, $1, $2;", "p", kinds,
                         [=](const Words& in) { return Words{holds(comparison, in_order(in[0], in[1]))}; }});
        continue;
      }
      cases.push_back({head + " $0|$1, $2, $3;", "pp", kinds, [=](const Words& in) {
                         const bool t = holds(comparison, in_order(in[0], in[1]));
                         return Words{t, !t};
                       }});
    }
  }
  check(cases);
}

TEST(alu_compare, relations_are_combined_with_a_predicate) {
  std::vector<Case> cases;
  for (const Operands& type : scalars()) {
    for (const std::string how : {".and", ".or", ".xor"}) {
      for (const bool negated : {false, true}) {
        const std::string& comparison = type.comparisons->back();
        const Order in_order = type.order;
        const std::string head = "setp." + comparison + how + type.type, kinds = std::string(2, type.kind) + "p";
        const std::string third = std::string(", ") + (negated ? "!" : "");
        if (type.is_half()) {
          cases.push_back({head + " $0, $1, $2" + third + "$3;", "p", kinds, [=](const Words& in) {
                             return Words{
                                 combined(how, holds(comparison, in_order(in[0], in[1])), (in[2] != 0) != negated)};
                           }});
          continue;
        }
        cases.push_back({head + " $0|$1, $2, $3" + third + "$4;", "pp", kinds, [=](const Words& in) {
                           const bool t = holds(comparison, in_order(in[0], in[1])), c = (in[2] != 0) != negated;
                           return Words{combined(how, t, c), combined(how, !t, c)};
                         }});
      }
    }
  }
  cases.push_back({"setp.lt.s32 $0, $1, $2;", "p", "rr",
                   [](const Words& in) { return Words{as<int32_t>(in[0]) < as<int32_t>(in[1])}; }});
  check(cases);
}

TEST(alu_compare, packed_halves_have_a_predicate_each) {
  std::vector<Case> cases;
  for (const bool brain : {false, true}) {
    const auto value = brain ? bf16_value : f16_value;
    for (const std::string& comparison : kReal) {
      const std::string type = brain ? ".bf16x2" : ".f16x2", kinds(2, brain ? 'Y' : 'X');
      const auto test = [=](const Words& in, int shift) {
        return holds(comparison, order(value(in[0] >> shift & 0xffff), value(in[1] >> shift & 0xffff)));
      };
      cases.push_back({"setp." + comparison + type + " $0|$1, $2, $3;", "pp", kinds, [=](const Words& in) {
                         return Words{test(in, 0), test(in, 16)};
                       }});
      cases.push_back(
          {"setp." + comparison + ".xor" + type + " $0|$1, $2, $3, $4;", "pp", kinds + "p", [=](const Words& in) {
             return Words{test(in, 0) != (in[2] != 0), test(in, 16) != (in[2] != 0)};
           }});
      for (const char* integer : {".u32", ".s32"})
        cases.push_back({"set." + comparison + integer + type + " $0, $1, $2;", "r", kinds, [=](const Words& in) {
                           return Words{(test(in, 0) ? 0xffffu : 0u) | (test(in, 16) ? 0xffff0000u : 0u)};
                         }});
      const uint64_t one = brain ? 0x3f80 : 0x3c00;
      cases.push_back({"set." + comparison + type + type + " $0, $1, $2;", "r", kinds, [=](const Words& in) {
                         return Words{(test(in, 0) ? one : 0) | (test(in, 16) ? one << 16 : 0)};
                       }});
    }
  }
  check(cases);
}

TEST(alu_compare, set_gives_ones_or_one) {
  std::vector<Case> cases;
  struct Result {
    std::string type;
    char kind;
    uint64_t when_true;
  };
  const Result words[] = {
      {".u32", 'r', 0xffffffff}, {".s32", 'r', 0xffffffff}, {".f32", 'r', 0x3f800000}, {".f16", 'h', 0x3c00}};
  const Result halves[] = {{".u16", 'h', 0xffff}, {".s16", 'h', 0xffff}, {".u32", 'r', 0xffffffff}};
  for (const Operands& type : scalars()) {
    const Order in_order = type.order;
    const std::string& comparison = type.comparisons->at(type.comparisons->size() / 2);
    for (const Result& result : type.is_half() ? std::vector<Result>(std::begin(halves), std::end(halves))
                                               : std::vector<Result>(std::begin(words), std::end(words))) {
      // .ftz stands in front of both types.
      const bool ftz = type.type.rfind(".ftz", 0) == 0;
      const std::string types = ftz ? ".ftz" + result.type + type.type.substr(4) : result.type + type.type;
      cases.push_back(
          {"set." + comparison + types + " $0, $1, $2;", std::string(1, result.kind), std::string(2, type.kind),
           [=](const Words& in) { return Words{holds(comparison, in_order(in[0], in[1])) ? result.when_true : 0}; }});
    }
  }
  cases.push_back({"set.lt.and.u32.s32 $0, $1, $2, !$3;", "r", "rrp", [](const Words& in) {
                     return Words{as<int32_t>(in[0]) < as<int32_t>(in[1]) && in[2] == 0 ? 0xffffffff : 0};
                   }});
  cases.push_back({"set.gt.bf16.bf16 $0, $1, $2;", "h", "yy",
                   [](const Words& in) { return Words{bf16_value(in[0]) > bf16_value(in[1]) ? 0x3f80u : 0u}; }});
  check(cases);
}

TEST(alu_compare, selections) {
  std::vector<Case> cases;
  const std::vector<std::pair<std::string, char>> types = {{"b16", 'h'}, {"b32", 'r'}, {"b64", 'd'}, {"u16", 'h'},
                                                           {"s32", 'r'}, {"u64", 'd'}, {"f32", 'r'}, {"f64", 'd'}};
  for (const auto& [name, kind] : types) {
    const std::string k(1, kind == 'r' && name == "f32" ? 'f' : kind == 'd' && name == "f64" ? 'e' : kind), two = k + k;
    cases.push_back({"selp." + name + " $0, $1, $2, $3;", k, two + "p",
                     [](const Words& in) { return Words{in[2] != 0 ? in[0] : in[1]}; }});
    cases.push_back({"selp." + name + " $0, $1, $2, !$3;", k, two + "p",
                     [](const Words& in) { return Words{in[2] == 0 ? in[0] : in[1]}; }});
    cases.push_back({"slct." + name + ".s32 $0, $1, $2, $3;", k, two + "r",
                     [](const Words& in) { return Words{as<int32_t>(in[2]) >= 0 ? in[0] : in[1]}; }});
    cases.push_back({"slct." + name + ".f32 $0, $1, $2, $3;", k, two + "f",
                     [](const Words& in) { return Words{as<float>(in[2]) >= 0 ? in[0] : in[1]}; }});
    cases.push_back({"slct.ftz." + name + ".f32 $0, $1, $2, $3;", k, two + "f",
                     [](const Words& in) { return Words{flushed(as<float>(in[2])) >= 0 ? in[0] : in[1]}; }});
  }
  check(cases);
}

TEST(alu_compare, refuses_what_is_not_ptx) {
  for (const char* text :
       {"setp.lo.s32 %p0, %r1, %r2;", "setp.lt.b32 %p0, %r1, %r2;", "setp.equ.u32 %p0, %r1, %r2;",
        "setp.ftz.lt.f32 %p0, %f1, %f2;", "setp.lt.ftz.f64 %p0, %e1, %e2;", "setp.lt.and.s32 %p0, %r1, %r2;",
        "setp.lt.s32 %p0, %r1, %r2, %p1;", "set.gt.u16.s32 %h0, %r1, %r2;", "set.gt.f32.f16 %f0, %h1, %h2;",
        "set.gt.f16.bf16 %h0, %h1, %h2;", "set.gt.u16.f16x2 %h0, %r1, %r2;", "selp.f16 %h0, %h1, %h2, %p1;",
        "selp.pred %p0, %p1, %p2, %p3;", "setp.lt.ftz.bf16 %p0, %h1, %h2;", "setp.lt.f16 %p0|%p1, %h1, %h2;"})
    expect_refused(text);
}

}  // namespace
}  // namespace ptxsim::test
