// SPDX-License-Identifier: Apache-2.0
// The table of opcodes: each row is found, decodes a plain example, and refuses modifiers that it does not know.
#include <set>

#include "parse/text.hpp"

namespace ptxsim::test {
namespace {

/// One instruction per row of isa.def; ptxas assembles each of them for sm_90a in a kernel as kernel_text() makes it.
constexpr const char* kExamples[] = {
#include "parse/examples.inc"
};

/// A kernel with the label, the table and the function that the examples name.
std::string example_text(const std::string& example) {
  return kernel_text("TABLE: .branchtargets END;\n" + example + "\nEND:") + ".func CALLEE() { ret; }\n";
}

std::string opcode_of(const std::string& example) { return example.substr(0, example.find_first_of(" ;")); }

TEST(parse_isa, every_row_has_an_example_that_decodes) {
  std::set<std::string> missing;
  for (const IsaRow& row : isa_rows()) missing.insert(row.name);
  for (const std::string example : kExamples) {
    const IsaRow* row = isa_find(opcode_of(example));
    ASSERT_NE(row, nullptr) << example;
    missing.erase(row->name);
    EXPECT_EQ(error_of(example_text(example)), "none") << example;
  }
  EXPECT_EQ(missing, std::set<std::string>());
}

TEST(parse_isa, unknown_modifiers_are_refused_wherever_they_stand) {
  for (const std::string example : kExamples) {
    const std::string opcode = opcode_of(example), rest = example.substr(opcode.size());
    const std::string name = isa_find(opcode)->name;
    for (const std::string& wrong : {opcode + ".frobnicate", name + ".frobnicate" + opcode.substr(name.size())}) {
      const Result<Module> module = Module::parse(example_text(wrong + rest), "t");
      ASSERT_FALSE(module.ok()) << wrong << rest;
      EXPECT_NE(module.status().message().find("frobnicate"), std::string::npos) << module.status().message();
    }
  }
}

TEST(parse_isa, operands_too_many_and_too_few_are_refused) {
  for (const std::string example : kExamples) {
    std::string more = example;
    more.replace(more.find(';'), 1, opcode_of(example) + ";" == example ? " %r1;" : ", %q1;");
    EXPECT_NE(error_of(example_text(more)), "none") << more;
    if (example.find(' ') == std::string::npos || example.starts_with("cp.async.wait_all")) continue;
    EXPECT_NE(error_of(example_text(opcode_of(example) + " ;")), "none") << example;
  }
}

TEST(parse_isa, the_longest_row_of_whole_words_wins) {
  EXPECT_STREQ(isa_find("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group")->name, "cp.async.bulk.tensor");
  EXPECT_STREQ(isa_find("cp.async.bulk.global.shared::cta.bulk_group")->name, "cp.async.bulk");
  EXPECT_STREQ(isa_find("fence.proxy.async")->name, "fence.proxy");
  EXPECT_STREQ(isa_find("fence.acq_rel.gpu")->name, "fence");
  EXPECT_STREQ(isa_find("bar.warp.sync")->name, "bar.warp.sync");
  EXPECT_EQ(isa_find("addition.u32"), nullptr);
  EXPECT_EQ(isa_find("bar.syncs"), nullptr);
  EXPECT_EQ(isa_find("tcgen05.mma"), nullptr);
  EXPECT_EQ(isa_find(""), nullptr);
}

TEST(parse_isa, rows_are_found_by_their_name) {
  std::set<std::string_view> names;
  for (const IsaRow& row : isa_rows()) {
    EXPECT_EQ(isa_find(row.name), &row) << row.name;
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_STRNE(row.chapter, "");
    EXPECT_STRNE(isa_class_name(row.isa_class), "");
  }
}

TEST(parse_isa, types_are_found_by_their_name) {
  for (const char* name : {"b8", "u16", "s32", "f64", "f16x2", "bf16", "tf32", "e4m3x2", "pred", "b128"}) {
    const std::optional<Type> type = type_of(name);
    ASSERT_TRUE(type.has_value()) << name;
    EXPECT_STREQ(type_name(*type), name);
  }
  EXPECT_FALSE(type_of("none").has_value());
  EXPECT_FALSE(type_of("f33").has_value());
  EXPECT_EQ(type_units(Type::b128), 4u);
  EXPECT_EQ(type_units(Type::pred), 1u);
  EXPECT_EQ(type_bytes(Type::bf16x2), 4u);
  EXPECT_EQ(type_kind(Type::s16), TypeKind::signed_int);
}

}  // namespace
}  // namespace ptxsim::test
