// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/support/run.hpp"

namespace ptxsim::test {
namespace {

/// out[tid] = value of %v.
const char* const kStore = R"(
  mul.wide.u32 %addr, %tid1, 4;
  add.u64 %addr, %addr, %rd_out;
  st.global.u32 [%addr], %v;
)";

std::vector<uint32_t> each_thread(uint32_t threads, uint32_t (*f)(uint32_t)) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < threads; ++i) out.push_back(f(i));
  return out;
}

TEST(control, both_sides_of_a_branch_run) {
  const Module module = kernel_of(std::string(R"(
  .reg .b64 %addr; .reg .b32 %v, %bit; .reg .pred %p;
  and.b32 %bit, %tid1, 1;
  setp.eq.u32 %p, %bit, 0;
  @%p bra EVEN;
  mov.u32 %v, 100;
  bra DONE;
EVEN:
  mov.u32 %v, 200;
DONE:
  add.u32 %v, %v, %tid1;
)") + kStore + "ret;");
  expect_clean(module, block_of(70), each_thread(70, [](uint32_t i) { return i + (i % 2 == 0 ? 200u : 100u); }));
}

TEST(control, loops_run_as_often_as_each_lane_says) {
  const Module module = kernel_of(std::string(R"(
  .reg .b64 %addr; .reg .b32 %v, %i; .reg .pred %p;
  mov.u32 %v, 0;
  mov.u32 %i, 0;
LOOP:
  add.u32 %v, %v, %i;
  add.u32 %i, %i, 1;
  setp.le.u32 %p, %i, %tid1;
  @%p bra LOOP;
)") + kStore + "ret;");
  expect_clean(module, block_of(33), each_thread(33, [](uint32_t i) { return i * (i + 1) / 2; }));
}

TEST(control, guards_keep_the_other_lanes_as_they_were) {
  const Module module = kernel_of(std::string(R"(
  .reg .b64 %addr; .reg .b32 %v; .reg .pred %p;
  mov.u32 %v, 7;
  setp.gt.u32 %p, %tid1, 9;
  @!%p mov.u32 %v, 3;
)") + kStore + "ret;");
  expect_clean(module, block_of(32), each_thread(32, [](uint32_t i) { return i > 9 ? 7u : 3u; }));
}

TEST(control, lanes_that_have_ended_do_not_hold_up_the_others) {
  const Module module = kernel_of(std::string(R"(
  .reg .b64 %addr; .reg .b32 %v; .reg .pred %p;
  setp.lt.u32 %p, %tid1, 40;
  @%p exit;
  bar.sync 0;
  mov.u32 %v, 5;
)") + kStore + "ret;");
  expect_clean(module, block_of(96), each_thread(96, [](uint32_t i) { return i < 40 ? 0u : 5u; }));
}

TEST(control, tables_of_branch_targets) {
  const Module module = kernel_of(std::string(R"(
  .reg .b64 %addr; .reg .b32 %v, %which;
  and.b32 %which, %tid1, 3;
  T: .branchtargets A, B, C, A;
  brx.idx %which, T;
A: mov.u32 %v, 10; bra.uni DONE;
B: mov.u32 %v, 20; bra.uni DONE;
C: mov.u32 %v, 30;
DONE:
)") + kStore + "ret;");
  expect_clean(module, block_of(32), each_thread(32, [](uint32_t i) {
                 const uint32_t table[4] = {10, 20, 30, 10};
                 return table[i % 4];
               }));
}

const char* const kTwice = R"(
.func (.param .b32 twice_result) twice(.param .b32 twice_x)
{
  .reg .b32 %x; .reg .pred %odd; .reg .b32 %bit;
  ld.param.u32 %x, [twice_x];
  and.b32 %bit, %x, 1;
  setp.eq.u32 %odd, %bit, 1;
  @%odd bra ODD;
  add.u32 %x, %x, %x;
  st.param.b32 [twice_result], %x;
  ret;
ODD:
  st.param.b32 [twice_result], 1000;
  ret;
}
)";

TEST(control, calls_pass_parameters_and_results) {
  const Module module = kernel_of(std::string(R"(
  .reg .b64 %addr; .reg .b32 %v; .reg .pred %p;
  mov.u32 %v, 1;
  setp.gt.u32 %p, %tid1, 5;
  @!%p bra SKIP;
  {
    .param .b32 x;
    .param .b32 y;
    st.param.b32 [x], %tid1;
    call.uni (y), twice, (x);
    ld.param.b32 %v, [y];
  }
SKIP:
)") + kStore + "ret;",
                                  kTwice);
  expect_clean(module, block_of(40), each_thread(40, [](uint32_t i) {
                 return i <= 5 ? 1u : i % 2 == 1 ? 1000u : 2 * i;
               }));
}

TEST(control, local_memory_belongs_to_a_thread) {
  const Module module = kernel_of(std::string(R"(
  .local .align 8 .b8 array[64];
  .reg .b64 %addr, %base, %at; .reg .b32 %v, %i; .reg .pred %p;
  mov.u64 %base, array;
  mov.u32 %i, 0;
FILL:
  mul.wide.u32 %at, %i, 4;
  add.u64 %at, %at, %base;
  mad.lo.u32 %v, %i, 100, %tid1;
  st.local.u32 [%at], %v;
  add.u32 %i, %i, 1;
  setp.lt.u32 %p, %i, 16;
  @%p bra FILL;
  cvta.local.u64 %at, %base;
  ld.u32 %v, [%at+28];
)") + kStore + "ret;");
  expect_clean(module, block_of(64), each_thread(64, [](uint32_t i) { return 700 + i; }));
}

TEST(control, endless_recursion_overflows_the_stack) {
  for (const char* locals : {"", ".local .b8 bytes[100000];"}) {
    const Module module =
        kernel_of("call down, (); ret;", std::string(".func down()\n{\n") + locals + "\ncall down, ();\nret;\n}\n");
    const Ran ran = run(module, {}, block_of(32), 1);
    EXPECT_TRUE(ran.report.has(HazardId::fault));
    EXPECT_NE(ran.report.text().find("the stack overflows: down is called"), std::string::npos) << ran.report.text();
    EXPECT_EQ(ran.report.counts.warp_instructions, std::string(locals).empty() ? 1028 : 9);
  }
}

TEST(control, trap_ends_the_launch_with_its_line) {
  const Module module = kernel_of("trap;\n ret;");
  const Ran ran = run(module, {}, block_of(32), 1);
  ASSERT_EQ(ran.report.hazards.size(), 1u);
  EXPECT_FALSE(ran.report.finished);
  EXPECT_EQ(ran.report.hazards[0].id, HazardId::fault);
  EXPECT_GT(ran.report.hazards[0].site.line, 0);
}

TEST(control, endless_loops_use_up_their_budget) {
  const Module module = kernel_of("AGAIN: bra AGAIN;\n ret;");
  LaunchOptions options = block_of(32);
  options.instruction_budget = 10000;
  const Ran ran = run(module, {}, options, 1);
  EXPECT_TRUE(ran.report.has(HazardId::livelock)) << ran.report.text();
}

}  // namespace
}  // namespace ptxsim::test
