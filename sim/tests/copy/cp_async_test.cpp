// SPDX-License-Identifier: Apache-2.0
// cp.async: sizes, zeros behind the source, groups, arrivals at an mbarrier.
#include "sim/tests/copy/copy.hpp"

namespace ptxsim::test {
namespace {

constexpr uint32_t kThreads = 32;

/// Thread t copies its `bytes` bytes: cp.async.<form> [to], [from], <bytes><rest>.
std::string copies(const std::string& form, uint32_t bytes, const std::string& rest = "") {
  const std::string size = std::to_string(bytes);
  return R"({ .reg .b32 %to, %have; .reg .b64 %from; .reg .pred %none;
  mul.lo.u32 %to, %tid1, )" +
         size + R"(;
  mul.wide.u32 %from, %tid1, )" +
         size + R"(;
  add.u32 %to, %to, %s;
  add.u64 %from, %from, %rd_in;
  and.b32 %have, %tid1, 15;
  min.u32 %have, %have, )" +
         size + R"(;
  setp.gt.u32 %none, %tid1, 20;
  cp.async.)" +
         form + " [%to], [%from], " + size + rest + ";\n }\n";
}
const std::string kCommit = "cp.async.commit_group;\n", kWait = "cp.async.wait_group 0;\n", kBarrier = "bar.sync 0;\n";

Module kernel(const std::string& body, size_t tile_bytes = 512) {
  return kernel_of(kBegin + body + "ret;\n", tile_of(tile_bytes));
}

TEST(cp_async, copies_sizes_of_4_8_and_16_bytes) {
  for (const uint32_t bytes : {4u, 8u, 16u}) {
    const size_t words = kThreads * bytes / 4;
    const std::string form = bytes == 16 ? "cg.shared.global.L2::128B" : "ca.shared::cta.global";
    expect_clean(kernel(copies(form, bytes) + kCommit + kWait + kBarrier + show(words, kThreads)), block_of(kThreads),
                 counting(words), 5, counting(words));
    expect_clean(kernel(copies(form, bytes) + "cp.async.wait_all;\n" + kBarrier + show(words, kThreads)),
                 block_of(kThreads), counting(words), 2, counting(words));
  }
}

TEST(cp_async, what_the_source_lacks_is_zeros) {
  std::vector<uint32_t> in(kThreads * 4, 0x01010101), sized = in, ignored = in;
  auto* bytes = reinterpret_cast<uint8_t*>(sized.data());
  for (uint32_t t = 0; t < kThreads; ++t)
    for (uint32_t i = t & 15; i < 16; ++i) bytes[t * 16 + i] = 0;
  for (uint32_t t = 21; t < kThreads; ++t)
    for (uint32_t i = 0; i < 4; ++i) ignored[t * 4 + i] = 0;
  const std::string rest = kCommit + kWait + kBarrier + show(in.size(), kThreads);
  expect_clean(kernel(copies("cg.shared.global", 16, ", %have") + rest), block_of(kThreads), sized, 5, in);
  expect_clean(kernel(copies("cg.shared.global", 16, ", %none") + rest), block_of(kThreads), ignored, 5, in);
  // The source of a thread that ignores it may lie anywhere.
  in.resize(21 * 4);
  expect_clean(kernel(copies("cg.shared.global", 16, ", %none") + rest), block_of(kThreads), ignored, 5, in);
  expect_hazard(HazardId::H22, kernel(copies("cg.shared.global", 16) + rest), ignored.size(), in);
}

TEST(cp_async, guarded_lanes_copy_nothing) {
  const std::string guarded = with(copies("ca.shared.global", 4), "cp.async", "@!%none cp.async");
  std::vector<uint32_t> expected = counting(kThreads);
  for (uint32_t t = 21; t < kThreads; ++t) expected[t] = 7;
  const std::string zero = "shl.b32 %v, %tid1, 2;\nadd.u32 %v, %v, %s;\nst.shared.u32 [%v], 7;\n";
  expect_clean(kernel(zero + guarded + kCommit + kWait + kBarrier + show(kThreads, kThreads)), block_of(kThreads),
               expected, 5, counting(kThreads));
}

TEST(cp_async, a_wait_covers_all_but_the_newest_groups) {
  const std::string second = "add.u32 %s, %s, 128;\nadd.u64 %rd_in, %rd_in, 128;\n";
  const std::string back = "sub.u32 %s, %s, 128;\n";
  const std::string two =
      copies("ca.shared.global", 4) + kCommit + second + copies("ca.shared.global", 4) + kCommit + back;
  const std::vector<uint32_t> in = counting(2 * kThreads);
  const std::string one_pending = two + "cp.async.wait_group 1;\n" + kBarrier;
  expect_clean(kernel(one_pending + show(kThreads, kThreads) + kWait), block_of(kThreads), counting(kThreads), 5, in);
  expect_hazard(HazardId::H07, kernel(one_pending + show(2 * kThreads, kThreads) + kWait), in.size(), in);
  expect_clean(kernel(two + kWait + kBarrier + show(in.size(), kThreads)), block_of(kThreads), in, 5, in);
  // A copy that no commit has put into a group is not waited for.
  expect_hazard(HazardId::H07,
                kernel(copies("ca.shared.global", 4) + kWait + kBarrier + show(kThreads, kThreads) + kCommit + kWait),
                kThreads, in);
}

TEST(cp_async, a_missing_wait_or_barrier_is_reported) {
  const std::vector<uint32_t> in = counting(kThreads);
  const std::string copy = copies("ca.shared.global", 4) + kCommit;
  expect_hazard(HazardId::H07, kernel(copy + kBarrier + show(kThreads, kThreads) + kWait), kThreads, in);
  expect_hazard(HazardId::H06, kernel(copy), kThreads, in);
  // Each thread waits for its own copies; those of other warps need a barrier.
  const std::string read = "xor.b32 %i, %tid1, 32;\nshl.b32 %v, %i, 2;\nadd.u32 %v, %v, %s;\nld.shared.u32 %v, [%v];\n";
  const std::vector<uint32_t> both = counting(2 * kThreads);
  expect_hazard(HazardId::H07, kernel(copy + kWait + read + kStoreResult), both.size(), both, 64);
  expect_clean(kernel(copy + kWait + kBarrier + read + kStoreResult), block_of(64), both, 5, both);
  expect_clean(kernel(copy + kWait + with(read, "%tid1, 32", "%tid1, 0") + kStoreResult), block_of(64), both, 5, both);
}

TEST(cp_async, overwriting_what_others_read_is_reported) {
  const std::vector<uint32_t> in = counting(kThreads * 2);
  const std::string again = "ld.shared.u32 %v, [tile];\n" + copies("ca.shared.global", 4) + kCommit + kWait;
  const std::string first = copies("ca.shared.global", 4) + kCommit + kWait + kBarrier;
  expect_hazard(HazardId::H09, kernel(first + again), 1, in, 64);
  expect_clean(kernel(first + with(again, "[tile];\n", "[tile];\n" + kBarrier)), block_of(64), {0}, 5, in);
}

TEST(cp_async, arrives_at_an_mbarrier_when_the_copies_are_there) {
  const std::vector<uint32_t> in = counting(kThreads);
  const std::string wait_full = wait("%b", "0");
  const auto body = [&](const std::string& count, const std::string& arrive) {
    return kernel_of(with(kBegin, "[%b], 1;", "[%b], " + count + ";") + copies("ca.shared.global", 4) + arrive +
                         wait_full + show(kThreads, kThreads) + "ret;\n",
                     tile_of(512));
  };
  expect_clean(body("32", "cp.async.mbarrier.arrive.noinc.shared.b64 [%b];\n"), block_of(kThreads), in, 5, in);
  const std::string counted = "cp.async.mbarrier.arrive.shared::cta.b64 [%b];\nmbarrier.arrive.shared.b64 _, [%b];\n";
  expect_clean(body("32", counted), block_of(kThreads), in, 5, in);
  // Without .noinc the arrival is one more, and nobody has made the 32 that the phase needs.
  expect_hazard(HazardId::deadlock, body("32", "cp.async.mbarrier.arrive.shared.b64 [%b];\n"), kThreads, in);
  // Arriving oneself says nothing of the copies.
  const std::string plain = "mbarrier.arrive.shared.b64 _, [%b];\n";
  expect_hazard(HazardId::H07, body("32", plain), kThreads, in);
}

TEST(cp_async, forms_that_do_not_assemble_are_refused) {
  expect_refused("cp.async.cg.shared.global [%r1], [%d1], 8;");
  expect_refused("cp.async.ca.shared.global [%r1], [%d1], 12;");
  expect_refused("cp.async.ca.global.shared [%d1], [%r1], 4;");
  expect_refused("cp.async.ca.shared.global [%r1], [%d1], %r2;");
  expect_refused("cp.async.wait_group %r1;");
  expect_refused("cp.async.commit_group.read;");
  expect_refused("cp.async.mbarrier.arrive.noinc.shared::cluster.b64 [%r1];");
}

}  // namespace
}  // namespace ptxsim::test
