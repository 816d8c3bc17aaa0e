// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/sync/sync.hpp"

namespace ptxsim::test {
namespace {

constexpr uint32_t kSteps = 7;

/// Warp 0 fills a ring of two stages, warp 1 empties it: seven steps, so that every parity comes more than once.
/// full[2], empty[2] at bars; 32 arrivals each. out[lane] is the sum of what the consumer's lane has read.
const std::string kRing = R"(
  .shared .align 8 .b8 bars[32];
  .shared .align 16 .b8 data[256];
  .reg .b32 %full, %empty, %at, %v, %w, %i, %step, %stage, %parity, %flipped, %base; .reg .pred %p, %last;
  mov.u32 %base, bars;
  and.b32 %i, %tid1, 31;
  setp.ne.u32 %p, %tid1, 0;
  @%p bra READY;
  mbarrier.init.shared::cta.b64 [%base], 32;          // full
  mbarrier.init.shared::cta.b64 [%base+8], 32;        // full
  mbarrier.init.shared::cta.b64 [%base+16], 32;       // empty
  mbarrier.init.shared::cta.b64 [%base+24], 32;       // empty
READY:
  bar.sync 0;
  mov.u32 %step, 0;
  mov.u32 %v, 0;
LOOP:
  and.b32 %stage, %step, 1;
  shr.u32 %parity, %step, 1;
  and.b32 %parity, %parity, 1;
  xor.b32 %flipped, %parity, 1;
  mad.lo.u32 %full, %stage, 8, %base;
  add.u32 %empty, %full, 16;
  mov.u32 %at, data;
  mad.lo.u32 %at, %stage, 128, %at;
  mad.lo.u32 %at, %i, 4, %at;
  setp.ge.u32 %p, %tid1, 32;
  @%p bra CONSUME;
  {WAIT EMPTY}
  mad.lo.u32 %w, %step, 100, %i;
  st.shared.u32 [%at], %w;
  {ARRIVE FULL}
  bra NEXT;
CONSUME:
  {WAIT FULL}
  ld.shared.u32 %w, [%at];
  add.u32 %v, %v, %w;
  {ARRIVE EMPTY}
NEXT:
  add.u32 %step, %step, 1;
  setp.lt.u32 %last, %step, 7;
  @%last bra LOOP;
  setp.lt.u32 %p, %tid1, 32;
  @%p ret;
)" + kStoreResult;

struct Ring {
  std::string wait_empty = wait("%empty", "%flipped");
  std::string wait_full = wait("%full", "%parity");
  std::string arrive_full = "mbarrier.arrive.shared::cta.b64 _, [%full];";
  std::string arrive_empty = "mbarrier.arrive.shared::cta.b64 _, [%empty];";
  std::string text = kRing;

  Module module() const {
    std::string out = with(text, "{WAIT EMPTY}", wait_empty);
    out = with(out, "{WAIT FULL}", wait_full);
    out = with(out, "{ARRIVE FULL}", arrive_full);
    return kernel_of(with(out, "{ARRIVE EMPTY}", arrive_empty));
  }
};

std::vector<uint32_t> sums() {
  std::vector<uint32_t> out;
  for (uint32_t lane = 0; lane < 32; ++lane) {
    uint32_t sum = 0;
    for (uint32_t step = 0; step < kSteps; ++step) sum += step * 100 + lane;
    out.push_back(sum);
  }
  return out;
}

void expect_ring_clean(const Ring& ring) { expect_clean(ring.module(), block_of(64), sums(), 8); }
void expect_ring_caught(const Ring& ring, std::initializer_list<HazardId> ids) {
  expect_caught(ids, ring.module(), block_of(64), 32, 8);
}

TEST(ring, hands_data_over_in_every_schedule) { expect_ring_clean({}); }

TEST(ring, works_with_any_form_of_wait_and_arrival) {
  Ring ring;
  ring.wait_full = wait("%full", "%parity", "test_wait.parity.acquire.cta.shared::cta.b64");
  ring.wait_empty = wait("%empty", "%flipped, 1000");
  ring.arrive_full = "mbarrier.arrive.release.cta.shared::cta.b64 _, [%full], 1;";
  ring.arrive_empty = "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%empty];";
  expect_ring_clean(ring);
}

TEST(ring, one_lane_may_speak_for_its_warp) {
  const std::string elected = R"({ .reg .pred %e;
  bar.warp.sync 0xffffffff;
  elect.sync _|%e, 0xffffffff;
  @%e mbarrier.arrive.shared::cta.b64 _, [%full]; })";
  Ring ring;
  ring.text = with(with(ring.text, "[%base], 32;", "[%base], 1;"), "[%base+8], 32;", "[%base+8], 1;");
  ring.arrive_full = elected;
  expect_ring_clean(ring);
  ring.arrive_full = with(elected, "bar.warp.sync 0xffffffff;", "");
  expect_ring_caught(ring, {HazardId::H08});
}

TEST(ring, states_serve_as_well_as_parities) {
  // A barrier of all 64 threads in place of each arrival and wait.
  Ring ring;
  for (const char* at : {"[%base], 32;", "[%base+8], 32;", "[%base+16], 32;", "[%base+24], 32;"})
    ring.text = with(ring.text, at, std::string(at).substr(0, std::string(at).size() - 3) + "64;");
  const auto meet = [](const std::string& bar) {
    return "{ .reg .b64 %state; mbarrier.arrive.shared.b64 %state, [" + bar + "];\n" +
           wait(bar, "%state", "try_wait.acquire.cta.shared::cta.b64") + "}";
  };
  ring.wait_empty = ring.arrive_empty = "";
  ring.arrive_full = meet("%full") + meet("%empty");
  ring.wait_full = meet("%full");
  ring.arrive_empty = meet("%empty");
  expect_ring_clean(ring);
  ring.wait_full = with(meet("%full"), wait("%full", "%state", "try_wait.acquire.cta.shared::cta.b64"), "");
  expect_ring_caught(ring, {HazardId::H08, HazardId::H09, HazardId::H11});
}

TEST(ring, a_missing_wait_is_reported) {
  Ring ring;
  ring.wait_full = "";
  expect_ring_caught(ring, {HazardId::H08, HazardId::H09, HazardId::H11});
  ring = Ring{};
  ring.wait_empty = "";
  expect_ring_caught(ring, {HazardId::H09, HazardId::H15, HazardId::deadlock});
}

TEST(ring, a_wait_without_a_loop_is_reported) {
  Ring ring;
  ring.wait_full = "mbarrier.try_wait.parity.shared::cta.b64 %p, [%full], %parity;";
  const int seeds = 10;
  int caught = 0;
  for_each_schedule(seeds, [&](const Schedule& schedule) {
    const Ran ran = run(ring.module(), schedule, block_of(64), 32);
    caught += ran.report.clean() && ran.out == sums() ? 0 : 1;
    return true;
  });
  EXPECT_GT(caught, 3 * seeds);  // of 4 * seeds: a schedule may happen to need no loop
}

TEST(ring, a_wrong_parity_is_reported) {
  Ring ring;
  ring.wait_full = wait("%full", "%flipped");
  expect_ring_caught(ring, {HazardId::H08, HazardId::H09, HazardId::H11, HazardId::deadlock});
  ring = Ring{};
  ring.wait_empty = wait("%empty", "%parity");
  expect_ring_caught(ring, {HazardId::deadlock});
}

TEST(ring, a_parity_that_does_not_alternate_is_reported) {
  Ring ring;
  ring.wait_full = wait("%full", "0");
  expect_ring_caught(ring, {HazardId::H08, HazardId::H09, HazardId::deadlock});
}

TEST(ring, a_wrong_count_is_reported) {
  Ring ring;
  ring.text = with(kRing, "[%base], 32;", "[%base], 33;");
  expect_ring_caught(ring, {HazardId::deadlock});
  ring.text = with(kRing, "[%base], 32;", "[%base], 31;");
  expect_ring_caught(ring, {HazardId::H08});
  ring.text = with(kRing, "[%base+16], 32;", "[%base+16], 31;");
  expect_ring_caught(ring, {HazardId::H09});
}

TEST(ring, an_arrival_without_release_is_reported) {
  Ring ring;
  ring.arrive_full = "mbarrier.arrive.relaxed.cta.shared::cta.b64 _, [%full];";
  expect_ring_caught(ring, {HazardId::H08});
  ring = Ring{};
  ring.arrive_empty = "mbarrier.arrive.relaxed.cta.shared::cta.b64 _, [%empty];";
  expect_ring_caught(ring, {HazardId::H09});
}

TEST(ring, a_wait_without_acquire_is_reported) {
  Ring ring;
  ring.wait_full = wait("%full", "%parity", "try_wait.parity.relaxed.cta.shared::cta.b64");
  expect_ring_caught(ring, {HazardId::H08});
  ring = Ring{};
  ring.wait_empty = wait("%empty", "%flipped", "try_wait.parity.relaxed.cta.shared::cta.b64");
  expect_ring_caught(ring, {HazardId::H09});
}

TEST(ring, fences_around_relaxed_arrivals_and_waits_order_as_well) {
  Ring ring;
  ring.arrive_full = "fence.acq_rel.cta;\n mbarrier.arrive.relaxed.cta.shared::cta.b64 _, [%full];";
  expect_ring_clean(ring);
  ring = Ring{};
  ring.wait_full = wait("%full", "%parity", "try_wait.parity.relaxed.cta.shared::cta.b64") + "fence.acq_rel.cta;";
  expect_ring_clean(ring);
}

TEST(ring, an_arrival_too_early_is_reported) {
  Ring ring;
  ring.text = with(ring.text, "st.shared.u32 [%at], %w;\n  {ARRIVE FULL}", "{ARRIVE FULL}\n st.shared.u32 [%at], %w;");
  expect_ring_caught(ring, {HazardId::H08, HazardId::H09, HazardId::H11});
}

TEST(ring, an_init_that_others_do_not_know_of_is_reported) {
  Ring ring;
  ring.text = with(kRing, "bar.sync 0;", "");
  expect_ring_caught(ring, {HazardId::H12});
}

}  // namespace
}  // namespace ptxsim::test
