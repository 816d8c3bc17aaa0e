// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/sync/sync.hpp"

namespace ptxsim::test {
namespace {

/// One thread, an mbarrier at [%b] for `count` arrivals; the body leaves its result in %v.
Module one_thread(int count, const std::string& body) {
  return kernel_of(R"(
  .shared .align 8 .b8 bar[16];
  .reg .b64 %s, %s2; .reg .b32 %b, %v, %i, %w; .reg .pred %p, %q;
  mov.u32 %b, bar;
  mov.u32 %i, 0;
  mov.u32 %v, 0;
  mbarrier.init.shared::cta.b64 [%b], )" +
                   std::to_string(count) + ";\n" + body + kStoreResult);
}

/// Bit `bit` of the result: whether the wait succeeds. test_wait, which never fails without reason.
std::string bit_if_complete(int bit, const std::string& parity_or_state, const std::string& parity = ".parity") {
  return "{ mbarrier.test_wait" + parity + ".shared.b64 %p, [%b], " + parity_or_state + ";\n selp.u32 %w, " +
         std::to_string(1 << bit) + ", 0, %p; or.b32 %v, %v, %w; }\n";
}

const std::string kArrive = "mbarrier.arrive.shared.b64 _, [%b];\n";

TEST(mbarrier, a_fresh_one_has_completed_the_phase_of_parity_one) {
  expect_clean(one_thread(1, bit_if_complete(0, "1") + bit_if_complete(1, "0")), block_of(1), {1});
}

TEST(mbarrier, parities_alternate_with_each_phase) {
  std::string body;
  for (int phase = 0; phase < 4; ++phase) body += kArrive + bit_if_complete(phase, std::to_string(phase & 1));
  expect_clean(one_thread(1, body), block_of(1), {0xf});
}

TEST(mbarrier, a_phase_needs_all_its_arrivals) {
  const std::string two = "mbarrier.arrive.release.cta.shared::cta.b64 _, [%b], 2;\n";
  expect_clean(one_thread(3, two + bit_if_complete(0, "0") + kArrive + bit_if_complete(1, "0")), block_of(1), {2});
}

TEST(mbarrier, states_name_their_phase) {
  const std::string body = "mbarrier.arrive.shared.b64 %s, [%b];\n" + bit_if_complete(0, "%s", "") +
                           "mbarrier.arrive.b64 %s2, [%rd_generic];\n" + bit_if_complete(1, "%s", "") +
                           bit_if_complete(2, "%s2", "") + "mbarrier.arrive.shared.b64 %s2, [%b];\n" + kArrive +
                           bit_if_complete(3, "%s2", "");
  const std::string generic = R"(
  .reg .b64 %rd_generic;
  cvt.u64.u32 %rd_generic, %b;
  cvta.shared.u64 %rd_generic, %rd_generic;
)";
  expect_clean(one_thread(2, generic + body), block_of(1), {0b1110});
}

TEST(mbarrier, no_complete_returns_the_pending_count_before_it) {
  const std::string body = R"(
  mbarrier.arrive.noComplete.shared.b64 %s, [%b], 2;
  mbarrier.pending_count.b64 %v, %s;
  mbarrier.arrive.noComplete.release.cta.shared.b64 %s, [%b], 1;
  mbarrier.pending_count.b64 %w, %s;
  mad.lo.u32 %v, %v, 16, %w;
)";
  expect_clean(one_thread(5, body), block_of(1), {0x53});
  expect_always(HazardId::H14, one_thread(2, body), block_of(1), 1);
  expect_always(HazardId::H14, one_thread(5, with(body, "noComplete.release.cta.", "")), block_of(1), 1);
}

TEST(mbarrier, a_dropped_arrival_is_missing_in_later_phases) {
  const std::string drop = "mbarrier.arrive_drop.shared.b64 _, [%b];\n";
  expect_clean(one_thread(2, drop + bit_if_complete(0, "0") + kArrive + bit_if_complete(1, "0") + kArrive +
                                 bit_if_complete(2, "1")),
               block_of(1), {0b110});
}

TEST(mbarrier, bytes_hold_a_phase_back) {
  const std::string body = "mbarrier.arrive.expect_tx.shared.b64 _, [%b], 48;\n" + bit_if_complete(0, "0") +
                           "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%b], 16;\n" + bit_if_complete(1, "0") +
                           "mbarrier.complete_tx.shared.b64 [%b], 32;\n" + bit_if_complete(2, "0");
  expect_clean(one_thread(1, body), block_of(1), {0b100});
  const std::string early = "mbarrier.complete_tx.shared.b64 [%b], 16;\n" + bit_if_complete(0, "0") +
                            "mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%b], 16;\n" + bit_if_complete(1, "0") +
                            kArrive + bit_if_complete(2, "0");
  expect_clean(one_thread(1, early), block_of(1), {0b100});
}

TEST(mbarrier, try_wait_takes_a_time_limit_and_every_order) {
  for (const char* form :
       {"try_wait.parity.shared::cta.b64", "try_wait.parity.acquire.cta.shared::cta.b64",
        "try_wait.parity.relaxed.cluster.shared.b64", "test_wait.parity.acquire.cluster.shared::cta.b64"})
    expect_clean(one_thread(1, kArrive + wait("%b", "0", form) + "mov.u32 %v, 7;"), block_of(1), {7}, 2);
  expect_clean(one_thread(1, kArrive + wait("%b", "0, 0x989680") + "mov.u32 %v, 7;"), block_of(1), {7}, 2);
}

TEST(mbarrier, each_lane_may_use_its_own) {
  const Module module = kernel_of(R"(
  .shared .align 8 .b8 bars[256];
  .reg .b32 %b, %v, %i, %n;
  mov.u32 %b, bars;
  mov.u32 %i, %tid1;
  mad.lo.u32 %b, %tid1, 8, %b;
  add.u32 %n, %tid1, 1;
  mbarrier.init.shared::cta.b64 [%b], %n;
  mbarrier.arrive.shared::cta.b64 _, [%b], %n;
)" + wait("%b", "0") + "mov.u32 %v, %n;" +
                                  kStoreResult);
  std::vector<uint32_t> expected;
  for (uint32_t i = 1; i <= 32; ++i) expected.push_back(i);
  expect_clean(module, block_of(32), expected);
}

TEST(mbarrier, may_live_again_after_inval) {
  const std::string again = "mbarrier.inval.shared.b64 [%b];\n st.shared.u32 [%b], 5;\n ld.shared.u32 %v, [%b];\n" +
                            std::string("mbarrier.init.shared.b64 [%b], 1;\n") + bit_if_complete(3, "0");
  expect_clean(one_thread(1, kArrive + again), block_of(1), {5});
}

TEST(mbarrier, a_use_outside_its_life_is_reported) {
  expect_always(HazardId::H12, one_thread(1, "add.u32 %b, %b, 8;\n" + kArrive), block_of(1), 1);
  expect_always(HazardId::H12, one_thread(1, "mbarrier.inval.shared.b64 [%b];\n" + kArrive), block_of(1), 1);
  expect_always(HazardId::H12, one_thread(1, "mbarrier.inval.shared.b64 [%b];\n" + bit_if_complete(0, "1")),
                block_of(1), 1);
  expect_always(HazardId::H13, one_thread(1, "mbarrier.init.shared.b64 [%b], 1;"), block_of(1), 1);
  expect_always(HazardId::H22, one_thread(1, "add.u32 %b, %b, 4;\n" + kArrive), block_of(1), 1);
}

TEST(mbarrier, other_accesses_to_its_bytes_are_reported) {
  expect_always(HazardId::H13, one_thread(1, "st.shared.u32 [%b], 5;"), block_of(1), 1);
  expect_always(HazardId::H13, one_thread(1, "ld.shared.u32 %v, [%b+4];"), block_of(1), 1);
}

TEST(mbarrier, counts_outside_its_range_are_reported) {
  expect_always(HazardId::H14, one_thread(0, ""), block_of(1), 1);
  expect_always(HazardId::H14, one_thread(1 << 20, ""), block_of(1), 1);
  expect_always(HazardId::H14, one_thread(2, "mbarrier.arrive.shared.b64 _, [%b], 3;"), block_of(1), 1);
  expect_always(HazardId::H14, one_thread(2, "mbarrier.expect_tx.shared.b64 [%b], 0x100000;"), block_of(1), 1);
  // All have arrived, bytes are missing: no further arrival belongs to this phase.
  expect_always(HazardId::H14, one_thread(1, "mbarrier.arrive.expect_tx.shared.b64 _, [%b], 16;\n" + kArrive),
                block_of(1), 1);
  expect_clean(one_thread((1 << 20) - 1, "mbarrier.arrive.shared.b64 _, [%b], 1048575;\n" + bit_if_complete(0, "0")),
               block_of(1), {1});
}

TEST(mbarrier, phases_that_a_waiter_misses_are_reported) {
  const std::string state = "mbarrier.arrive.shared.b64 %s, [%b];\n";
  expect_always(HazardId::H15, one_thread(1, state + kArrive + bit_if_complete(0, "%s", "")), block_of(1), 1);
  expect_clean(one_thread(1, kArrive + state + bit_if_complete(0, "%s", "")), block_of(1), {1});
  const std::string look = bit_if_complete(0, "0");
  expect_always(HazardId::H15, one_thread(1, look + kArrive + kArrive + look), block_of(1), 1);
  expect_clean(one_thread(1, look + kArrive + look), block_of(1), {1});
  expect_always(HazardId::H15, one_thread(1, "mov.u64 %s, 3;\n" + bit_if_complete(0, "%s", "")), block_of(1), 1);
}

TEST(mbarrier, the_end_waits_for_the_bytes) {
  const std::string expects = "mbarrier.arrive.expect_tx.shared.b64 _, [%b], 16;\n";
  const std::string lands = "mbarrier.complete_tx.shared.b64 [%b], 16;\n";
  expect_always(HazardId::H06, one_thread(1, expects), block_of(1), 1);
  expect_always(HazardId::H06, one_thread(1, expects + lands), block_of(1), 1);
  expect_clean(one_thread(1, expects + lands + wait("%b", "0")), block_of(1), {0});
}

TEST(mbarrier, forms_that_do_not_assemble_are_refused) {
  const auto refused = [](const std::string& instruction) {
    const std::string text =
        ".version 8.7\n.target sm_90a\n.address_size 64\n.visible .entry k()\n{\n.reg .b32 %b, %r; "
        ".reg .b64 %s; .reg .pred %p;\n" +
        instruction + "\nret;\n}\n";
    EXPECT_FALSE(Module::parse(text).ok()) << instruction;
  };
  refused("mbarrier.arrive.release.shared.b64 _, [%b];");
  refused("mbarrier.arrive.cluster.shared.b64 _, [%b];");
  refused("mbarrier.arrive.release.cta.expect_tx.shared.b64 %s, [%b], %r;");
  refused("mbarrier.arrive.noComplete.shared.b64 %s, [%b];");
  refused("mbarrier.arrive.noComplete.relaxed.cta.shared.b64 %s, [%b], 2;");
  refused("mbarrier.arrive.shared::cluster.b64 %s, [%b];");
  refused("mbarrier.test_wait.acquire.cta.parity.shared::cta.b64 %p, [%b], 1;");
  refused("mbarrier.try_wait.parity.shared::cluster.b64 %p, [%b], %r;");
  refused("mbarrier.try_wait.release.cta.shared.b64 %p, [%b], %s;");
  refused("mbarrier.init.shared::cluster.b64 [%b], 1;");
  refused("barrier.cluster.wait.relaxed;");
  refused("setmaxnreg.dec.sync.aligned.u32 41;");
  refused("setmaxnreg.inc.sync.aligned.u32 264;");
  refused("setmaxnreg.dec.sync.aligned.u32 16;");
  refused("setmaxnreg.inc.sync.aligned.u32 %r;");
  refused("fence.proxy.async.shared;");
  refused("membar.proxy.async;");
  refused("st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.b64 [%b], {%s,%s,%s,%s}, [%b];");
  refused("red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.and.u32 [%b], %r, [%b];");
  refused("red.async.shared::cluster.mbarrier::complete_tx::bytes.and.b32 [%b], %r, [%b];");
}

}  // namespace
}  // namespace ptxsim::test
