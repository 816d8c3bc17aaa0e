// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/support/run.hpp"

namespace ptxsim::test {
namespace {

/// Each thread writes its index to shared memory, meets the others as `meet` says, and reads its mirror image.
Module mirror(const std::string& meet) {
  return kernel_of(R"(
  .shared .align 4 .b8 buffer[1024];
  .reg .b64 %addr; .reg .b32 %v, %at, %n, %base; .reg .pred %p;
  mov.u32 %base, buffer;
  shl.b32 %at, %tid1, 2;
  add.u32 %at, %at, %base;
  st.shared.u32 [%at], %tid1;
)" + meet + R"(
  mov.u32 %n, %ntid.x;
  sub.u32 %n, %n, 1;
  sub.u32 %n, %n, %tid1;
  shl.b32 %at, %n, 2;
  add.u32 %at, %at, %base;
  ld.shared.u32 %v, [%at];
  mul.wide.u32 %addr, %tid1, 4;
  add.u64 %addr, %addr, %rd_out;
  st.global.u32 [%addr], %v;
  ret;
)");
}

std::vector<uint32_t> reversed(uint32_t threads) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < threads; ++i) out.push_back(threads - 1 - i);
  return out;
}

TEST(barrier, orders_shared_memory) {
  expect_clean(mirror("bar.sync 0;"), block_of(128), reversed(128));
  expect_clean(mirror("barrier.cta.sync.aligned 3, 128;"), block_of(128), reversed(128));
}

TEST(barrier, a_missing_one_is_a_race) { expect_always(HazardId::H08, mirror(""), block_of(128), 128); }

TEST(barrier, a_warp_that_does_not_come_is_a_deadlock_that_names_it) {
  const Module module = kernel_of(R"(
  .reg .pred %p;
  setp.ge.u32 %p, %tid1, 96;
  @%p ret;
  bar.sync 2, 128;
  ret;
)");
  const Ran ran = run(module, {}, block_of(128), 1);
  ASSERT_TRUE(ran.report.has(HazardId::deadlock)) << ran.report.text();
  const std::string text = ran.report.text();
  EXPECT_NE(text.find("barrier 2: 96 of 128 threads have arrived, warps"), std::string::npos) << text;
  EXPECT_NE(text.find("waits at barrier 2, line"), std::string::npos) << text;
  EXPECT_NE(text.find("warp 3 has ended"), std::string::npos) << text;
}

/// Warp 0 produces, warps 1 to 3 wait; the producer goes on without waiting.
TEST(barrier, arrive_does_not_wait) {
  const auto module = [](const char* arrive) {
    return kernel_of(std::string(R"(
  .shared .align 4 .b8 buffer[128];
  .reg .b64 %addr; .reg .b32 %v, %at, %lane; .reg .pred %p;
  mov.u32 %v, buffer;
  and.b32 %lane, %tid1, 31;
  shl.b32 %at, %lane, 2;
  add.u32 %at, %at, %v;
  setp.ge.u32 %p, %tid1, 32;
  @%p bra READ;
  st.shared.u32 [%at], %tid1;
  )") + arrive + R"(
  ret;
READ:
  bar.sync 1, 128;
  ld.shared.u32 %v, [%at];
  mul.wide.u32 %addr, %tid1, 4;
  add.u64 %addr, %addr, %rd_out;
  st.global.u32 [%addr], %v;
  ret;
)");
  };
  std::vector<uint32_t> expected(128, 0);
  for (uint32_t i = 32; i < 128; ++i) expected[i] = i % 32;
  expect_clean(module("bar.arrive 1, 128;"), block_of(128), expected);
  expect_always(HazardId::deadlock, module(""), block_of(128), 128);
  expect_always(HazardId::H21, module("bar.arrive 1, 96;"), block_of(128), 128);
}

TEST(barrier, misuse_is_reported) {
  const auto one = [](const std::string& text) {
    return kernel_of(".reg .b32 %n; mov.u32 %n, 17;\n" + text + "\n ret;");
  };
  expect_always(HazardId::H21, one("bar.sync %n;"), block_of(64), 1);
  expect_always(HazardId::H21, one("bar.sync 1, 40;"), block_of(64), 1);
  expect_always(HazardId::H21, one("bar.arrive 1, 96;\n bar.arrive 1, 96;"), block_of(32), 1);
  expect_always(HazardId::H20, one("add.u32 %n, %tid1, 0; shr.u32 %n, %n, 4; bar.sync %n, 32;"), block_of(32), 1);
}

TEST(barrier, lanes_apart_are_reported) {
  const Module module = kernel_of(R"(
  .reg .pred %p;
  setp.lt.u32 %p, %tid1, 16;
  @%p bra OTHER;
  bar.sync 0;
  ret;
OTHER:
  bar.sync 0;
  ret;
)");
  expect_always(HazardId::H20, module, block_of(32), 1);
}

TEST(barrier, reductions_say_what_all_threads_said) {
  const auto module = [](const std::string& instruction, const std::string& result) {
    return kernel_of(R"(
  .reg .b64 %addr; .reg .b32 %v; .reg .pred %p, %q;
  setp.lt.u32 %p, %tid1, 37;
)" + instruction + result +
                     R"(
  mul.wide.u32 %addr, %tid1, 4;
  add.u64 %addr, %addr, %rd_out;
  st.global.u32 [%addr], %v;
  ret;
)");
  };
  const std::string select = "selp.u32 %v, 1, 0, %q;";
  expect_clean(module("bar.red.popc.u32 %v, 0, %p;", ""), block_of(96), std::vector<uint32_t>(96, 37));
  expect_clean(module("bar.red.popc.u32 %v, 0, 96, !%p;", ""), block_of(96), std::vector<uint32_t>(96, 59));
  expect_clean(module("bar.red.or.pred %q, 0, %p;", select), block_of(96), std::vector<uint32_t>(96, 1));
  expect_clean(module("bar.red.and.pred %q, 0, %p;", select), block_of(96), std::vector<uint32_t>(96, 0));
}

}  // namespace
}  // namespace ptxsim::test
