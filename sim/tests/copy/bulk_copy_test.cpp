// SPDX-License-Identifier: Apache-2.0
// cp.async.bulk between global and shared memory: bytes, mbarriers, groups, proxies.
#include "sim/tests/copy/copy.hpp"

namespace ptxsim::test {
namespace {

constexpr uint32_t kThreads = 64;
constexpr size_t kWords = 256;
const std::string kExpect = "@%p mbarrier.arrive.expect_tx.shared.b64 %state, [%b], 1024;\n";
const std::string kLoad =
    "@%p cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%s], [%rd_in], 1024, [%b];\n";
const std::string kStore = "@%p cp.async.bulk.global.shared::cta.bulk_group [%rd_out], [%s], 1024;\n";
const std::string kCommit = "@%p cp.async.bulk.commit_group;\n";
const std::string kWaitRead = "@%p cp.async.bulk.wait_group.read 0;\n", kWaitAll = "@%p cp.async.bulk.wait_group 0;\n";

Module kernel(const std::string& body, size_t bytes = 1024) {
  return kernel_of(kBegin + body + "ret;\n", tile_of(bytes));
}
void clean(const std::string& body, const std::vector<uint32_t>& expected) {
  expect_clean(kernel(body), block_of(kThreads), expected, 5, counting(kWords));
}
void caught(HazardId id, const std::string& body) {
  expect_hazard(id, kernel(body), kWords, counting(kWords), kThreads);
}

TEST(bulk_copy, loads_what_an_mbarrier_counts) {
  const std::string shown = wait("%b", "0") + show(kWords, kThreads);
  clean(kExpect + kLoad + shown, counting(kWords));
  clean(kExpect + with(kLoad, "shared::cluster", "shared::cta") + shown, counting(kWords));
  clean(kExpect + with(with(kLoad, "bytes ", "bytes.L2::cache_hint "), "[%b];", "[%b], 0;") + shown, counting(kWords));
  // Bytes may land before they are expected.
  clean(kLoad + kExpect + shown, counting(kWords));
}

TEST(bulk_copy, loads_need_a_wait_for_their_mbarrier) {
  caught(HazardId::H07, kExpect + kLoad + show(kWords, kThreads) + wait("%b", "0"));
  caught(HazardId::H06, kExpect + kLoad);
  // A phase that an arrival alone completes says nothing of the bytes.
  caught(HazardId::H07, with(kExpect, "expect_tx.shared.b64 %state, [%b], 1024", "shared.b64 %state, [%b]") +
                            wait("%b", "0") + kLoad + show(kWords, kThreads));
}

TEST(bulk_copy, bytes_that_do_not_match_are_reported) {
  const std::string shown = wait("%b", "0") + show(kWords, kThreads);
  caught(HazardId::H18, with(kExpect, "1024", "1040") + kLoad + shown);
  caught(HazardId::deadlock, with(kExpect, "1024", "1040") + kLoad + shown);
}

TEST(bulk_copy, loads_wait_for_readers_and_writers_of_their_destination) {
  const std::string rest = kExpect + kLoad + wait("%b", "0") + show(kWords, kThreads);
  const std::string used = fill(kWords, kThreads);
  clean(used + "ld.shared.u32 %v, [tile+64];\nbar.sync 0;\n" + rest, counting(kWords));
  caught(HazardId::H09, used + "ld.shared.u32 %v, [tile+64];\n" + rest);
  caught(HazardId::H08, with(used, "bar.sync 0;\n", "") + rest);
  caught(HazardId::H04, with(used, "fence.proxy.async;\n", "") + rest);
}

TEST(bulk_copy, stores_what_was_handed_to_the_proxy) {
  const std::string used = fill(kWords, kThreads), end = kCommit + kWaitRead;
  clean(used + kStore + end, counting(kWords));
  clean(with(used, "  fence.proxy.async;\n  bar.sync 0;\n", "  bar.sync 0;\n  fence.proxy.async;\n") + kStore + end,
        counting(kWords));
  clean(used + with(with(kStore, "group ", "group.L2::cache_hint "), "1024;", "1024, 0;") + end, counting(kWords));
  caught(HazardId::H04, with(used, "fence.proxy.async;\n", "") + kStore + end);
  caught(HazardId::H08, with(used, "bar.sync 0;\n", "") + kStore + end);
  caught(HazardId::H11, kStore + end);
  caught(HazardId::H06, used + kStore);
  caught(HazardId::H06, used + kStore + kCommit);
  caught(HazardId::H06, used + kStore + kWaitRead);
}

TEST(bulk_copy, sources_of_stores_are_free_when_they_have_been_read) {
  const std::string begin = fill(kWords, kThreads) + kStore + kCommit, overwrite = "st.shared.u32 [tile+32], 5;\n";
  clean(begin + kWaitRead + "@%p " + overwrite, counting(kWords));
  caught(HazardId::H05, begin + "@%p " + overwrite + kWaitRead);
  // The thread that issued it knows; the others learn by a barrier behind the wait.
  const std::string by_another = "setp.eq.u32 %p, %tid1, 32;\n@%p " + overwrite;
  clean(begin + kWaitRead + "bar.sync 0;\n" + by_another, counting(kWords));
  caught(HazardId::H05, begin + "bar.sync 0;\n" + kWaitRead + by_another);
  caught(HazardId::H05, begin + with(kWaitRead, "0;", "1;") + "@%p " + overwrite + kWaitRead);
}

TEST(bulk_copy, results_of_stores_are_known_when_the_group_is_complete) {
  const std::string begin = fill(kWords, kThreads) + kStore + kCommit;
  const std::string look = "@%p ld.global.u32 %v, [%rd_out+4];\n@%p st.global.u32 [%rd_out], %v;\n";
  std::vector<uint32_t> expected = counting(kWords);
  expected[0] = 2;
  clean(begin + kWaitAll + look, expected);
  caught(HazardId::H07, begin + kWaitRead + look);
}

TEST(bulk_copy, groups_are_waited_for_in_their_order) {
  const std::string first = with(kStore, "1024", "512") + kCommit;
  const std::string second = "add.u32 %v, %s, 512;\nadd.u64 %g, %rd_out, 512;\n" +
                             with(with(with(kStore, "1024", "512"), "%s", "%v"), "%rd_out", "%g") + kCommit;
  const std::string begin = fill(kWords, kThreads) + first + second;
  const std::string wait_one = with(kWaitRead, "0;", "1;");
  clean(begin + wait_one + "@%p st.shared.u32 [tile], 5;\n" + kWaitRead, counting(kWords));
  caught(HazardId::H05, begin + wait_one + "@%p st.shared.u32 [tile+512], 5;\n" + kWaitRead);
}

TEST(bulk_copy, addresses_and_sizes_are_checked) {
  const std::string rest = wait("%b", "0");
  caught(HazardId::H22, kExpect + with(kLoad, "1024", "1000") + rest);
  caught(HazardId::H22, kExpect + with(kLoad, "[%s]", "[%s+8]") + rest);
  caught(HazardId::H22, kExpect + with(kLoad, "[%rd_in]", "[%rd_in+8]") + rest);
  caught(HazardId::H22, kExpect + with(kLoad, "[%rd_in]", "[%rd_in+16]") + rest);
  caught(HazardId::H22, kExpect + with(kLoad, "[%s]", "[%s+32]") + rest);
  caught(HazardId::H12, kExpect + with(kLoad, "[%b]", "[%s]") + rest);
  caught(HazardId::H13, kExpect + with(with(kLoad, "[%s]", "[%b]"), "1024", "16") + rest);
  caught(HazardId::H22, fill(kWords, kThreads) + with(kStore, "[%rd_out]", "[%rd_out+16]"));
}

TEST(bulk_copy, prefetches_check_their_addresses_alone) {
  clean(
      "cp.async.bulk.prefetch.L2.global [%rd_in], 1024;\ncp.async.bulk.prefetch.L2.global.L2::cache_hint [%rd_in], 16, "
      "0;\n",
      std::vector<uint32_t>(kWords, 0));
  caught(HazardId::H22, "cp.async.bulk.prefetch.L2.global [%rd_in], 24;\n");
  caught(HazardId::H22, "cp.async.bulk.prefetch.L2.global [%rd_in], 2048;\n");
}

TEST(bulk_copy, copies_of_nothing_do_nothing) {
  clean(with(kExpect, "1024", "0") + with(kLoad, "1024", "0") + wait("%b", "0") + with(kStore, "1024", "0") + kCommit +
            kWaitAll,
        std::vector<uint32_t>(kWords, 0));
}

TEST(bulk_copy, forms_that_do_not_assemble_are_refused) {
  expect_refused("cp.async.bulk.shared::cluster.global.bulk_group [%r1], [%d1], %r2;");
  expect_refused("cp.async.bulk.global.shared::cta.mbarrier::complete_tx::bytes [%d1], [%r1], %r2, [%r3];");
  expect_refused("cp.async.bulk.global.global.bulk_group [%d1], [%d2], %r2;");
  expect_refused("cp.async.bulk.shared::cta.shared::cta.mbarrier::complete_tx::bytes [%r1], [%r2], %r3, [%r4];");
  expect_refused(
      "cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes.multicast::cluster [%r1], [%d1], %r3, "
      "[%r4], %h1;");
  expect_refused("cp.async.bulk.commit_group 1;");
  expect_refused("cp.async.bulk.wait_group;");
  expect_refused("cp.async.bulk.wait_group -1;");
}

}  // namespace
}  // namespace ptxsim::test
