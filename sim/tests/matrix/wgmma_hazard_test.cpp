// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/matrix/wgmma_kernel.hpp"

// Kernels with one rule of wgmma broken, each beside one that keeps it by a hair.
namespace ptxsim::test {
namespace {

constexpr uint32_t kBytes = 3072;  ///< A: 64 rows of 32 bytes; B: 8 rows, at 2048; the rest free
const std::string kFragments = "  mov.b32 %a0, 0;\n  mov.b32 %a1, 0;\n  mov.b32 %a2, 0;\n  mov.b32 %a3, 0;\n";

uint64_t descriptor(uint32_t base) { return Tile{"bf16", 8, 32, false, base, 0, 16, 256}.descriptor(); }

std::string setup() { return make_descriptor("desc_a", descriptor(0)) + make_descriptor("desc_b", descriptor(2048)); }
std::string begin() { return wgmma_prologue(kBytes) + publish() + setup(); }

std::string mma(const std::string& accumulator = "d", const std::string& scale_d = "%no",
                const std::string& a = "%desc_a", const std::string& b = "%desc_b") {
  WgmmaText text{8, 16, "f32", "bf16", "bf16"};
  text.a_in_registers = a[0] != '%';
  return text.instruction(accumulator, a, b, scale_d);
}

/// Zeros in shared memory, so that D is zero where its old value takes no part.
const std::vector<uint32_t> kZeros(kBytes / 4 + 1024, 0);

void reported(HazardId id, const std::string& body, uint32_t threads = 128) {
  SCOPED_TRACE(body.substr(body.find("bar.sync") == std::string::npos ? 0 : body.find("bar.sync")));
  expect_always(id, wgmma_kernel(body), wgmma_block(kBytes, threads), 4 * threads, 4, kZeros);
}
void clean(const std::string& body, uint32_t threads = 128) {
  SCOPED_TRACE(body.substr(body.find("bar.sync") == std::string::npos ? 0 : body.find("bar.sync")));
  expect_clean(wgmma_kernel(body), wgmma_block(kBytes, threads), std::vector<uint32_t>(4 * threads, 0), 4, kZeros);
}

TEST(wgmma_hazards, h01_accumulator_is_read_before_the_wait) {
  reported(HazardId::H01, begin() + kFence + mma() + kCommit + store_words("d", 4) + wait(0));
  clean(begin() + kFence + mma() + kCommit + wait(0) + store_words("d", 4));
}

TEST(wgmma_hazards, h01_accumulator_is_written_before_the_wait) {
  reported(HazardId::H01, begin() + kFence + mma() + kCommit + "  mov.b32 %d3, 0;\n" + wait(0));
  clean(begin() + kFence + mma() + kCommit + wait(0) + "  mov.b32 %d3, 0;\n");
}

TEST(wgmma_hazards, h01_the_wait_leaves_the_group_pending) {
  const std::string two = begin() + kFence + mma("d") + kCommit + mma("e") + kCommit + wait(1);
  reported(HazardId::H01, two + store_words("e", 4) + wait(0));
  clean(two + store_words("d", 4) + wait(0));
}

TEST(wgmma_hazards, h01_a_wait_does_not_cover_what_is_not_committed) {
  reported(HazardId::H01, begin() + kFence + mma() + wait(0) + store_words("d", 4) + kCommit + wait(0));
}

TEST(wgmma_hazards, h01_fragment_is_an_accumulator_in_flight) {
  WgmmaText second{8, 16, "f32", "bf16", "bf16"};
  second.a_in_registers = true;
  const std::string use = second.instruction("e", "d", "%desc_b", "%no") + kCommit + wait(0);
  reported(HazardId::H01, begin() + kFence + mma("d") + kCommit + use);
  clean(begin() + kFence + mma("d") + kCommit + wait(0) + use);
}

TEST(wgmma_hazards, h02_fragment_is_overwritten_before_the_wait) {
  const std::string issue = begin() + kFragments + kFence + mma("d", "%no", "a") + kCommit;
  reported(HazardId::H02, issue + "  mov.b32 %a2, 1;\n" + wait(0));
  clean(issue + "  mov.b32 %v, %a2;\n" + wait(0) + "  mov.b32 %a2, 1;\n");
}

TEST(wgmma_hazards, h03_no_fence_at_all) {
  reported(HazardId::H03, begin() + mma() + kCommit + wait(0));
  clean(begin() + kFence + mma() + kCommit + wait(0));
}

TEST(wgmma_hazards, h03_accumulator_is_written_behind_the_fence) {
  const std::string zero = "  mov.b32 %d0, 0;\n  mov.b32 %d1, 0;\n  mov.b32 %d2, 0;\n  mov.b32 %d3, 0;\n";
  const std::string rest = mma("d", "%yes") + kCommit + wait(0) + store_words("d", 4);
  reported(HazardId::H03, begin() + kFence + zero + rest);
  clean(begin() + zero + kFence + rest);
}

TEST(wgmma_hazards, h03_fragment_is_written_behind_the_fence) {
  const std::string rest = mma("d", "%no", "a") + kCommit + wait(0) + store_words("d", 4);
  reported(HazardId::H03, begin() + kFence + kFragments + rest);
  clean(begin() + kFragments + kFence + rest);
}

TEST(wgmma_hazards, h03_result_is_read_and_accumulated_into_again) {
  const std::string first = begin() + kFence + mma() + kCommit + wait(0) + store_words("d", 4);
  const std::string second = mma("d", "%yes") + kCommit + wait(0);
  reported(HazardId::H03, first + second);
  clean(first + kFence + second);
  clean(begin() + kFence + mma() + kCommit + wait(0) + second + store_words("d", 4));  // not touched between
}

TEST(wgmma_hazards, h04_generic_writes_reach_the_asynchronous_proxy_by_a_fence) {
  const std::string rest = setup() + kFence + mma() + kCommit + wait(0) + store_words("d", 4);
  reported(HazardId::H04, wgmma_prologue(kBytes) + "  bar.sync 0;\n" + rest);
  clean(wgmma_prologue(kBytes) + "  fence.proxy.async;\n  bar.sync 0;\n" + rest);
  clean(wgmma_prologue(kBytes) + "  bar.sync 0;\n  fence.proxy.async;\n" + rest);
  clean(wgmma_prologue(kBytes) + "  bar.sync 0;\n  fence.proxy.async.shared::cta;\n" + rest);
}

TEST(wgmma_hazards, h06_the_cta_ends_without_a_wait) {
  reported(HazardId::H06, begin() + kFence + mma() + kCommit);
  reported(HazardId::H06, begin() + kFence + mma("d") + kCommit + mma("e") + kCommit + wait(1));
  clean(begin() + kFence + mma("d") + kCommit + mma("e") + kCommit + wait(0));
}

TEST(wgmma_hazards, h08_operands_of_other_warps_are_published_by_a_barrier) {
  const std::string rest = setup() + kFence + mma() + kCommit + wait(0) + store_words("d", 4);
  // What each warp knows of the others' writes is missing: unordered, or not handed over.
  for_each_schedule(4, [&](const Schedule& schedule) {
    const Ran ran = run(wgmma_kernel(wgmma_prologue(kBytes) + "  fence.proxy.async;\n" + rest), schedule,
                        wgmma_block(kBytes), 512, kZeros);
    EXPECT_TRUE(ran.report.has(HazardId::H08) || ran.report.has(HazardId::H04)) << schedule.text();
    return true;
  });
}

TEST(wgmma_hazards, every_warp_must_know_of_the_writes) {
  // Warp 0 writes B and only warps 0 to 2 meet it at a barrier: warp 3 reads without an order, whoever issues last.
  const std::string write = begin() +
                            "  setp.eq.u32 %p, %warp, 0;\n  and.b32 %off, %tid1, 7;\n  shl.b32 %off, %off, 4;\n"
                            "  add.u32 %off, %off, %smem;\n  mov.b32 %v, 0;\n  @%p st.shared.b32 [%off+2048], %v;\n"
                            "  fence.proxy.async;\n";
  const std::string rest = kFence + mma() + kCommit + wait(0) + store_words("d", 4);
  const Module module =
      wgmma_kernel(write + "  setp.eq.u32 %q, %warp, 3;\n  @%q bra skip;\n  bar.sync 1, 96;\nskip:\n" + rest);
  for_each_schedule(4, [&](const Schedule& schedule) {
    const Ran ran = run(module, schedule, wgmma_block(kBytes), 512, kZeros);
    EXPECT_TRUE(ran.report.has(HazardId::H08) || ran.report.has(HazardId::H04)) << schedule.text();
    return true;
  });
  clean(write + "  bar.sync 1, 128;\n" + rest);
}

TEST(wgmma_hazards, h09_operands_are_overwritten_before_the_wait) {
  const std::string issue = begin() + kFence + mma() + kCommit;
  const std::string overwrite =
      "  setp.eq.u32 %p, %tid1, 40;\n  mov.b32 %v, 0;\n  @%p st.shared.b32 [%smem+2048], %v;\n";
  reported(HazardId::H09, issue + "  bar.sync 0;\n" + overwrite + wait(0));
  clean(issue + wait(0) + "  bar.sync 0;\n" + overwrite);
  // One warp's wait covers the reads of all four.
  clean(issue + wait(0) + overwrite);
  // Without a barrier the others may not have issued it yet: the read may come after the write, H08.
  for_each_schedule(4, [&](const Schedule& schedule) {
    const Ran ran = run(wgmma_kernel(issue + overwrite + wait(0)), schedule, wgmma_block(kBytes), 512, kZeros);
    EXPECT_TRUE(ran.report.has(HazardId::H08) || ran.report.has(HazardId::H09)) << schedule.text();
    return true;
  });
  // Bytes beside the operands are free.
  clean(issue + "  setp.eq.u32 %p, %tid1, 40;\n  mov.b32 %v, 0;\n  @%p st.shared.b32 [%smem+2304], %v;\n" + wait(0));
}

TEST(wgmma_hazards, h11_accumulator_or_fragment_was_never_written) {
  reported(HazardId::H11, begin() + kFence + mma("d", "%yes") + kCommit + wait(0));
  reported(HazardId::H11, begin() + kFence + mma("d", "%no", "a") + kCommit + wait(0));
  clean(begin() + kFence + mma("d", "%no") + kCommit + wait(0));
}

TEST(wgmma_hazards, h16_descriptors) {
  const auto with = [](uint64_t fields) {
    return wgmma_prologue(kBytes) + publish() + make_descriptor("desc_a", descriptor(0)) +
           make_descriptor("desc_b", fields) + kFence + mma() + kCommit + wait(0);
  };
  clean(with(descriptor(2048)));
  reported(HazardId::H16, with(descriptor(2048) | uint64_t{1} << 49));  // base offset
  reported(HazardId::H16, with(descriptor(2048) | uint64_t{1} << 46));  // reserved
  reported(HazardId::H16, with(descriptor(2048) | uint64_t{1} << 52));
  reported(HazardId::H16, with(descriptor(2048 + 32)));  // not where the pattern repeats
  clean(with(descriptor(2048 + 256)));                   // there it does
  clean(with(descriptor(kBytes - 256)));                 // the last bytes of the CTA
  reported(HazardId::H16, with(descriptor(kBytes)));     // behind them
}

TEST(wgmma_hazards, h16_descriptors_are_equal_in_all_warps) {
  const std::string body = begin() + "  setp.eq.u32 %p, %warp, 1;\n  @%p add.u64 %desc_b, %desc_b, 16;\n" + kFence +
                           mma() + kCommit + wait(0);
  reported(HazardId::H16, body);
  const std::string lanes = begin() + "  setp.eq.u32 %p, %tid1, 1;\n  @%p add.u64 %desc_b, %desc_b, 16;\n" + kFence +
                            mma() + kCommit + wait(0);
  reported(HazardId::H16, lanes);
}

TEST(wgmma_hazards, h20_part_of_a_warp_or_of_a_warpgroup) {
  reported(HazardId::H20, begin() + kFence + "  setp.ne.u32 %p, %tid1, 5;\n  @%p" + mma() + kCommit + wait(0));
  reported(HazardId::H20, begin() + kFence + mma() + kCommit + wait(0), 96);
}

TEST(wgmma_hazards, h20_warps_run_different_instructions) {
  const std::string branch = begin() + kFence + "  setp.eq.u32 %p, %warp, 2;\n  @%p bra other;\n";
  reported(HazardId::H20, branch + mma() + "  bra done;\nother:\n" + mma() + "done:\n" + kCommit + wait(0));
  reported(HazardId::H20, begin() + kFence + "  setp.eq.u32 %p, %warp, 2;\n" +
                              "  mov.b32 %d0, 0;\n  mov.b32 %d1, 0;\n"
                              "  mov.b32 %d2, 0;\n  mov.b32 %d3, 0;\n" +
                              kFence + mma("d", "%p") + kCommit + wait(0));
}

TEST(wgmma_hazards, a_warp_that_never_comes_is_a_deadlock) {
  reported(HazardId::deadlock,
           begin() + kFence + "  setp.eq.u32 %p, %warp, 3;\n  @%p bra skip;\n" + mma() + kCommit + wait(0) + "skip:\n");
}

}  // namespace
}  // namespace ptxsim::test
