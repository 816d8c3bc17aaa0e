// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/support/run.hpp"

namespace ptxsim::test {
namespace {

/// out[CTA * threads + thread] = the special register.
Module special(const std::string& name) {
  return kernel_of(R"(
  .reg .b64 %addr; .reg .b32 %v, %i, %n;
  mov.u32 %v, )" + name +
                   R"(;
  mov.u32 %i, %nctaid.x;
  mov.u32 %n, %ctaid.y;
  mul.lo.u32 %i, %i, %n;
  mov.u32 %n, %ctaid.x;
  add.u32 %i, %i, %n;
  mov.u32 %n, %ntid.x;
  mad.lo.u32 %i, %i, %n, %tid1;
  mul.wide.u32 %addr, %i, 4;
  add.u64 %addr, %addr, %rd_out;
  st.global.u32 [%addr], %v;
  ret;
)");
}

TEST(launch, special_registers_say_where_a_thread_is) {
  LaunchOptions options;
  options.grid = {4, 2, 1};
  options.block = {48, 1, 1};
  options.cluster = {2, 1, 1};
  const auto expect = [&](const char* name, const std::function<uint32_t(uint32_t, uint32_t)>& value) {
    std::vector<uint32_t> expected;
    for (uint32_t cta = 0; cta < 8; ++cta)
      for (uint32_t thread = 0; thread < 48; ++thread) expected.push_back(value(cta, thread));
    SCOPED_TRACE(name);
    expect_clean(special(name), options, expected, 1);
  };
  expect("%tid.x", [](uint32_t, uint32_t t) { return t; });
  expect("%laneid", [](uint32_t, uint32_t t) { return t % 32; });
  expect("%warpid", [](uint32_t, uint32_t t) { return t / 32; });
  expect("%ctaid.x", [](uint32_t c, uint32_t) { return c % 4; });
  expect("%ctaid.y", [](uint32_t c, uint32_t) { return c / 4; });
  expect("%nctaid.y", [](uint32_t, uint32_t) { return 2u; });
  expect("%cluster_ctarank", [](uint32_t c, uint32_t) { return c % 2; });
  expect("%clusterid.x", [](uint32_t c, uint32_t) { return c % 4 / 2; });
  expect("%cluster_nctarank", [](uint32_t, uint32_t) { return 2u; });
  expect("%lanemask_lt", [](uint32_t, uint32_t t) { return (1u << t % 32) - 1; });
  expect("%lanemask_ge", [](uint32_t, uint32_t t) { return ~((1u << t % 32) - 1); });
}

TEST(launch, what_a_device_refuses_is_an_error_that_says_found_and_expected) {
  const Module module = special("%tid.x");
  Device device;
  const uint64_t buffer = device.alloc(4096);
  const auto refused = [&](LaunchOptions options, const Arguments& args, const std::string& names) {
    const Result<RunReport> result = device.launch(module, "k", options, args);
    ASSERT_FALSE(result.ok());
    EXPECT_NE(result.status().message().find(names), std::string::npos) << result.status().message();
  };
  const Arguments good = arguments(buffer, buffer);
  refused(block_of(0), good, "block is 0 x 1 x 1");
  refused(block_of(1025), good, "block is 1025 x 1 x 1");
  LaunchOptions options;
  options.grid.y = 70000;
  refused(options, good, "grid is 1 x 70000 x 1");
  options = {};
  options.grid = {3, 1, 1};
  options.cluster = {2, 1, 1};
  refused(options, good, "multiple of the cluster");
  options = {};
  options.dynamic_shared_bytes = 300000;
  refused(options, good, "300000");
  refused({}, arguments(buffer), "8 bytes, expected 16");
  EXPECT_FALSE(device.launch(module, "no_such_entry", {}, good).ok());
}

TEST(launch, the_same_seed_gives_the_same_run) {
  const Module module = special("%tid.x");
  for_each_schedule(3, [&](const Schedule& schedule) {
    const Ran first = run(module, schedule, block_of(96), 96), second = run(module, schedule, block_of(96), 96);
    EXPECT_EQ(first.report.counts.warp_instructions, second.report.counts.warp_instructions);
    EXPECT_EQ(first.out, second.out);
    return true;
  });
}

TEST(launch, global_variables_keep_their_values_between_launches) {
  const Module module = kernel_of(R"(
  .reg .b32 %v; .reg .pred %p;
  setp.ne.u32 %p, %tid1, 0;
  @%p ret;
  ld.global.u32 %v, [counter];
  add.u32 %v, %v, 1;
  st.global.u32 [counter], %v;
  ret;
)",
                                  ".global .align 4 .u32 counter = 40;\n");
  Device device;
  const uint64_t buffer = device.alloc(16);
  for (uint32_t launches = 1; launches <= 3; ++launches) {
    const Result<RunReport> report = device.launch(module, "k", block_of(32), arguments(buffer, buffer));
    ASSERT_TRUE(report.ok());
    EXPECT_TRUE(report->clean()) << report->text();
    const Result<uint64_t> at = device.symbol(module, "counter");
    ASSERT_TRUE(at.ok());
    EXPECT_EQ(device.download_all<uint32_t>(*at, 1)[0], 40 + launches);
  }
}

}  // namespace
}  // namespace ptxsim::test
