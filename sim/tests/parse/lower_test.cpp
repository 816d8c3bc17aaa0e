// SPDX-License-Identifier: Apache-2.0
// Instructions after lowering: places of registers, constants, addresses, branches, and what is refused.
#include "parse/text.hpp"

namespace ptxsim::test {
namespace {

TEST(parse_lower, registers_have_dense_places_in_order_of_first_use) {
  const First k("add.u32 %r7, %r30, %r7; add.u64 %d5, %d1, %d1;");
  EXPECT_EQ(k.operand(0).slot, 0u);
  EXPECT_EQ(k.operand(1).slot, 1u);
  EXPECT_EQ(k.operand(2).slot, 0u);
  EXPECT_EQ(k.operand(0, 1).slot, 2u);
  EXPECT_EQ(k.operand(1, 1).slot, 4u);
  EXPECT_EQ(k.operand(0, 1).units, 2);
  EXPECT_TRUE(k.operand(0).is_register);
  EXPECT_EQ(k.function().units, 6u);
}

TEST(parse_lower, wide_registers_are_aligned) {
  const First k("mov.u32 %r1, %r2; mov.u32 %r3, %r1; mov.b64 %d1, %d2;");
  EXPECT_EQ(k.operand(0, 2).slot % 2, 0u);
  EXPECT_EQ(k.operand(1, 2).slot % 2, 0u);
}

TEST(parse_lower, constants_are_shared_and_have_the_bits_of_their_type) {
  const First k(
      "add.u32 %r1, %r1, -1; add.u32 %r1, %r1, 4294967295; add.u64 %d1, %d1, -1; add.u16 %h1, %h1, -2;"
      "add.f32 %f1, %f1, 0f3F800000; add.f32 %f1, %f1, 1.5; add.f64 %e1, %e1, 0f40000000; mov.b32 %r1, 0f3F800000;"
      "mov.pred %p1, -1; mov.u32 %r1, WARP_SZ;");
  EXPECT_EQ(k.constant(2), 0xFFFFFFFF);
  EXPECT_EQ(k.operand(2, 1).slot, k.operand(2, 0).slot);
  EXPECT_EQ(k.constant(2, 2), UINT64_MAX);
  EXPECT_EQ(k.operand(2, 2).units, 2);
  EXPECT_EQ(k.constant(2, 3), 0xFFFEu);
  EXPECT_EQ(k.constant(2, 4), 0x3F800000u);
  EXPECT_EQ(k.constant(2, 5), 0x3FC00000u);
  EXPECT_EQ(k.constant(2, 6), 0x4000000000000000u);
  EXPECT_EQ(k.constant(1, 7), 0x3F800000u);
  EXPECT_EQ(k.operand(1, 7).slot, k.operand(2, 4).slot);
  EXPECT_EQ(k.constant(1, 8), 1u);
  EXPECT_EQ(k.constant(1, 9), 32u);
  EXPECT_FALSE(k.operand(2).is_register);
}

TEST(parse_lower, special_registers_are_shared_and_clocks_are_marked) {
  const First k(
      "mov.u32 %r1, %tid.x; mov.u32 %r2, %tid.x; mov.u32 %r3, %tid.y; mov.u64 %d1, %clock64; mov.u32 %r4, %gridid;");
  EXPECT_EQ(k.operand(1, 0).slot, k.operand(1, 1).slot);
  EXPECT_NE(k.operand(1, 0).slot, k.operand(1, 2).slot);
  ASSERT_EQ(k.function().specials.size(), 4u);
  EXPECT_EQ(k.function().specials[0].name, "%tid.x");
  EXPECT_EQ(k.function().specials[2].units, 2);
  EXPECT_TRUE(k.inst(3).reads_clock);
  EXPECT_FALSE(k.inst(0).reads_clock);
}

TEST(parse_lower, every_special_register_is_known) {
  for (const char* name : {"%tid.z",
                           "%ntid.x",
                           "%laneid",
                           "%warpid",
                           "%nwarpid",
                           "%ctaid.x",
                           "%nctaid.y",
                           "%smid",
                           "%nsmid",
                           "%lanemask_eq",
                           "%lanemask_le",
                           "%lanemask_lt",
                           "%lanemask_ge",
                           "%lanemask_gt",
                           "%clock",
                           "%clock_hi",
                           "%globaltimer_lo",
                           "%globaltimer_hi",
                           "%cluster_ctarank",
                           "%cluster_nctarank",
                           "%cluster_ctaid.x",
                           "%cluster_nctaid.y",
                           "%clusterid.z",
                           "%nclusterid.x",
                           "%dynamic_smem_size",
                           "%total_smem_size",
                           "%aggr_smem_size",
                           "%envreg0",
                           "%envreg31",
                           "%pm0",
                           "%pm7",
                           "%reserved_smem_offset_begin",
                           "%reserved_smem_offset_end"})
    EXPECT_EQ(error_of(kernel_text("mov.u32 %r1, " + std::string(name) + ";")), "none");
  EXPECT_EQ(error_of(kernel_text("mov.u64 %d1, %globaltimer;")), "none");
  EXPECT_EQ(error_of(kernel_text("mov.u64 %d1, %pm3_64;")), "none");
  EXPECT_EQ(error_of(kernel_text("mov.pred %p1, %is_explicit_cluster;")), "none");
  for (const char* name : {"%tid", "%tid.q", "%laneid.x", "%envreg32", "%envreg", "%pm8", "%frob", "%clock64"})
    EXPECT_NE(error_of(kernel_text("mov.u32 %r1, " + std::string(name) + ";")), "none") << name;
}

TEST(parse_lower, touched_lists_hold_registers_only) {
  const First k("@!%p1 add.u32 %r1, %r2, 5;");
  const Inst& inst = k.inst();
  ASSERT_EQ(inst.read_count, 2);
  ASSERT_EQ(inst.write_count, 1);
  EXPECT_EQ(k.program().reads_of(inst)[0].slot, static_cast<uint32_t>(inst.guard));
  EXPECT_EQ(k.program().reads_of(inst)[1].slot, k.operand(1).slot);
  EXPECT_EQ(k.program().writes_of(inst)[0].slot, k.operand(0).slot);
  EXPECT_TRUE(inst.guard_negated);
}

TEST(parse_lower, a_sink_has_a_place_and_is_not_touched) {
  const First k("mov.b64 {_, %r1}, %d1;");
  EXPECT_TRUE(k.operand(0).sink());
  EXPECT_LT(k.operand(0).slot, k.function().units);
  EXPECT_NE(k.operand(0).slot, k.operand(1).slot);
  EXPECT_EQ(k.inst().write_count, 1);
}

TEST(parse_lower, the_carry_is_one_register) {
  const First k("add.cc.u32 %r1, %r2, %r3; addc.u32 %r4, %r5, %r6;");
  const auto writes = k.program().writes_of(k.inst(0));
  const auto reads = k.program().reads_of(k.inst(1));
  const auto has = [](std::span<const Operand> list, uint32_t slot) {
    return std::any_of(list.begin(), list.end(), [&](const Operand& each) { return each.slot == slot; });
  };
  uint32_t carry = UINT32_MAX;
  for (const Operand& each : writes)
    if (each.slot != k.operand(0).slot) carry = each.slot;
  EXPECT_TRUE(has(reads, carry));
  EXPECT_FALSE(has(k.program().reads_of(k.inst(0)), carry));
}

TEST(parse_lower, inner_names_hide_outer_ones) {
  const First k(
      "{ .reg .b32 %r1; mov.u32 %r1, 1; { mov.u32 %r1, 2; } } mov.u32 %r1, 3; { .reg .b32 %r1; mov.u32 %r1, 4; }");
  EXPECT_EQ(k.operand(0, 0).slot, k.operand(0, 1).slot);
  EXPECT_NE(k.operand(0, 1).slot, k.operand(0, 2).slot);
  EXPECT_NE(k.operand(0, 2).slot, k.operand(0, 3).slot);
  EXPECT_NE(k.operand(0, 0).slot, k.operand(0, 3).slot);
}

TEST(parse_lower, ranges_of_registers_end) {
  EXPECT_EQ(error_of(kernel_text("mov.u32 %r39, 0;")), "none");
  EXPECT_NE(error_of(kernel_text("mov.u32 %r40, 0;")), "none");
  EXPECT_NE(error_of(kernel_text("mov.u32 %r01, 0;")), "none");
  EXPECT_EQ(error_of(kernel_text(".reg .b32 %x1<5>; mov.u32 %x14, 0;")), "none");
  EXPECT_NE(error_of(kernel_text(".reg .b32 %x1<5>; mov.u32 %x15, 0;")), "none");
  EXPECT_EQ(error_of(kernel_text(".reg .b32 %y<4294967295>; mov.u32 %y4294967294, 0;")), "none");
}

TEST(parse_lower, components_of_vector_registers) {
  const First k(".reg .v2 .b32 v; mov.u32 v.y, 1; mov.u32 v.x, v.y; ld.global.v2.b32 v, [%d1];");
  EXPECT_NE(k.operand(0, 1).slot, k.operand(0, 0).slot);
  EXPECT_EQ(k.operand(1, 1).slot, k.operand(0, 0).slot);
  EXPECT_EQ(k.operand(0, 2).slot, k.operand(0, 1).slot);
  EXPECT_EQ(k.operand(1, 2).slot, k.operand(0, 0).slot);
  EXPECT_NE(error_of(kernel_text(".reg .v2 .b32 v; mov.u32 v.z, 1;")), "none");
  EXPECT_NE(error_of(kernel_text("mov.u32 %r1.x, 1;")), "none");
}

TEST(parse_lower, labels_belong_to_their_scope) {
  const First k("L: { L: bra L; } bra M; bra L; M: add.u32 %r1, %r1, 1;");
  EXPECT_EQ(k.inst(0).target, 0);
  EXPECT_EQ(k.inst(1).target, 3);
  EXPECT_EQ(k.inst(2).target, 0);
  EXPECT_NE(error_of(kernel_text("{ X: ret; } bra X;")).find("unknown label X"), std::string::npos);
  EXPECT_NE(error_of(kernel_text("X: X: ret;")).find("t:5: X is declared twice"), std::string::npos);
}

TEST(parse_lower, tables_of_branch_targets) {
  const First k("T: .branchtargets A, B, A; brx.idx %r1, T; A: ret; B: ret;");
  EXPECT_EQ(*static_cast<const std::vector<int32_t>*>(k.inst().detail), (std::vector<int32_t>{1, 2, 1}));
  EXPECT_NE(error_of(kernel_text("T: .branchtargets A; brx.idx %r1, T;")), "none");
  EXPECT_NE(error_of(kernel_text("brx.idx %r1, T;")), "none");
}

TEST(parse_lower, a_function_never_runs_off_its_end) {
  const Module module =
      parsed(module_text(".func f() { .reg .pred p; L: @p bra L; M: }\n.func g() { ret; M: }\n.func h() { }"));
  ASSERT_EQ(module.program().functions.size(), 3u);
  for (const Function& function : module.program().functions)
    EXPECT_STREQ(module.program().code[static_cast<size_t>(function.end_pc) - 1].row->name, "ret");
  EXPECT_EQ(module.program().functions[0].end_pc, 2);
  EXPECT_EQ(module.program().functions[1].end_pc, 4);
}

TEST(parse_lower, addresses) {
  const First k(
      "ld.global.u32 %r1, [%d1+-8]; ld.shared.u32 %r1, [%r2+4]; ld.global.u32 %r1, [4096]; ld.param.u64 %d1, [b+8];");
  EXPECT_EQ(k.operand(1, 0).units, 2);
  EXPECT_TRUE(k.operand(1, 0).is_register);
  EXPECT_EQ(k.operand(1, 1).units, 1);
  EXPECT_EQ(k.constant(1, 2), 4096u);
  EXPECT_EQ(k.constant(1, 3), 8u);  // of `b`; the 8 of the text is the handler's
  EXPECT_NE(error_of(kernel_text("ld.global.u32 %r1, [%h1];")), "none");
  EXPECT_NE(error_of(kernel_text("ld.global.u32 %r1, [nobody];")), "none");
  EXPECT_NE(error_of(kernel_text("ld.global.u32 %r1, [%d1, {%r1}];")), "none");
}

TEST(parse_lower, widths_must_agree) {
  EXPECT_NE(error_of(kernel_text("add.u32 %d1, %r1, %r2;")), "none");
  EXPECT_NE(error_of(kernel_text("add.u64 %d1, %r1, %d2;")), "none");
  EXPECT_NE(error_of(kernel_text("mov.pred %p1, %r1;")), "none");
  EXPECT_NE(error_of(kernel_text("mov.u32 %p1, 1;")), "none");
  EXPECT_NE(error_of(kernel_text("@%r1 mov.u32 %r1, 1;")), "none");
  EXPECT_NE(error_of(kernel_text("add.u32 %r1, %p1, 1;")), "none");
  EXPECT_EQ(error_of(kernel_text("ld.global.u8 %r1, [%d1];")), "none");
  EXPECT_NE(error_of(kernel_text("ld.global.u64 %r1, [%d1];")), "none");
  EXPECT_NE(error_of(kernel_text("add.f32 %f1, %f1, 1;")), "none");
  EXPECT_NE(error_of(kernel_text("add.u32 %r1, %r1, 0f3F800000;")), "none");
  EXPECT_NE(error_of(kernel_text("mov.b64 %d1, 0f3F800000;")), "none");
}

TEST(parse_lower, errors_say_where_and_what) {
  EXPECT_EQ(error_of(kernel_text("\nfrob.u32 %r1;")), "t:6: frob.u32: unknown opcode");
  EXPECT_EQ(error_of(kernel_text("add.u32 %r1, %r2;")), "t:5: add.u32: has too few operands");
  EXPECT_EQ(error_of(kernel_text("add.u32 %r1, %r2, 1, 2;")), "t:5: add.u32: has too many operands");
  EXPECT_EQ(error_of(kernel_text("add.u32.wide %r1, %r2, 1;")), "t:5: add.u32.wide: unknown modifier .wide");
  EXPECT_EQ(error_of(kernel_text("mov.u32 x, 1;")), "t:5: mov.u32: unknown register x");
  EXPECT_EQ(Module::parse(kernel_text("frob;"), "t").status().code(), attend::StatusCode::unsupported);
  EXPECT_EQ(Module::parse(kernel_text("add.u32 %r1;"), "t").status().code(), attend::StatusCode::invalid_argument);
}

TEST(parse_lower, lines_and_sources) {
  const Module module = parsed(module_text(
      ".func f() {\n.reg .b32 %r<3>;\n.loc 2 17 4\nmov.u32 %r1, 1;\n.loc 1 3 1, function_name $x, inlined_at 2 17 4\n"
      "mov.u32 %r1, 2;\n.loc 2 17 9\nret;\n}\n.file 1 \"one.cu\"\n.file 2 \"two.cuh\", 1, 2\n"));
  const Program& program = module.program();
  EXPECT_EQ(program.code[0].line, 7);
  EXPECT_EQ(program.lines[6], "mov.u32 %r1, 1;");
  const Program::Source& first = program.sources[static_cast<size_t>(program.code[0].source)];
  EXPECT_EQ(first.file, "two.cuh");
  EXPECT_EQ(first.line, 17);
  EXPECT_EQ(program.sources[static_cast<size_t>(program.code[1].source)].file, "one.cu");
  EXPECT_EQ(program.code[2].source, program.code[0].source);
  EXPECT_EQ(program.source_text(-1), "");
  EXPECT_EQ(program.source_text(program.code[0].source), "two.cuh:17");
  EXPECT_EQ(program.source_text(program.code[1].source), "one.cu:3, inlined at two.cuh:17");
}

TEST(parse_lower, places_of_inlined_code_name_every_caller) {
  const Module module = parsed(module_text(
      ".func f() {\n.reg .b32 %r<3>;\n.loc 1 5 2, inlined_at 2 9 1\nmov.u32 %r1, 1;\n"
      ".loc 1 8 3, function_name $x, inlined_at 1 5 2\nmov.u32 %r1, 2;\n.loc 1 8 3, inlined_at 2 30 1\nret;\n}\n"
      ".file 1 \"/h/a.cuh\"\n.file 2 \"/k/b.cu\"\n"));
  const Program& program = module.program();
  EXPECT_EQ(program.source_text(program.code[1].source), "a.cuh:8, inlined at a.cuh:5, inlined at /k/b.cu:9");
  EXPECT_EQ(program.source_text(program.code[2].source), "a.cuh:8, inlined at /k/b.cu:30");
  // A text may claim that a place was inlined into itself, again and again.
  std::string loop = ".func f() {\n";
  for (int i = 0; i < 100; ++i) loop += ".loc 1 2 3, inlined_at 1 2 3\n";
  const Module looped = parsed(module_text(loop + "ret;\n}\n"));
  EXPECT_LT(looped.program().source_text(looped.program().code[0].source).size(), 300u);
}

}  // namespace
}  // namespace ptxsim::test
