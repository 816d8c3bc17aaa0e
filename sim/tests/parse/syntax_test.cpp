// SPDX-License-Identifier: Apache-2.0
// The syntax tree: what text means before names are resolved, and that printing it loses nothing.
#include <chrono>

#include "parse/text.hpp"

namespace ptxsim::test {
namespace {

/// Statements of the one function of the text.
std::vector<syntax::Statement> statements(const syntax::Module& module) {
  for (const auto& item : module.items)
    if (const auto* function = std::get_if<syntax::Function>(&item)) return function->body->statements;
  return {};
}

std::string in_function(const std::string& body) { return module_text(".func f()\n{\n" + body + "\n}\n"); }

syntax::Operand operand_of(const std::string& text) {
  static std::vector<std::unique_ptr<std::string>> texts;  // trees point into them
  texts.push_back(std::make_unique<std::string>(in_function("x " + text + ";")));
  return std::get<syntax::Instruction>(statements(parse_module(*texts.back())).at(0).what).operands.at(0);
}

void expect_error(const std::string& text, int line, const std::string& message) {
  try {
    parse_module(text);
    ADD_FAILURE() << "parsed: " << text;
  } catch (const PtxError& error) {
    EXPECT_EQ(error.line, line) << text << error.message;
    EXPECT_NE(error.message.find(message), std::string::npos) << error.message;
  }
}

using Kind = syntax::Operand::Kind;

TEST(parse_syntax, integers_in_every_base) {
  const std::pair<const char*, int64_t> cases[] = {
      {"0", 0},
      {"42", 42},
      {"0x1F", 31},
      {"0X1f", 31},
      {"017", 15},
      {"0b101", 5},
      {"42U", 42},
      {"0xFFFFFFFFFFFFFFFF", -1},
      {"18446744073709551615", -1},
      {"-9223372036854775808", INT64_MIN},
      {"-1", -1},
      {"WARP_SZ", 32},
      {"(1+2)*4", 12},
      {"1+2*3", 7},
      {"(7-10)/2", -1},
      {"1<<4|3", 19},
      {"~0", -1},
      {"!5", 0},
      {"1 ? 2 : 3", 2},
      {"-16>>2", -4},
      {"0xFFFFFFFFFFFFFFF0>>60", 15},
      {"-1 < 1", 1},
      {"-1 < 1U", 0},
      {"10 % 4 == 2 && 3 != 4", 1},
      {"(.u64)-1 > 0", 1},
      {"(.s64)0x8000000000000000 / -1", INT64_MIN},
  };
  for (const auto& [text, value] : cases) {
    const syntax::Operand operand = operand_of(text);
    EXPECT_EQ(operand.kind, Kind::integer) << text;
    EXPECT_EQ(operand.value, value) << text;
  }
}

TEST(parse_syntax, reals_keep_their_bits) {
  EXPECT_EQ(operand_of("0f3F800000").value, 0x3F800000);
  EXPECT_TRUE(operand_of("0f3F800000").single);
  EXPECT_EQ(operand_of("0F7fc00001").value, 0x7FC00001);
  EXPECT_EQ(operand_of("0d3FF0000000000000").value, 0x3FF0000000000000);
  EXPECT_FALSE(operand_of("0d3FF0000000000000").single);
  EXPECT_EQ(operand_of("1.5").value, 0x3FF8000000000000);
  EXPECT_EQ(operand_of("-2.0").value, static_cast<int64_t>(0xC000000000000000));
  EXPECT_EQ(operand_of("1e3").value, 0x408F400000000000);
  EXPECT_EQ(operand_of("25.e-1").value, 0x4004000000000000);
  EXPECT_EQ(operand_of("-0f3F800000").value, 0xBF800000);
}

TEST(parse_syntax, operands_of_every_kind) {
  EXPECT_EQ(operand_of("_").kind, Kind::sink);
  EXPECT_EQ(operand_of("%tid.x").component, "x");
  EXPECT_EQ(operand_of("!%p1").kind, Kind::negated);
  const syntax::Operand pair = operand_of("%p1|_");
  EXPECT_EQ(pair.kind, Kind::pair);
  EXPECT_EQ(pair.parts.at(1).kind, Kind::sink);
  const syntax::Operand vector = operand_of("{%r1, _, 3, 0f00000000}");
  EXPECT_EQ(vector.kind, Kind::vector);
  EXPECT_EQ(vector.parts.size(), 4u);
  EXPECT_EQ(operand_of("[%rd1]").value, 0);
  EXPECT_EQ(operand_of("[%rd1+16]").value, 16);
  EXPECT_EQ(operand_of("[%rd1+-16]").value, -16);
  EXPECT_EQ(operand_of("[name+4*2]").value, 8);
  EXPECT_EQ(operand_of("[64]").parts.at(0).value, 64);
  EXPECT_EQ(operand_of("name+12").value, 12);
  const syntax::Operand tensor = operand_of("[%rd1, {%r1, %r2, 0}]");
  EXPECT_EQ(tensor.kind, Kind::address);
  EXPECT_EQ(tensor.parts.at(1).parts.size(), 3u);
}

TEST(parse_syntax, opcodes_keep_colons_and_may_have_blanks) {
  const std::string text =
      in_function("@!p cp.async.bulk .shared::cluster\n.global.mbarrier::complete_tx::bytes.1d [a];");
  const auto instruction = std::get<syntax::Instruction>(statements(parse_module(text)).at(0).what);
  const std::vector<std::string_view> words = {
      "cp", "async", "bulk", "shared::cluster", "global", "mbarrier::complete_tx::bytes", "1d"};
  EXPECT_EQ(instruction.words, words);
  EXPECT_EQ(instruction.guard, "p");
  EXPECT_TRUE(instruction.guard_negated);
}

TEST(parse_syntax, scopes_labels_and_tables) {
  const std::string text = in_function("{ .reg .pred p, q; L: { L: bra L; } }\nT: .branchtargets A, B;\nA: B: ret;");
  const auto all = statements(parse_module(text));
  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(std::get<syntax::Block>(all[0].what).statements.size(), 4u);
  EXPECT_EQ(std::get<syntax::BranchTargets>(all[1].what).labels.size(), 2u);
  EXPECT_EQ(std::get<syntax::Label>(all[3].what).name, "B");
}

constexpr const char* kRich = R"(
// a comment
.version 9.0
.target sm_90a, debug
.address_size 64
/* another
   one */
.file 1 "a \"b\".cu", 17, 300
.extern .func  (.param .b32 func_retval0) vprintf (.param .b64 vprintf_param_0, .param .b64 vprintf_param_1);
.visible .func (.param .align 8 .b8 r[16]) f (.param .b32 x, .param .align 8 .b8 y[16]) .noreturn ;
.global .align 8 .u64 pointers[2] = {generic(text)+1, other};
.const .align 4 .b8 text[4] = {104, 0x69, -1};
.global .f32 other = 0f3F800000;
.weak .global .attribute(.managed) .align 16 .v4 .f32 quads[2][3] = {{{1.0, 2.0, -3.0, 0d0000000000000000}}};
.extern .shared .align 128 .b8 dynamic[];
.shared .b64 bars[8], flags[2];
.pragma "nounroll";
.visible .entry k(
	.param .u64 .ptr .global .align 16 k_param_0,
	.param .align 64 .b8 k_param_1[128]
)
.maxntid 256, 1, 1
.minnctapersm 2
.reqnctapercluster 2
.explicitcluster
{
	.local .align 16 .b8 	__local_depot0[32];
	.reg .pred 	%p<5>;
	.reg .v2 .b32 v, w;
	.pragma "used_bytes_mask 0xff";
	.loc	1 12 3, function_name $L__info_string0, inlined_at 1 20 5
	@%p1 bra 	$L__BB0_2;
	{ // callseq 0, 0
	.param .b32 param0;
	st.param.b32 	[param0], 5;
	.param .b32 retval0;
	call.uni (retval0), vprintf, (param0);
	prototype_0 : .callprototype (.param .b32 _) _ (.param .b64 _);
	}
$L__BB0_2:
	mov.b64 {%r1, _}, 0x1234;
	setp.lt.and.f32 %p1|%p2, %f1, 0f7F800000, !%p3;
	ld.global.v2.f32 {%f1, %f2}, [%rd1+-8];
	wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%f1, %f2, %f3, %f4}, %rd1, %rd2, 1, 1, 1, 0, 0;
	mov.u32 %r2, dynamic+64;
	ret;
}
.section .debug_str { $L__info_string0: .b8 95,0 }
.alias g, f;
)";

TEST(parse_syntax, printing_and_parsing_gives_the_same_tree) {
  const std::string text = kRich;
  const syntax::Module tree = parse_module(text);
  const std::string printed = print(tree);
  const syntax::Module again = parse_module(printed);
  EXPECT_TRUE(tree == again) << printed;
  EXPECT_EQ(print(again), printed);
  EXPECT_EQ(tree.items.size(), 13u);
  std::string other = text;
  other.replace(other.find("-8]"), 2, "-9");
  EXPECT_FALSE(tree == parse_module(other));
}

TEST(parse_syntax, any_prefix_of_a_module_is_an_error_or_a_module) {
  const std::string text = kRich;
  for (size_t length = 0; length < text.size(); ++length) {
    const std::string prefix = text.substr(0, length);
    try {
      parse_module(prefix);
    } catch (const PtxError& error) {
      EXPECT_GE(error.line, 1);
      EXPECT_FALSE(error.message.empty());
    }
  }
}

TEST(parse_syntax, errors_name_their_line) {
  expect_error("", 1, "no .version");
  expect_error(module_text("\n/* no end"), 5, "comment");
  expect_error(module_text(".pragma \"x\n\";"), 4, "string");
  expect_error(module_text("#define"), 4, "unknown character");
  expect_error(module_text(".frobnicate x;"), 4, "unknown directive .frobnicate");
  expect_error(".version 8.0\n.target sm_90a\n.address_size 32\n", 3, "64 bits");
  expect_error(in_function("add.u32 %r1, %r2"), 7, "`,`");
  expect_error(in_function("\nadd.u32 %r1, , 3;"), 7, "operand");
  expect_error(in_function("mov.b32 %r1, 0f3F80;"), 6, "wrong length");
  expect_error(in_function("mov.b32 %r1, 99999999999999999999;"), 6, "64 bits");
  expect_error(in_function("mov.b32 %r1, 08;"), 6, "malformed");
  expect_error(in_function("mov.b32 %r1, 0x;"), 6, "malformed");
  expect_error(in_function("mov.b32 %r1, 12ab;"), 6, "malformed");
  expect_error(in_function("mov.b32 %r1, 1/0;"), 6, "zero");
  expect_error(in_function("mov.b32 %r1, 1e999;"), 6, "out of range");
  expect_error(in_function("ld.u32 %r1, [%r2-4];"), 6, "`]`");
  expect_error(in_function(".reg .b32 %r<-1>;"), 6, "number of registers");
  expect_error(in_function(".reg .b32 %r<99999999999>;"), 6, "too large");
  expect_error(in_function(".shared .align 3 .b8 x;"), 6, "power of two");
  expect_error(in_function(".shared .b8 x[0];"), 6, "dimension");
  expect_error(in_function(".surface x;"), 6, "unknown directive");
  expect_error(module_text(".entry k() .frob { }"), 4, "unknown directive .frob");
  expect_error(module_text(".global .b8 x = {"), 4, "");
  expect_error(module_text(".func f() {\n{\n"), 6, "statement");
}

TEST(parse_syntax, nesting_is_limited) {
  const size_t many = 100000;
  expect_error(in_function(std::string(many, '{')), 6, "nested too deeply");
  expect_error(in_function("mov.b32 %r1, " + std::string(many, '(') + "1;"), 6, "nested too deeply");
  expect_error(in_function("mov.b32 %r1, " + std::string(many, '-') + "1;"), 6, "nested too deeply");
  expect_error(module_text(".global .b8 x = " + std::string(many, '{')), 4, "nested too deeply");
  std::string vector = "x {";
  for (size_t i = 0; i < 1000; ++i) vector += "1,";
  expect_error(in_function(vector), 6, "too long");
}

TEST(parse_syntax, twenty_thousand_lines_take_no_time) {
  std::string body;
  for (int i = 0; i < 20000; ++i)
    body += "\tfma.rn.f32 \t%f" + std::to_string(i % 4000) + ", %f1, 0f3F800000, %f" + std::to_string(i % 3999) + ";\n";
  const std::string text = in_function(body);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(statements(parse_module(text)).size(), 20000u);
  EXPECT_LT(std::chrono::steady_clock::now() - start,
            std::chrono::seconds(2));  // 20 ms, 40 times that when instrumented
}

}  // namespace
}  // namespace ptxsim::test
