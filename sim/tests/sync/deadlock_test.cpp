// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/sync/sync.hpp"

namespace ptxsim::test {
namespace {

/// Warp 1 waits for a phase that warp 0 never completes: two of three arrivals and 16 of 48 bytes have come.
const std::string kStuck = R"(
  .shared .align 8 .b8 bar[8];
  .reg .b32 %b; .reg .pred %p;
  mov.u32 %b, bar;
  setp.ne.u32 %p, %tid1, 0;
  @%p bra READY;
  mbarrier.init.shared::cta.b64 [%b], 3;
  mbarrier.arrive.shared.b64 _, [%b], 3;
  mbarrier.arrive.expect_tx.shared.b64 _, [%b], 48;
  mbarrier.arrive.shared.b64 _, [%b];
  mbarrier.complete_tx.shared.b64 [%b], 16;
READY:
  bar.sync 0;
  setp.lt.u32 %p, %tid1, 32;
  @%p bra LEAVE;
)" + wait("%b", "1") + R"(
LEAVE:
  bar.sync 1;
  ret;
)";

TEST(deadlock, the_report_says_what_each_waits_for) {
  for_each_schedule(2, [&](const Schedule& schedule) {
    const Ran ran = run(kernel_of(kStuck), schedule, block_of(64), 1);
    EXPECT_TRUE(ran.report.has(HazardId::deadlock));
    EXPECT_FALSE(ran.report.finished);
    const std::string text = ran.report.text();
    for (const char* part :
         {"warp 0 waits at barrier 1, line ", "warp 1 waits for phase 1 of mbarrier 0x400, line ",
          "mbarrier.try_wait.parity.shared::cta.b64 %done", "mbarrier 0x400 of CTA 0, initialised at line ",
          "phase 1 (parity 1), 1 of 3 arrivals pending, 48 bytes expected, 16 landed"})
      EXPECT_NE(text.find(part), std::string::npos) << "missing: " << part << "\n" << text;
    EXPECT_TRUE(ran.report.has(HazardId::H18)) << text;
    return true;
  });
}

TEST(deadlock, no_byte_is_missing_where_none_is_expected) {
  const std::string stuck = with(with(kStuck, "mbarrier.arrive.expect_tx.shared.b64 _, [%b], 48;", ""),
                                 "mbarrier.complete_tx.shared.b64 [%b], 16;", "");
  const Ran ran = run(kernel_of(stuck), {}, block_of(64), 1);
  EXPECT_TRUE(ran.report.has(HazardId::deadlock));
  EXPECT_FALSE(ran.report.has(HazardId::H18));
  EXPECT_NE(ran.report.text().find("2 of 3 arrivals pending"), std::string::npos) << ran.report.text();
}

TEST(deadlock, a_program_that_gives_up_waiting_goes_on) {
  // Polls a phase that never completes, thrice, then leaves: a try_wait ends by itself.
  const Module module = kernel_of(R"(
  .shared .align 8 .b8 bar[8];
  .reg .b32 %b, %v, %i; .reg .pred %p, %q;
  mov.u32 %b, bar;
  mov.u32 %i, 0;
  mov.u32 %v, 0;
  mbarrier.init.shared::cta.b64 [%b], 1;
AGAIN:
  add.u32 %v, %v, 1;
  mbarrier.try_wait.parity.shared.b64 %p, [%b], 0;
  setp.lt.u32 %q, %v, 3;
  @%q bra AGAIN;
  selp.u32 %v, 100, %v, %p;
)" + kStoreResult);
  expect_clean(module, block_of(1), {3});
}

}  // namespace
}  // namespace ptxsim::test
