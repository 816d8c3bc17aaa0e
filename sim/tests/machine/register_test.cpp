// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/support/run.hpp"

namespace ptxsim::test {
namespace {

TEST(registers, a_read_before_any_write_is_reported) {
  const Module module = kernel_of(R"(
  .reg .b32 %never, %v;
  add.u32 %v, %never, 1;
  st.global.u32 [%rd_out], %v;
  ret;
)");
  const Ran ran = run(module, {}, block_of(32), 1);
  ASSERT_TRUE(ran.report.has(HazardId::H11)) << ran.report.text();
  EXPECT_EQ(ran.report.hazards[0].site.line, 14);
}

TEST(registers, lanes_are_told_apart) {
  const auto module = [](const char* guard) {
    return kernel_of(std::string(R"(
  .reg .b32 %v; .reg .b64 %addr; .reg .pred %p;
  setp.lt.u32 %p, %tid1, 8;
  @%p mov.u32 %v, 1;
  mul.wide.u32 %addr, %tid1, 4;
  add.u64 %addr, %addr, %rd_out;
  )") + guard + " st.global.u32 [%addr], %v;\n ret;\n");
  };
  expect_always(HazardId::H11, module(""), block_of(32), 32, 2);
  std::vector<uint32_t> expected(32, 0);
  std::fill_n(expected.begin(), 8, 1u);
  expect_clean(module("@%p"), block_of(32), expected, 2);
}

TEST(registers, copies_of_undefined_values_are_silent_until_used) {
  const auto module = [](const char* use) {
    return kernel_of(std::string(".reg .b32 %a, %b, %c;\n mov.b32 %b, %a;\n mov.b32 %c, %b;\n") + use + "\n ret;\n");
  };
  expect_clean(module(""), block_of(32), {0}, 2);
  expect_always(HazardId::H11, module("st.global.u32 [%rd_out], %c;"), block_of(32), 1, 2);
}

}  // namespace
}  // namespace ptxsim::test
