// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/sync/sync.hpp"

namespace ptxsim::test {
namespace {

constexpr char kArriveLine[] = "barrier.cluster.arrive.release.aligned;  // exchange";
constexpr char kWaitLine[] = "barrier.cluster.wait.acquire.aligned;  // exchange";

/// Each thread gives its number of the grid to its mirror image in the other CTA: out[i] is the peer's number.
const std::string kExchange = R"(
  .shared .align 16 .b8 box[256];
  .reg .b32 %rank, %peer, %at, %remote, %v, %i, %n;
  mov.u32 %rank, %cluster_ctarank;
  xor.b32 %peer, %rank, 1;
  mov.u32 %n, %ctaid.x;
  mad.lo.u32 %i, %n, 64, %tid1;
  mov.u32 %at, box;
  mad.lo.u32 %at, %tid1, 4, %at;
  mapa.shared::cluster.u32 %remote, %at, %peer;
  st.shared::cluster.u32 [%remote], %i;
  barrier.cluster.arrive.release.aligned;  // exchange
  barrier.cluster.wait.acquire.aligned;  // exchange
  ld.shared.u32 %v, [%at];
)" + kStoreResult;

std::vector<uint32_t> exchanged(uint32_t clusters) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < 128 * clusters; ++i) out.push_back(i ^ 64);
  return out;
}

TEST(cluster, barrier_orders_stores_to_the_other_cta) {
  expect_clean(kernel_of(kExchange), pair_of(64, 3), exchanged(3));
  const std::string defaults =
      with(with(kExchange, kArriveLine, "barrier.cluster.arrive;"), kWaitLine, "barrier.cluster.wait;");
  expect_clean(kernel_of(defaults), pair_of(64), exchanged(1));
}

TEST(cluster, a_missing_barrier_is_reported) {
  const std::string none = with(with(kExchange, kArriveLine, ""), kWaitLine, "");
  expect_caught({HazardId::H08, HazardId::H11, HazardId::H19}, kernel_of(none), pair_of(64), 128);
  const std::string local = with(with(kExchange, kArriveLine, "bar.sync 0;"), kWaitLine, "");
  expect_caught({HazardId::H08, HazardId::H11, HazardId::H19}, kernel_of(local), pair_of(64), 128);
}

TEST(cluster, a_relaxed_arrive_orders_nothing_without_a_fence) {
  const std::string relaxed = with(kExchange, kArriveLine, "barrier.cluster.arrive.relaxed.aligned;");
  expect_always(HazardId::H08, kernel_of(relaxed), pair_of(64), 128);
  const std::string fenced =
      with(kExchange, kArriveLine, "fence.acq_rel.cluster;\n barrier.cluster.arrive.relaxed.aligned;");
  expect_clean(kernel_of(fenced), pair_of(64), exchanged(1));
  const std::string narrow =
      with(kExchange, kArriveLine, "fence.acq_rel.cta;\n barrier.cluster.arrive.relaxed.aligned;");
  expect_always(HazardId::H08, kernel_of(narrow), pair_of(64), 128);
}

TEST(cluster, arrive_and_wait_come_in_turn) {
  expect_always(HazardId::H21, kernel_of(with(kExchange, kArriveLine, "")), pair_of(64), 128);
  expect_always(HazardId::H21, kernel_of(with(kExchange, kWaitLine, kArriveLine)), pair_of(64), 128);
}

TEST(cluster, threads_that_have_ended_count_as_arrived) {
  const std::string some_leave = with(kExchange, kArriveLine, R"({ .reg .pred %q;
  setp.ge.u32 %q, %tid1, 32;
  @%q ret; }
  barrier.cluster.arrive.release.aligned;)");
  std::vector<uint32_t> expected = exchanged(1);
  for (uint32_t i = 0; i < 128; ++i)
    if (i % 64 >= 32) expected[i] = 0;
  expect_clean(kernel_of(some_leave), pair_of(64), expected);
}

TEST(cluster, a_warp_that_does_not_come_is_a_deadlock) {
  const std::string absent = with(kExchange, kArriveLine, R"({ .reg .pred %q;
  setp.lt.u32 %q, %tid1, 32;
  @%q bar.sync 1, 64; }
  barrier.cluster.arrive.release.aligned;)");
  const Ran ran = run(kernel_of(absent), {}, pair_of(64), 128);
  ASSERT_TRUE(ran.report.has(HazardId::deadlock)) << ran.report.text();
  EXPECT_NE(ran.report.text().find("cluster barrier: not arrived: warp 0"), std::string::npos) << ran.report.text();
}

TEST(cluster, an_aligned_barrier_needs_the_whole_warp) {
  const std::string guarded = with(kExchange, kArriveLine, R"({ .reg .pred %q;
  setp.ne.u32 %q, %tid1, 5;
  @%q barrier.cluster.arrive.release.aligned;
  @!%q barrier.cluster.arrive.release.aligned; })");
  expect_always(HazardId::H20, kernel_of(guarded), pair_of(64), 128);
  const std::string apart =
      with(guarded, "@!%q barrier.cluster.arrive.release.aligned;", "@!%q barrier.cluster.arrive.release;");
  const std::string unaligned =
      with(apart, "@%q barrier.cluster.arrive.release.aligned;", "@%q barrier.cluster.arrive.release;");
  expect_clean(kernel_of(unaligned), pair_of(64), exchanged(1));
}

TEST(cluster, the_owner_must_not_end_before_its_memory_is_used) {
  // The reader pulls instead: it needs a second barrier, so that the owner stays.
  const std::string pull = R"(
  .shared .align 16 .b8 box[256];
  .reg .b32 %rank, %peer, %at, %remote, %v, %i, %n;
  mov.u32 %rank, %cluster_ctarank;
  xor.b32 %peer, %rank, 1;
  mov.u32 %n, %ctaid.x;
  mad.lo.u32 %i, %n, 64, %tid1;
  mov.u32 %at, box;
  mad.lo.u32 %at, %tid1, 4, %at;
  st.shared.u32 [%at], %i;
  barrier.cluster.arrive.aligned;
  barrier.cluster.wait.aligned;
  mapa.shared::cluster.u32 %remote, %at, %peer;
  ld.shared::cluster.u32 %v, [%remote];
  // stay
  barrier.cluster.arrive.aligned;
  barrier.cluster.wait.aligned;
)" + kStoreResult;
  expect_clean(kernel_of(pull), pair_of(64), exchanged(1));
  const std::string gone =
      with(pull, "// stay\n  barrier.cluster.arrive.aligned;\n  barrier.cluster.wait.aligned;", "");
  int caught = 0;
  for_each_schedule(10, [&](const Schedule& schedule) {
    caught += run(kernel_of(gone), schedule, pair_of(64), 128).report.has(HazardId::H19) ? 1 : 0;
    return true;
  });
  EXPECT_GT(caught, 0);
}

TEST(cluster, mapa_and_getctarank_are_inverse) {
  const Module module = kernel_of(R"(
  .shared .align 16 .b8 box[16];
  .reg .b32 %at, %v, %i, %n, %r, %mapped; .reg .b64 %g, %m;
  mov.u32 %at, box;
  cvt.u64.u32 %g, %at;
  cvta.shared.u64 %g, %g;
  mapa.shared::cluster.u32 %mapped, %at, 1;
  getctarank.shared::cluster.u32 %r, %mapped;       // 1
  mapa.u64 %m, %g, 0;
  getctarank.u64 %v, %m;                            // 0
  mad.lo.u32 %v, %v, 16, %r;
  getctarank.shared::cluster.u32 %r, %at;           // own
  mad.lo.u32 %v, %v, 16, %r;
  mapa.shared::cluster.u32 %mapped, box, %r;
  getctarank.shared::cluster.u32 %r, %mapped;       // own
  mad.lo.u32 %v, %v, 16, %r;
  mov.u32 %i, %ctaid.x;
)" + kStoreResult);
  expect_clean(module, pair_of(1), {0x100, 0x111}, 2);
}

TEST(cluster, a_rank_that_is_not_there_is_reported) {
  const Module module = kernel_of(
      ".shared .align 16 .b8 box[16];\n.reg .b32 %at;\n mapa.shared::cluster.u32 %at, box, "
      "2;\n ret;");
  expect_always(HazardId::H19, module, pair_of(1), 1, 2);
}

}  // namespace
}  // namespace ptxsim::test
