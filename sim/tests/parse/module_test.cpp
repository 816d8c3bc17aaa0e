// SPDX-License-Identifier: Apache-2.0
// Variables, parameters, functions and entries of a module.
#include "parse/text.hpp"

namespace ptxsim::test {
namespace {

const Variable& variable(const Module& module, const std::string& name) {
  for (const Variable& each : module.program().variables)
    if (each.name == name) return each;
  ADD_FAILURE() << "no variable " << name;
  return module.program().variables.at(0);
}

std::vector<int> bytes(const Variable& variable) {
  std::vector<int> out;
  for (const std::byte each : variable.initial) out.push_back(std::to_integer<int>(each));
  return out;
}

TEST(parse_module, sizes_and_alignments_of_variables) {
  const Module module =
      parsed(module_text(".global .align 16 .b8 a[3][5];\n.global .f64 b;\n.const .v4 .f32 c[2];\n.global .u16 d, "
                         "e[3];\n.global .u32 f[] = {1, 2, 3};"));
  EXPECT_EQ(variable(module, "a").bytes, 15u);
  EXPECT_EQ(variable(module, "a").align, 16u);
  EXPECT_EQ(variable(module, "b").bytes, 8u);
  EXPECT_EQ(variable(module, "b").align, 8u);
  EXPECT_EQ(variable(module, "c").bytes, 32u);
  EXPECT_EQ(variable(module, "c").align, 16u);
  EXPECT_EQ(variable(module, "c").space, Space::constant);
  EXPECT_EQ(variable(module, "d").bytes, 2u);
  EXPECT_EQ(variable(module, "e").bytes, 6u);
  EXPECT_EQ(variable(module, "f").bytes, 12u);
}

TEST(parse_module, initial_values) {
  const Module module = parsed(module_text(
      ".global .u16 a[2][3] = {{1, 2}, {0x304, -1}};\n.global .f32 b = 0f3F800000;\n.global .f32 c = -1.5;\n"
      ".global .f64 d = 1.0;\n.global .u8 e[5] = {300};\n.global .v2 .u8 f[2] = {{1, 2}, {3, 4}};\n.global .b32 g = "
      "0f3F800000;\n"
      ".global .u32 h;"));
  EXPECT_EQ(bytes(variable(module, "a")), (std::vector<int>{1, 0, 2, 0, 0, 0, 4, 3, 255, 255}));
  EXPECT_EQ(bytes(variable(module, "b")), (std::vector<int>{0, 0, 128, 63}));
  EXPECT_EQ(bytes(variable(module, "c")), (std::vector<int>{0, 0, 192, 191}));
  EXPECT_EQ(bytes(variable(module, "d")), (std::vector<int>{0, 0, 0, 0, 0, 0, 240, 63}));
  EXPECT_EQ(bytes(variable(module, "e")), (std::vector<int>{44}));
  EXPECT_EQ(bytes(variable(module, "f")), (std::vector<int>{1, 2, 3, 4}));
  EXPECT_EQ(bytes(variable(module, "g")), (std::vector<int>{0, 0, 128, 63}));
  EXPECT_TRUE(variable(module, "h").initial.empty());
}

TEST(parse_module, initial_values_that_are_addresses) {
  const Module module =
      parsed(module_text(".extern .global .u32 later;\n.global .u64 p[3] = {generic(later)+8, 5, q};\n.const .u32 "
                         "q;\n.visible .global .u32 later;"));
  const Variable& p = variable(module, "p");
  ASSERT_EQ(p.relocations.size(), 2u);
  EXPECT_EQ(p.relocations[0].at, 0u);
  EXPECT_EQ(p.relocations[0].symbol, "later");
  EXPECT_EQ(p.relocations[0].addend, 8);
  EXPECT_EQ(p.relocations[1].at, 16u);
  EXPECT_EQ(p.relocations[1].symbol, "q");
}

TEST(parse_module, wrong_variables) {
  for (const char* text :
       {".global .u32 a; .global .u32 a;", ".global .u32 a = {1};", ".global .u32 a[2] = 1;",
        ".global .u32 a[2] = {1, 2, 3};", ".global .u32 a[2][2] = {1, 2};", ".global .f32 a = 1;",
        ".global .u32 a = 1.0;", ".global .u64 a = nobody;", ".global .u32 b; .global .u32 a = b;", ".global .frob a;",
        ".global .pred a;", ".local .u32 a;", ".shared .u32 a = 1;", ".global .b8 a[4294967295][4294967295];",
        ".shared .b8 a[300000];", ".func a() {ret;} .global .u32 a;", ".global .b8 a[2][1000000000] = {{1}, {1}};",
        ".global .u32 a = -;", ".func f() {ret;} .global .u64 a = f;"})
    EXPECT_NE(error_of(module_text(text)), "none") << text;
}

TEST(parse_module, entries_say_what_a_launch_needs) {
  const Module module =
      parsed(module_text(".visible .entry first(.param .u8 a, .param .u64 .ptr .global .align 16 b, .param .align 64 "
                         ".b8 c[128], .param .u32 d)\n"
                         ".maxntid 256, 2\n.minnctapersm 1\n.maxnreg 168\n{ .reg .b32 %r<10>; .reg .pred p; ret; }\n"
                         ".entry second .reqntid 128 .reqnctapercluster 2, 1, 1 .explicitcluster { ret; }"));
  const EntryInfo first = *module.entry("first");
  ASSERT_EQ(first.params.size(), 4u);
  EXPECT_EQ(first.params[0].offset, 0u);
  EXPECT_EQ(first.params[1].offset, 8u);
  EXPECT_EQ(first.params[2].offset, 64u);
  EXPECT_EQ(first.params[2].bytes, 128u);
  EXPECT_EQ(first.params[3].offset, 192u);
  EXPECT_EQ(first.param_bytes, 196u);
  EXPECT_EQ(first.max_block, (Dim3{256, 2, 1}));
  EXPECT_EQ(first.required_block, (Dim3{0, 0, 0}));
  EXPECT_EQ(first.max_registers, 168u);
  EXPECT_EQ(first.registers, 11u);
  const EntryInfo second = *module.entry("second");
  EXPECT_EQ(second.required_block, (Dim3{128, 1, 1}));
  EXPECT_EQ(second.required_cluster, (Dim3{2, 1, 1}));
  EXPECT_FALSE(second.uses_dynamic_shared);
}

TEST(parse_module, an_entry_is_found_by_a_part_of_its_name) {
  const Module module = parsed(
      module_text(".entry _Z3fooIfE() {ret;} .entry _Z3fooIiE() {ret;} .entry bar() {ret;} .entry barn() {ret;}"));
  EXPECT_EQ(module.entry("fooIf")->name, "_Z3fooIfE");
  EXPECT_EQ(module.entry("bar")->name, "bar");
  EXPECT_EQ(module.entries().size(), 4u);
  const attend::Status status = module.entry("foo").status();
  EXPECT_EQ(status.code(), attend::StatusCode::invalid_argument);
  EXPECT_NE(status.message().find("_Z3fooIfE, _Z3fooIiE, bar, barn"), std::string::npos);
  EXPECT_FALSE(module.entry("none").ok());
}

TEST(parse_module, parameters_of_an_entry_have_a_limit) {
  EXPECT_EQ(error_of(module_text(".entry k(.param .b8 a[32764]) {ret;}")), "none");
  EXPECT_NE(error_of(module_text(".entry k(.param .b8 a[32764], .param .u8 b) {ret;}")), "none");
  EXPECT_NE(error_of(module_text(".entry k(.param .u32 a, .param .u32 a) {ret;}")), "none");
}

/// Values of the constants that the movs of the function's shared variables read.
std::vector<uint64_t> moved(const Module& module, const std::string& function) {
  const Program& program = module.program();
  const Function& f = *program.function(function);
  std::vector<uint64_t> out;
  for (int32_t pc = f.first_pc; pc + 1 < f.end_pc; ++pc) {
    const Operand from = program.operands_of(program.code[static_cast<size_t>(pc)])[1];
    for (const Function::Constant& each : f.constants)
      if (each.slot == from.slot) out.push_back(each.value);
  }
  return out;
}

TEST(parse_module, shared_memory_has_statics_first) {
  const Module module = parsed(
      module_text(".extern .shared .align 128 .b8 dyn[];\n.shared .align 8 .b8 both[24];\n.shared .b8 nobody[1000];\n"
                  ".entry one() { .reg .b32 r; .shared .align 64 .b8 x[10]; mov.u32 r, both; mov.u32 r, x+2; mov.u32 "
                  "r, dyn; ret; }\n"
                  ".entry two() { .reg .b64 r; mov.u64 r, dyn; ret; }\n"
                  ".entry three() { .reg .b32 r; .shared .u16 x; mov.u32 r, x; ret; }\n"));
  EXPECT_EQ(moved(module, "one"), (std::vector<uint64_t>{1024, 1088 + 2, 1152}));
  EXPECT_EQ(module.program().function("one")->static_shared_bytes, 74u);
  EXPECT_EQ(module.program().function("one")->dynamic_shared_offset, 1152u);
  EXPECT_TRUE(module.entry("one")->uses_dynamic_shared);
  EXPECT_EQ(moved(module, "two"), (std::vector<uint64_t>{1024}));
  EXPECT_EQ(module.entry("two")->static_shared_bytes, 0u);
  EXPECT_EQ(moved(module, "three"), (std::vector<uint64_t>{1024}));
  EXPECT_EQ(module.program().function("three")->dynamic_shared_offset, 1040u);
  EXPECT_FALSE(module.entry("three")->uses_dynamic_shared);
}

TEST(parse_module, shared_memory_of_functions_is_where_every_entry_finds_it) {
  const Module module = parsed(module_text(
      ".extern .shared .b8 dyn[];\n.shared .b8 common[100];\n"
      ".func f() { .reg .b32 r; .shared .u32 own; mov.u32 r, own; mov.u32 r, common; mov.u32 r, dyn; ret; }\n"
      ".entry small() { .reg .b32 r; mov.u32 r, common; mov.u32 r, dyn; ret; }\n"
      ".entry large() { .reg .b32 r; .shared .b8 x[500]; mov.u32 r, common; mov.u32 r, x; mov.u32 r, dyn; ret; }\n"));
  const auto f = moved(module, "f"), small = moved(module, "small"), large = moved(module, "large");
  EXPECT_EQ(f[1], small[0]);
  EXPECT_EQ(f[1], large[0]);
  EXPECT_EQ(f[2], small[1]);
  EXPECT_EQ(f[2], large[2]);
  EXPECT_GE(large[1], 1024u + 104u);
  EXPECT_GE(f[2], large[1] + 500);
  EXPECT_TRUE(module.entry("small")->uses_dynamic_shared);
}

TEST(parse_module, too_much_static_shared_memory) {
  EXPECT_NE(error_of(module_text(".entry k() { .shared .b8 x[200000]; .shared .b8 y[200000]; ret; }")), "none");
}

TEST(parse_module, addresses_of_variables) {
  const First k(
      ".local .align 16 .b8 depot[40]; .local .u64 more; .global .u32 own; mov.u64 %d1, depot+8; mov.u32 %r1, more; "
      "mov.u64 %d2, own; "
      "mov.u64 %d3, b;");
  ASSERT_EQ(k.function().locals.size(), 2u);
  EXPECT_EQ(k.function().locals[0].offset, 8u);
  EXPECT_EQ(k.function().locals[0].units, 2);
  EXPECT_FALSE(k.function().locals[0].param);
  EXPECT_EQ(k.function().locals[1].offset, 40u);
  EXPECT_EQ(k.function().local_bytes, 48u);
  EXPECT_EQ(k.function().local_align, 16u);
  ASSERT_EQ(k.function().symbols.size(), 1u);
  EXPECT_EQ(k.function().symbols[0].symbol, k.program().variables[0].name);
  EXPECT_EQ(k.constant(1, 3), 8u);
  EXPECT_NE(error_of(module_text(".global .u32 g; .func f() { .reg .b32 r; mov.u32 r, g; }")), "none");
  EXPECT_NE(error_of(module_text(".extern .global .u32 g; .func f() { .reg .b64 r; mov.u64 r, g; }")), "none");
  EXPECT_NE(error_of(module_text(".func f() { .reg .b64 r; mov.u64 r, f; }")), "none");
  EXPECT_NE(error_of(kernel_text(".local .b8 x[600000];")), "none");
}

constexpr const char* kCalls = R"(
.extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b);
.func (.param .b64 r) twice (.param .b32 x, .param .align 8 .b8 y[16]);
.entry k()
{
  .local .b8 depot[12];
  {
    .param .b32 param0;
    .param .align 8 .b8 param1[16];
    .param .b64 retval0;
    call.uni (retval0), twice, (param0, param1);
  }
  {
    .param .b64 param0;
    .param .b64 param1;
    .param .b32 retval0;
    call.uni (retval0), vprintf, (param0, param1);
  }
  ret;
}
.func (.param .b64 r) twice (.param .b32 x, .param .align 8 .b8 y[16])
{
  .local .u64 l;
  .reg .b64 %d<2>;
  mov.u64 %d1, l;
  ret;
}
)";

TEST(parse_module, calls_pass_variables_of_the_frame) {
  const Module module = parsed(module_text(kCalls));
  const Program& program = module.program();
  const auto& call = *static_cast<const CallDetail*>(program.code[0].detail);
  EXPECT_EQ(program.code[0].target, 1);
  EXPECT_EQ(call.name, "twice");
  EXPECT_EQ(call.params, (std::vector<uint32_t>{12, 16}));
  EXPECT_EQ(call.results, (std::vector<uint32_t>{32}));
  const auto& print = *static_cast<const CallDetail*>(program.code[1].detail);
  EXPECT_EQ(program.code[1].target, -1);
  EXPECT_EQ(print.name, "vprintf");
  EXPECT_EQ(print.params, (std::vector<uint32_t>{16, 24}));  // the scope before is over: its places are free
  EXPECT_EQ(program.functions[0].local_bytes, 40u);
  const Function& twice = program.functions[1];
  EXPECT_EQ(twice.results[0].offset, 0u);
  EXPECT_EQ(twice.params[0].offset, 8u);
  EXPECT_EQ(twice.params[1].offset, 16u);
  EXPECT_EQ(twice.params[1].bytes, 16u);
  EXPECT_EQ(twice.locals[0].offset, 32u);
}

TEST(parse_module, wrong_calls) {
  const std::string f =
      ".func (.param .b32 r) f(.param .b32 x) { ret; }\n.func g() { .reg .b64 %d<2>; .param .b32 a; .param .b64 b; ";
  EXPECT_EQ(error_of(module_text(f + "call (a), f, (a); }")), "none");
  EXPECT_NE(error_of(module_text(f + "call (a), f; }")), "none");
  EXPECT_NE(error_of(module_text(f + "call f, (a); }")), "none");
  EXPECT_NE(error_of(module_text(f + "call (a), f, (b); }")), "none");
  EXPECT_NE(error_of(module_text(f + "call (a), f, (5); }")), "none");
  EXPECT_NE(error_of(module_text(f + "call (a), %d1, (a), proto; }")), "none");
  EXPECT_NE(error_of(module_text(f + "call nobody; }")), "none");
  EXPECT_NE(error_of(module_text(".func f(.reg .b32 x) { ret; }")), "none");
}

TEST(parse_module, aliases_stand_for_functions) {
  const Module module = parsed(module_text(".func f() {ret;}\n.func g();\n.func h() { call g; ret; }\n.alias g, f;"));
  EXPECT_EQ(module.program().code[1].target, 0);
  EXPECT_NE(error_of(module_text(".alias g, f;")), "none");
}

TEST(parse_module, prototypes_and_definitions_meet_once) {
  EXPECT_EQ(error_of(module_text(".func f(); .func f(); .func f() {ret;} .extern .func f();")), "none");
  EXPECT_NE(error_of(module_text(".func f() {ret;} .func f() {ret;}")), "none");
  EXPECT_NE(error_of(module_text(".func f() {ret;} .entry f() {ret;}")), "none");
}

TEST(parse_module, a_file_that_is_not_there) {
  const auto module = Module::from_file("/nonexistent/kernel.ptx");
  ASSERT_FALSE(module.ok());
  EXPECT_NE(module.status().message().find("/nonexistent/kernel.ptx"), std::string::npos);
}

}  // namespace
}  // namespace ptxsim::test
