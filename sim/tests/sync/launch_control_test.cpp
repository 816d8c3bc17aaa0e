// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/sync/sync.hpp"

namespace ptxsim::test {
namespace {

/// Two warpgroups; the first gives registers up, the second takes them.
const std::string kTrade = R"(
  .reg .pred %p; .reg .b32 %v, %i;
  mov.u32 %i, %tid1;
  mov.u32 %v, %tid1;
  setp.ge.u32 %p, %tid1, 128;
  @%p bra TAKE;
  setmaxnreg.dec.sync.aligned.u32 40;
  bra DONE;
TAKE:
  setmaxnreg.inc.sync.aligned.u32 216;
DONE:
)" + kStoreResult;

LaunchOptions with_registers(uint32_t registers) {
  LaunchOptions options = block_of(256);
  options.registers_per_thread = registers;
  return options;
}

TEST(setmaxnreg, the_pool_has_what_others_gave_up) {
  std::vector<uint32_t> expected;
  for (uint32_t i = 0; i < 256; ++i) expected.push_back(i);
  expect_clean(kernel_of(kTrade), with_registers(128), expected);
}

TEST(setmaxnreg, a_pool_that_is_too_small_blocks_for_ever) {
  const Module module = kernel_of(with(kTrade, "u32 216;", "u32 224;"));
  expect_always(HazardId::H23, module, with_registers(128), 256, 3);
  expect_always(HazardId::deadlock, module, with_registers(128), 256, 3);
  const Ran ran = run(module, {}, with_registers(128), 256);
  EXPECT_NE(ran.report.text().find("from 128 to 224 registers per thread, and the CTA's pool has"), std::string::npos)
      << ran.report.text();
}

TEST(setmaxnreg, the_direction_is_checked) {
  expect_always(HazardId::H23, kernel_of(kTrade), with_registers(32), 256, 3);
  expect_always(HazardId::H23, kernel_of(with(kTrade, "inc.sync.aligned.u32 216", "inc.sync.aligned.u32 120")),
                with_registers(128), 256, 3);
}

TEST(setmaxnreg, all_warps_of_a_warpgroup_run_the_same) {
  expect_always(HazardId::H23, kernel_of(with(kTrade, "%tid1, 128;", "%tid1, 96;")), with_registers(128), 256, 3);
  const std::string some = with(kTrade, "setmaxnreg.dec.sync.aligned.u32 40;",
                                "setp.ge.u32 %p, %tid1, 96;\n @%p bra DONE;\n setmaxnreg.dec.sync.aligned.u32 24;");
  expect_always(HazardId::H23, kernel_of(some), with_registers(128), 256, 3);
}

TEST(setmaxnreg, the_warp_runs_it_together) {
  const std::string split = with(kTrade, "setmaxnreg.dec.sync.aligned.u32 40;",
                                 "setp.eq.u32 %p, %tid1, 3;\n @%p setmaxnreg.dec.sync.aligned.u32 40;");
  expect_always(HazardId::H20, kernel_of(split), with_registers(128), 256, 3);
}

/// Kernel `first` fills a buffer, `second` adds to it. Both have `{...}` places for griddepcontrol.
const std::string kChain = R"(
.visible .entry first(.param .u64 data)
{
  .reg .b64 %at; .reg .b32 %i, %n, %v;
  ld.param.u64 %at, [data];
  mov.u32 %i, %tid.x;
  mov.u32 %n, %ctaid.x;
  mad.lo.u32 %i, %n, 32, %i;
  {LAUNCH}
  ld.param.u64 %at, [data];
  { .reg .b64 %scaled; mul.wide.u32 %scaled, %i, 4; add.u64 %at, %at, %scaled; }
  add.u32 %v, %i, 100;
  st.global.u32 [%at], %v;
  ret;
}
.visible .entry second(.param .u64 data)
{
  .reg .b64 %at, %scaled; .reg .b32 %i, %n, %v;
  ld.param.u64 %at, [data];
  mov.u32 %i, %tid.x;
  mov.u32 %n, %ctaid.x;
  mad.lo.u32 %i, %n, 32, %i;
  mul.wide.u32 %scaled, %i, 4;
  add.u64 %at, %at, %scaled;
  {WAIT}
  ld.global.u32 %v, [%at];
  mul.lo.u32 %v, %v, 2;
  st.global.u32 [%at], %v;
  ret;
}
)";

Module chain_of(const std::string& launch, const std::string& wait) {
  return module_of(with(with(kChain, "{LAUNCH}", launch), "{WAIT}", wait));
}

struct Chained {
  RunReport report;
  std::vector<uint32_t> out;
};

Chained run_chain(const Module& module, const Schedule& schedule, bool programmatic) {
  Device device(schedule);
  const uint64_t data = device.alloc(128 * 4, "data");
  std::vector<LaunchRequest> requests(2);
  for (size_t i = 0; i < 2; ++i) {
    requests[i].module = &module;
    requests[i].entry = i == 0 ? "first" : "second";
    requests[i].options.grid = {4, 1, 1};
    requests[i].options.block = {32, 1, 1};
    requests[i].args = arguments(data);
  }
  requests[1].options.programmatic = programmatic;
  Result<RunReport> report = device.launch_chain(requests);
  EXPECT_TRUE(report.ok()) << report.status().message();
  Chained chained;
  if (report.ok()) chained.report = std::move(report).value();
  chained.out = device.download_all<uint32_t>(data, 128);
  return chained;
}

void expect_chain_clean(const Module& module, bool programmatic) {
  std::vector<uint32_t> expected;
  for (uint32_t i = 0; i < 128; ++i) expected.push_back(2 * (i + 100));
  for_each_schedule(5, [&](const Schedule& schedule) {
    const Chained ran = run_chain(module, schedule, programmatic);
    EXPECT_TRUE(ran.report.clean()) << schedule.text() << "\n" << ran.report.text();
    EXPECT_EQ(ran.out, expected) << schedule.text();
    return true;
  });
}

TEST(griddepcontrol, wait_waits_for_the_grid_in_front) {
  expect_chain_clean(chain_of("griddepcontrol.launch_dependents;", "griddepcontrol.wait;"), true);
  expect_chain_clean(chain_of("", "griddepcontrol.wait;"), true);
}

TEST(griddepcontrol, a_missing_wait_is_reported) {
  const Module module = chain_of("griddepcontrol.launch_dependents;", "");
  for_each_schedule(5, [&](const Schedule& schedule) {
    const Chained ran = run_chain(module, schedule, true);
    EXPECT_TRUE(ran.report.has(HazardId::H10) || ran.report.has(HazardId::H11)) << schedule.text() << "\n"
                                                                                << ran.report.text();
    return true;
  });
  // Launched one after the other it needs none.
  expect_chain_clean(module, false);
}

TEST(griddepcontrol, does_nothing_without_a_grid_in_front) {
  const Module module = kernel_of(
      ".reg .b32 %v, %i;\n mov.u32 %i, %tid1;\n mov.u32 %v, 3;\n griddepcontrol.wait;\n"
      "griddepcontrol.launch_dependents;\n" +
      kStoreResult);
  expect_clean(module, block_of(2), {3, 3}, 2);
}

}  // namespace
}  // namespace ptxsim::test
