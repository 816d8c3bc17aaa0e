// SPDX-License-Identifier: Apache-2.0
#include <set>

#include "sim/isa/isa.hpp"
#include "sim/tests/alu/instruction.hpp"

// A guarded instruction leaves the lanes whose predicate is false as they are: one of every row of the ALU.
namespace ptxsim::test {
namespace {

struct Example {
  const char* text;
  const char *results, *sources;
};
constexpr Example kExamples[] = {
    {"add.u16 $0, $1, $2;", "h", "hh"},
    {"add.cc.u32 $0, $1, $2; @G addc.u32 $0, $0, $1;", "r", "rr"},
    {"sub.f64 $0, $1, $2;", "e", "ee"},
    {"sub.cc.u64 $0, $1, $2; @G subc.u64 $0, $0, $1;", "d", "dd"},
    {"mul.rn.f32 $0, $1, $2;", "f", "ff"},
    {"mul.wide.s16 $0, $1, $2;", "r", "hh"},
    {"mul24.lo.u32 $0, $1, $2;", "r", "rr"},
    {"mad.lo.s64 $0, $1, $2, $3;", "d", "ddd"},
    {"mad.lo.cc.u32 $0, $1, $2, $1; @G madc.hi.u32 $0, $1, $2, $0;", "r", "rr"},
    {"mad24.hi.s32 $0, $1, $2, $3;", "r", "rrr"},
    {"div.u32 $0, $1, $2;", "r", "rr"},
    {"div.rz.f32 $0, $1, $2;", "f", "ff"},
    {"rem.s16 $0, $1, $2;", "h", "hh"},
    {"abs.s32 $0, $1;", "r", "r"},
    {"neg.bf16x2 $0, $1;", "Y", "Y"},
    {"min.f16 $0, $1, $2;", "x", "xx"},
    {"max.relu.s16x2 $0, $1, $2;", "r", "rr"},
    {"sad.u64 $0, $1, $2, $3;", "d", "ddd"},
    {"popc.b64 $0, $1;", "r", "d"},
    {"clz.b32 $0, $1;", "r", "r"},
    {"bfind.s32 $0, $1;", "r", "r"},
    {"fns.b32 $0, $1, 3, 2;", "r", "r"},
    {"brev.b64 $0, $1;", "d", "d"},
    {"bfe.s32 $0, $1, $2, $3;", "r", "rss"},
    {"bfi.b32 $0, $1, $2, $3, $4;", "r", "rrss"},
    {"szext.clamp.s32 $0, $1, $2;", "r", "rs"},
    {"bmsk.wrap.b32 $0, $1, $2;", "r", "ss"},
    {"dp4a.s32.u32 $0, $1, $2, $3;", "r", "rrr"},
    {"dp2a.hi.u32.u32 $0, $1, $2, $3;", "r", "rrr"},
    {"fma.rn.f32 $0, $1, $2, $3;", "f", "fff"},
    {"rcp.approx.ftz.f32 $0, $1;", "f", "f"},
    {"rcp.rm.f64 $0, $1;", "e", "e"},
    {"sqrt.rn.f32 $0, $1;", "f", "f"},
    {"rsqrt.approx.f32 $0, $1;", "f", "f"},
    {"sin.approx.f32 $0, $1;", "f", "f"},
    {"cos.approx.f32 $0, $1;", "f", "f"},
    {"lg2.approx.f32 $0, $1;", "f", "f"},
    {"ex2.approx.ftz.bf16x2 $0, $1;", "Y", "Y"},
    {"tanh.approx.f32 $0, $1;", "f", "f"},
    {"copysign.f32 $0, $1, $2;", "f", "ff"},
    {"testp.normal.f32 $0, $1;", "p", "f"},
    {"and.b32 $0, $1, $2;", "r", "rr"},
    {"or.pred $0, $1, $2;", "p", "pp"},
    {"xor.b64 $0, $1, $2;", "d", "dd"},
    {"not.pred $0, $1;", "p", "p"},
    {"cnot.b16 $0, $1;", "h", "h"},
    {"lop3.or.b32 $0|$1, $2, $3, $4, 0x96, $5;", "rp", "rrrp"},
    {"shf.l.wrap.b32 $0, $1, $2, $3;", "r", "rrs"},
    {"shl.b64 $0, $1, $2;", "d", "ds"},
    {"shr.s16 $0, $1, $2;", "h", "hs"},
    {"set.lt.u32.f32 $0, $1, $2;", "r", "ff"},
    {"set.geu.bf16x2.bf16x2 $0, $1, $2;", "Y", "YY"},
    {"setp.ne.and.s32 $0|$1, $2, $3, $4;", "pp", "rrp"},
    {"setp.gt.f16x2 $0|$1, $2, $3;", "pp", "XX"},
    {"selp.b16 $0, $1, $2, $3;", "h", "hhp"},
    {"slct.u64.s32 $0, $1, $2, $3;", "d", "ddr"},
    {"mov.b64 $0, {$1, $2};", "d", "rr"},
    {"mov.b64 {$0, $1}, $2;", "rr", "d"},
    {"mov.pred $0, $1;", "p", "p"},
    {"prmt.b32 $0, $1, $2, 0x5410;", "r", "rr"},
    {"isspacep.shared $0, $1;", "p", "d"},
    {"cvta.shared.u64 $0, $1;", "d", "d"},
    {"cvt.rn.f32.s32 $0, $1;", "f", "r"},
    {"cvt.rz.f32.f64 $0, $1;", "f", "e"},
    {"cvt.sat.u8.s32 $0, $1;", "h", "r"},
    {"cvt.rn.bf16x2.f32 $0, $1, $2;", "Y", "ff"},
    {"cvt.rn.satfinite.e4m3x2.f32 $0, $1, $2;", "b", "ff"},
    {"cvt.pack.sat.u8.s32.b32 $0, $1, $2, $3;", "r", "rrr"},
};

/// "G" becomes the operand of the guard.
std::string guarded(std::string text, const std::string& guard) {
  for (size_t at = text.find("@G"); at != std::string::npos; at = text.find("@G")) text.replace(at, 2, guard);
  return text;
}

std::string move_of(char kind) {
  switch (kind) {
    case 'p': return "mov.pred";
    case 'h':
    case 'x':
    case 'y':
    case 'b': return "mov.b16";
    case 'd':
    case 'e': return "mov.b64";
    default: return "mov.b32";
  }
}

TEST(alu_guard, lanes_with_a_false_predicate_keep_their_registers) {
  for (const Example& example : kExamples) {
    SCOPED_TRACE(example.text);
    const std::string results = example.results, sources = example.sources;
    const auto inputs = operands(sources + results + "p", 256, 5);
    std::vector<Words> plain_inputs;
    for (const Words& each : inputs)
      plain_inputs.emplace_back(each.begin(), each.begin() + static_cast<ptrdiff_t>(sources.size()));
    const auto plain = run({guarded(example.text, ""), results, sources, {}}, plain_inputs);
    for (const bool negated : {false, true}) {
      // Results hold other values before; then the instruction under the last predicate.
      const size_t first = results.size() + sources.size();
      const std::string guard = std::string(negated ? "@!$" : "@$") + std::to_string(first + results.size());
      std::string text;
      for (size_t i = 0; i < results.size(); ++i)
        text += move_of(results[i]) + " $" + std::to_string(i) + ", $" + std::to_string(first + i) + "; ";
      text += guard + " " + guarded(example.text, guard);
      const auto out = run({text, results, sources + results + "p", {}}, inputs);
      for (size_t lane = 0; lane < inputs.size(); ++lane) {
        const bool runs = (inputs[lane].back() != 0) != negated;
        for (size_t i = 0; i < results.size(); ++i)
          ASSERT_EQ(out[lane][i], runs ? plain[lane][i] : inputs[lane][sources.size() + i]) << "lane " << lane;
      }
    }
  }
}

TEST(alu_guard, every_row_of_the_alu_is_among_them) {
  std::set<std::string> rows;
  for (const Example& example : kExamples) {
    std::string text = example.text;
    while (!text.empty()) {
      text = text.substr(text.find_first_not_of(" @G"));
      rows.insert(isa_find(text.substr(0, text.find(' ')))->name);
      const size_t next = text.find("@G");
      text = next == std::string::npos ? "" : text.substr(next);
    }
  }
  for (const IsaRow& row : isa_rows()) {
    const std::string name = isa_class_name(row.isa_class);
    const bool in_alu = name == "integer" || name == "real" || name == "compare" || name == "move" || name == "convert";
    EXPECT_EQ(rows.count(row.name), in_alu ? 1u : 0u) << row.name;
  }
}

}  // namespace
}  // namespace ptxsim::test
