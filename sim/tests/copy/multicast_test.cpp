// SPDX-License-Identifier: Apache-2.0
// Bulk copies inside a cluster: from one CTA's shared memory to another's, and to several at once.
#include "sim/tests/copy/copy.hpp"

namespace ptxsim::test {
namespace {

constexpr uint32_t kThreads = 32;
constexpr size_t kWords = 64;

LaunchOptions pair() {
  LaunchOptions options = block_of(kThreads);
  options.grid.x = options.cluster.x = 2;
  return options;
}

/// Both CTAs have an mbarrier that the other may use; %rank, %p (thread 0), output of the own CTA at %rd_out.
const std::string kPairBegin = R"(
  .reg .b32 %s, %b, %v, %i, %rank, %far, %far_bar;
  .reg .b64 %g, %state;
  .reg .b16 %both;
  .reg .pred %p, %first, %both_true;
  mov.u32 %s, tile;
  mov.u32 %b, full;
  mov.u16 %both, 3;
  mov.u32 %rank, %cluster_ctarank;
  setp.eq.u32 %p, %tid1, 0;
  @%p mbarrier.init.shared.b64 [%b], 1;
  @%p fence.mbarrier_init.release.cluster;
  barrier.cluster.arrive.release.aligned;
  barrier.cluster.wait.acquire.aligned;
  mul.wide.u32 %g, %rank, 256;
  add.u64 %rd_out, %rd_out, %g;
  setp.eq.and.u32 %first, %rank, 0, %p;
)";
const std::string kMeet = "barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;\n";
const std::string kExpect = "@%p mbarrier.arrive.expect_tx.shared.b64 %state, [%b], 256;\n";
const std::string kMulticast =
    "@%first cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%s], [%rd_in], 256, "
    "[%b], %both;\n";

Module kernel(const std::string& body) { return kernel_of(kPairBegin + body + "ret;\n", tile_of(256)); }

std::vector<uint32_t> twice(const std::vector<uint32_t>& values) {
  std::vector<uint32_t> out = values;
  out.insert(out.end(), values.begin(), values.end());
  return out;
}

TEST(multicast, lands_at_the_same_offset_in_each_cta) {
  const std::string shown = wait("%b", "0") + show(kWords, kThreads);
  expect_clean(kernel(kExpect + kMulticast + shown), pair(), twice(counting(kWords)), 5, counting(kWords));
  // Each CTA sends a half of it to both.
  const std::string half = with(with(kMulticast, "@%first", "@%p"), "256", "128");
  const std::string halves =
      "shl.b32 %v, %rank, 7;\nadd.u32 %i, %s, %v;\ncvt.u64.u32 %g, %v;\nadd.u64 %g, %g, %rd_in;\n" +
      with(with(half, "[%s]", "[%i]"), "[%rd_in]", "[%g]");
  expect_clean(kernel(kExpect + halves + shown), pair(), twice(counting(kWords)), 5, counting(kWords));
}

TEST(multicast, needs_every_destination_to_be_free) {
  // CTA 1 still reads its tile when CTA 0 sends the next: an exchange of barriers is missing.
  const std::string first = kExpect + kMulticast + wait("%b", "0") + "ld.shared.u32 %v, [tile];\n";
  const std::string second = kExpect + kMulticast + wait("%b", "1") + show(kWords, kThreads);
  expect_always(HazardId::H09, kernel(first + second), pair(), 2 * kWords, 5, counting(kWords));
  expect_clean(kernel(first + kMeet + second), pair(), twice(counting(kWords)), 5, counting(kWords));
}

TEST(multicast, its_mask_names_ctas_of_the_cluster) {
  const std::string rest = wait("%b", "0");
  for (const char* mask : {"4", "0"})
    expect_always(HazardId::H19, kernel("mov.u16 %both, " + std::string(mask) + ";\n" + kExpect + kMulticast + rest),
                  pair(), 1, 3, counting(kWords));
  // One that expects nothing sees its mbarrier's bytes out of balance.
  expect_always(HazardId::H18, kernel("mov.u16 %both, 1;\n" + kExpect + kMulticast + rest), pair(), 1, 3,
                counting(kWords));
}

TEST(multicast, an_mbarrier_must_be_ready_for_other_ctas) {
  const std::string unfenced = with(kPairBegin, "  @%p fence.mbarrier_init.release.cluster;\n", "");
  const Module module = kernel_of(unfenced + kExpect + kMulticast + wait("%b", "0") + "ret;\n", tile_of(256));
  expect_always(HazardId::H24, module, pair(), 1, 5, counting(kWords));
}

/// CTA 0 sends its tile to CTA 1.
const std::string kSend = R"(mapa.shared::cluster.u32 %far, %s, 1;
  mapa.shared::cluster.u32 %far_bar, %b, 1;
  @%first cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%far], [%s], 256, [%far_bar];
)";
const std::string kOnlySecond = "setp.eq.u32 %both_true, %rank, 0;\n@%both_true bra END;\n";

TEST(multicast, shared_memory_is_copied_to_another_cta) {
  std::vector<uint32_t> expected(2 * kWords, 0);
  for (size_t i = 0; i < kWords; ++i) expected[kWords + i] = static_cast<uint32_t>(i) + 1;
  const std::string receive = kOnlySecond + kExpect + wait("%b", "0") + show(kWords, kThreads) + "END:\n";
  const std::string source = fill(kWords, kThreads) + kMeet;
  expect_clean(kernel(source + kSend + receive + kMeet), pair(), expected, 5, counting(kWords));
  // The sender's memory must outlive the copy.
  expect_always(HazardId::H06, kernel(source + kSend + receive), pair(), 2 * kWords, 5, counting(kWords));
  // And may not be overwritten before.
  const std::string overwrite = "@%first st.shared.u32 [tile], 9;\n";
  expect_always(HazardId::H05, kernel(source + kSend + overwrite + receive + kMeet), pair(), 2 * kWords, 5,
                counting(kWords));
  expect_clean(kernel(source + kSend + receive + kMeet + overwrite), pair(), expected, 5, counting(kWords));
}

TEST(multicast, destination_and_mbarrier_are_in_one_cta) {
  const std::string wrong = with(kSend, "[%far_bar]", "[%b]");
  expect_always(HazardId::H22, kernel(fill(kWords, kThreads) + kMeet + wrong + kMeet), pair(), 1, 3, counting(kWords));
}

}  // namespace
}  // namespace ptxsim::test
