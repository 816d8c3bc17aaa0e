// SPDX-License-Identifier: Apache-2.0
// mbarriers that another CTA of the cluster signals.
#include "sim/tests/sync/sync.hpp"

namespace ptxsim::test {
namespace {

constexpr char kFence[] = "fence.mbarrier_init.release.cluster;";
constexpr char kPublish[] = "barrier.cluster.arrive.relaxed.aligned;  // init is known";
constexpr char kKnow[] = "barrier.cluster.wait.aligned;  // init is known";
constexpr char kArriveThere[] = "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%remote_bar];";
constexpr char kWaitForm[] = "try_wait.parity.acquire.cluster.shared::cta.b64";

/// CTA 1 writes into CTA 0's memory and arrives at its mbarrier; CTA 0 waits, reads, and gives all a last barrier.
const std::string kSignal = R"(
  .shared .align 8 .b8 bar[8];
  .shared .align 16 .b8 box[128];
  .reg .b32 %rank, %bar, %remote_bar, %at, %remote, %v, %i; .reg .pred %p;
  mov.u32 %rank, %cluster_ctarank;
  mov.u32 %bar, bar;
  mov.u32 %i, %tid1;
  mov.u32 %at, box;
  mad.lo.u32 %at, %tid1, 4, %at;
  setp.ne.u32 %p, %tid1, 0;
  @%p bra READY;
  mbarrier.init.shared::cta.b64 [%bar], 32;
  fence.mbarrier_init.release.cluster;
READY:
  bar.warp.sync 0xffffffff;
  barrier.cluster.arrive.relaxed.aligned;  // init is known
  barrier.cluster.wait.aligned;  // init is known
  setp.eq.u32 %p, %rank, 0;
  @%p bra RECEIVE;
  mapa.shared::cluster.u32 %remote, %at, 0;
  mapa.shared::cluster.u32 %remote_bar, %bar, 0;
  add.u32 %v, %i, 500;
  st.shared::cluster.u32 [%remote], %v;
  mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%remote_bar];
  ret;
RECEIVE:
  )" + wait("%bar", "0", kWaitForm) +
                            "ld.shared.u32 %v, [%at];\n" + kStoreResult;

std::vector<uint32_t> numbers(uint32_t first) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < 32; ++i) out.push_back(first + i);
  return out;
}

TEST(remote, an_arrival_hands_data_to_the_other_cta) { expect_clean(kernel_of(kSignal), pair_of(32), numbers(500)); }

TEST(remote, an_arrival_needs_release_and_the_scope_of_the_cluster) {
  const auto broken = [](const std::string& arrive) {
    expect_always(HazardId::H08, kernel_of(with(kSignal, kArriveThere, arrive)), pair_of(32), 32);
  };
  broken("mbarrier.arrive.relaxed.cluster.shared::cluster.b64 _, [%remote_bar];");
  broken("mbarrier.arrive.release.cta.shared::cluster.b64 _, [%remote_bar];");
  broken("mbarrier.arrive.shared::cluster.b64 _, [%remote_bar];");
  expect_always(HazardId::H08, kernel_of(with(kSignal, kWaitForm, "try_wait.parity.acquire.cta.shared::cta.b64")),
                pair_of(32), 32);
  expect_always(HazardId::H08, kernel_of(with(kSignal, kWaitForm, "try_wait.parity.shared::cta.b64")), pair_of(32), 32);
  expect_clean(kernel_of(with(kSignal, kArriveThere,
                              "fence.acq_rel.cluster;\n mbarrier.arrive.relaxed.cluster.shared::"
                              "cluster.b64 _, [%remote_bar];")),
               pair_of(32), numbers(500));
}

TEST(remote, a_missing_arrival_is_a_deadlock) {
  expect_always(HazardId::deadlock, kernel_of(with(kSignal, kArriveThere, "")), pair_of(32), 32);
}

TEST(remote, the_init_must_be_published) {
  expect_always(HazardId::H24, kernel_of(with(kSignal, kFence, "")), pair_of(32), 32);
  // A barrier with release publishes it, too.
  const std::string release = with(kSignal, kPublish, "barrier.cluster.arrive.release.aligned;");
  expect_clean(kernel_of(with(release, kFence, "")), pair_of(32), numbers(500));
  const std::string alone = with(with(kSignal, kPublish, ""), kKnow, "");
  expect_caught({HazardId::H24, HazardId::H12, HazardId::H19}, kernel_of(alone), pair_of(32), 32);
}

TEST(remote, nobody_arrives_at_the_end) {
  // CTA 0 does not wait: it may have ended when the arrival comes.
  const std::string gone = with(kSignal, wait("%bar", "0", kWaitForm), "");
  expect_caught({HazardId::H19}, kernel_of(with(gone, "ld.shared.u32 %v, [%at];", "mov.u32 %v, 0;")), pair_of(32), 32);
}

TEST(remote, only_signals_reach_another_ctas_mbarrier) {
  const std::string remote_wait = with(kSignal, kArriveThere, R"({ .reg .b64 %g; .reg .pred %q;
  cvt.u64.u32 %g, %bar;
  cvta.shared.u64 %g, %g;
  mapa.u64 %g, %g, 0;
  mbarrier.test_wait.parity.b64 %q, [%g], 0; })");
  expect_always(HazardId::H22, kernel_of(remote_wait), pair_of(32), 32);
}

/// As kSignal, with asynchronous stores: the receiver expects their bytes, the sender only issues them.
const std::string kSend =
    with(with(with(kSignal, "[%bar], 32;", "[%bar], 1;"), kArriveThere, ""), "st.shared::cluster.u32 [%remote], %v;",
         "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.u32 [%remote], %v, "
         "[%remote_bar];");
const std::string kExpect =
    "setp.ne.u32 %p, %tid1, 0;\n"
    "@!%p mbarrier.arrive.expect_tx.relaxed.cta.shared::cta.b64 _, [%bar], 128;\n";

std::string sending(const std::string& expect) { return with(kSend, "RECEIVE:\n", "RECEIVE:\n" + expect); }

TEST(remote, asynchronous_stores_complete_the_phase_that_expects_them) {
  expect_clean(kernel_of(sending(kExpect)), pair_of(32), numbers(500));
}

TEST(remote, asynchronous_stores_are_known_only_to_who_waits) {
  const std::string unwaited = with(sending(kExpect), wait("%bar", "0", kWaitForm), "");
  expect_caught({HazardId::H06}, kernel_of(unwaited), pair_of(32), 32);
  const std::string early =
      with(sending(kExpect), wait("%bar", "0", kWaitForm), "ld.shared.u32 %v, [%at];\n" + wait("%bar", "0", kWaitForm));
  expect_caught({HazardId::H07, HazardId::H08, HazardId::H09, HazardId::H11}, kernel_of(early), pair_of(32), 32);
}

TEST(remote, bytes_that_do_not_match_are_reported) {
  const auto expecting = [](const char* bytes) { return kernel_of(sending(with(kExpect, "128;", bytes))); };
  const Module more = expecting("132;");
  for_each_schedule(5, [&](const Schedule& schedule) {
    const Ran ran = run(more, schedule, pair_of(32), 32);
    EXPECT_TRUE(ran.report.has(HazardId::deadlock)) << schedule.text() << ran.report.text();
    EXPECT_TRUE(ran.report.has(HazardId::H18)) << schedule.text() << ran.report.text();
    return true;
  });
  // Too few: the phase is complete before the last store has come, or never.
  expect_caught({HazardId::H07, HazardId::H18}, expecting("124;"), pair_of(32), 32);
}

TEST(remote, wide_asynchronous_stores_land_whole) {
  std::string wide = with(sending(with(kExpect, "128;", "512;")), ".u32 [%remote], %v, [%remote_bar];",
                          ".v4.b32 [%remote], {%v, %i, %rank, %v}, [%remote_bar];");
  wide = with(with(wide, "box[128]", "box[512]"), "mad.lo.u32 %at, %tid1, 4, %at;", "mad.lo.u32 %at, %tid1, 16, %at;");
  wide = with(wide, "ld.shared.u32 %v, [%at];", R"({ .reg .b32 %x, %y, %z;
  ld.shared.v4.u32 {%v, %x, %y, %z}, [%at];
  add.u32 %v, %v, %x; add.u32 %v, %v, %y; add.u32 %v, %v, %z; })");
  std::vector<uint32_t> expected;
  for (uint32_t i = 0; i < 32; ++i) expected.push_back(2 * (500 + i) + i + 1);
  expect_clean(kernel_of(wide), pair_of(32), expected);
}

/// All lanes of CTA 1 reduce into one word of CTA 0, which starts from 1000.
std::string reducing(const std::string& operation) {
  std::string text =
      with(sending(kExpect), "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.u32 [%remote]",
           "red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes." + operation + " [%remote]");
  text = with(text, "mad.lo.u32 %at, %tid1, 4, %at;", "");
  text = with(text, "add.u32 %v, %i, 500;", "add.u32 %v, %i, 990;");
  // All write the same start value before the barrier publishes it.
  return with(with(text, "bar.warp.sync 0xffffffff;",
                   "mov.u32 %v, 1000;\n @!%p st.shared.u32 [%at], %v;\n"
                   "bar.warp.sync 0xffffffff;"),
              kPublish, "barrier.cluster.arrive.aligned;");
}

TEST(remote, asynchronous_reductions_add_up) {
  const auto result = [](const std::string& operation, uint32_t expected) {
    SCOPED_TRACE(operation);
    expect_clean(kernel_of(reducing(operation)), pair_of(32), std::vector<uint32_t>(32, expected), 3);
  };
  uint32_t sum = 1000, ors = 1000, ands = 1000, xors = 1000;
  for (uint32_t i = 990; i < 1022; ++i) sum += i, ors |= i, ands &= i, xors ^= i;
  result("add.u32", sum);
  result("add.s32", sum);
  result("min.u32", 990);
  result("max.s32", 1021);
  result("or.b32", ors);
  result("and.b32", ands);
  result("xor.b32", xors);
}

TEST(remote, an_asynchronous_reduction_needs_the_start_value) {
  const std::string racing =
      with(reducing("add.u32"), "barrier.cluster.arrive.aligned;", "barrier.cluster.arrive.relaxed.aligned;");
  expect_always(HazardId::H08, kernel_of(racing), pair_of(32), 32);
}

}  // namespace
}  // namespace ptxsim::test
