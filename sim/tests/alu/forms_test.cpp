// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "sim/isa/isa.hpp"
#include "sim/ptxsim.hpp"

// The instruction set by its forms: all of them parse, and every row of the table of opcodes is among them.
namespace ptxsim::test {
namespace {

/// ptxas assembles each of their forms for sm_90a in a kernel as kernel_text() makes it.
constexpr const char* kPatterns[] = {
#include "sim/tests/alu/forms.inc"
};

/// Every choice of the alternatives in <a/b/c>.
void expand(const std::string& pattern, std::vector<std::string>& out) {
  const size_t begin = pattern.find('<');
  if (begin == std::string::npos) return out.push_back(pattern);
  const size_t end = pattern.find('>', begin);
  for (size_t at = begin + 1; at <= end;) {
    const size_t next = std::min(pattern.find('/', at), end);
    expand(pattern.substr(0, begin) + pattern.substr(at, next - at) + pattern.substr(end + 1), out);
    at = next + 1;
  }
}

std::vector<std::string> forms() {
  std::vector<std::string> out;
  for (const char* pattern : kPatterns) expand(pattern, out);
  return out;
}

std::string kernel_text(const std::string& form) {
  return R"(.version 9.0
.target sm_90a
.address_size 64
.shared .align 1024 .b8 tile[1024];
.global .align 16 .b32 word[4];
.func (.param .b32 z) ADD(.param .b32 x, .param .b32 y) { ret; }
.func CALLEE() { ret; }
.visible .entry k(.param .u64 pointer, .param .u32 number)
{
  .reg .b16 %h<16>;
  .reg .b32 %r<32>;
  .reg .b64 %d<8>;
  .reg .b128 %q<4>;
  .reg .f32 %f<16>;
  .reg .f64 %e<8>;
  .reg .pred %p<8>;
  .param .b32 in, out;
TABLE: .branchtargets END;
)" + form +
         "\nEND:\n  ret;\n}\n";
}

TEST(isa_forms, all_parse) {
  for (const std::string& form : forms()) {
    const Result<Module> module = Module::parse(kernel_text(form), "form.ptx");
    EXPECT_TRUE(module.ok()) << form << "\n  " << module.status().message();
  }
}

TEST(isa_forms, every_row_is_among_them) {
  std::set<std::string> missing;
  for (const IsaRow& row : isa_rows()) missing.insert(row.name);
  for (std::string form : forms()) {
    if (form[0] == '@') form = form.substr(form.find(' ') + 1);
    const IsaRow* row = isa_find(form.substr(0, form.find_first_of(" ;")));
    ASSERT_NE(row, nullptr) << form;
    missing.erase(row->name);
  }
  EXPECT_EQ(missing, std::set<std::string>());
}

}  // namespace
}  // namespace ptxsim::test
