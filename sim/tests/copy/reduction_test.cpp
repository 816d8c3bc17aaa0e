// SPDX-License-Identifier: Apache-2.0
// cp.reduce.async.bulk: what it computes, and that reductions do not race among themselves.
#include <bit>
#include <cmath>
#include <functional>

#include "sim/tests/copy/copy.hpp"

namespace ptxsim::test {
namespace {

constexpr uint32_t kThreads = 32;

/// out = out op in, 16 bytes.
std::vector<uint32_t> reduced(const std::string& operation, const std::vector<uint32_t>& out,
                              const std::vector<uint32_t>& in) {
  const Module module =
      kernel_of(kBegin + fill(in.size(), kThreads) + "@%p cp.reduce.async.bulk.global.shared::cta.bulk_group." +
                    operation + " [%rd_out], [%s], " + std::to_string(in.size() * 4) +
                    ";\n@%p cp.async.bulk.commit_group;\n@%p cp.async.bulk.wait_group 0;\nret;\n",
                tile_of(in.size() * 4));
  Device device(Schedule{.seed = 3, .async = AsyncPolicy::split});
  const uint64_t out_at = device.upload_new(out, "out"), in_at = device.upload_new(in, "in");
  const Result<RunReport> report = device.launch(module, "k", block_of(kThreads), arguments(out_at, in_at));
  EXPECT_TRUE(report.ok() && report->clean()) << (report.ok() ? report->text() : report.status().message());
  return device.download_all<uint32_t>(out_at, out.size());
}

template <class T, class F>
void expect_words(const std::string& operation, const std::vector<T>& out, const std::vector<T>& in, F f) {
  std::vector<T> expected(out.size());
  for (size_t i = 0; i < out.size(); ++i) expected[i] = static_cast<T>(f(out[i], in[i]));
  const auto words = [](const std::vector<T>& values) {
    std::vector<uint32_t> bits(values.size() * sizeof(T) / 4);
    std::memcpy(bits.data(), values.data(), bits.size() * 4);
    return bits;
  };
  EXPECT_EQ(reduced(operation, words(out), words(in)), words(expected)) << operation;
}

template <class T>
T smaller(T a, T b) {
  return std::min(a, b);
}
template <class T>
T larger(T a, T b) {
  return std::max(a, b);
}

TEST(reduction, of_integers) {
  const std::vector<uint32_t> a = {0, 1, 0xffffffff, 0x80000000, 5, 7, 7, 9}, b = {1, 1, 2, 0x80000000, 5, 6, 8, 0};
  expect_words("add.u32", a, b, std::plus<uint32_t>());
  expect_words("add.s32", a, b, std::plus<uint32_t>());
  expect_words("min.u32", a, b, smaller<uint32_t>);
  expect_words("max.u32", a, b, larger<uint32_t>);
  expect_words("inc.u32", a, b, [](uint32_t x, uint32_t y) { return x >= y ? 0 : x + 1; });
  expect_words("dec.u32", a, b, [](uint32_t x, uint32_t y) { return x == 0 || x > y ? y : x - 1; });
  expect_words("and.b32", a, b, std::bit_and<uint32_t>());
  expect_words("or.b32", a, b, std::bit_or<uint32_t>());
  expect_words("xor.b32", a, b, std::bit_xor<uint32_t>());
  const std::vector<int32_t> c = {-1, 5, INT32_MIN, 7}, d = {1, -5, INT32_MAX, 7};
  expect_words("min.s32", c, d, smaller<int32_t>);
  expect_words("max.s32", c, d, larger<int32_t>);
  const std::vector<uint64_t> e = {~0ull, 1}, f = {1, 1ull << 40};
  expect_words("add.u64", e, f, std::plus<uint64_t>());
  expect_words("min.u64", e, f, smaller<uint64_t>);
  expect_words("xor.b64", e, f, std::bit_xor<uint64_t>());
  expect_words("max.s64", std::vector<int64_t>{-1, 1}, std::vector<int64_t>{1, INT64_MIN}, larger<int64_t>);
}

TEST(reduction, of_reals) {
  expect_words("add.f32", std::vector<float>{1.5f, -2.0f, 1e30f, 0x1p-149f}, {0.25f, 3.0f, 1e30f, 0x1p-149f},
               [](float x, float y) { return std::fabs(x) < 0x1p-126f ? 0.0f : x + y; });
  expect_words("add.f64", std::vector<double>{1.5, 0x1p-1074}, {0x1p-60, 0x1p-1074}, std::plus<double>());
  // 1 + 2^-11 is a tie, to the even 1; 1.001 in binary + itself; the largest half + itself overflows.
  expect_words("add.noftz.f16", std::vector<uint16_t>{0x3c00, 0x3c01, 0x7bff, 0x0001, 0xbc00, 0, 0x7e00, 0x3c00},
               {0x1000, 0x3c01, 0x7bff, 0x0001, 0x3c00, 0, 0x3c00, 0x4000}, [](uint16_t x, uint16_t y) {
                 switch (x) {
                   case 0x3c01: return 0x4001;
                   case 0x7bff: return 0x7c00;
                   case 0x0001: return 0x0002;
                   case 0x7e00: return 0x7fff;
                   case 0x3c00: return y == 0x1000 ? 0x3c00 : 0x4200;
                   default: return 0;
                 }
               });
  expect_words("max.bf16", std::vector<uint16_t>{0x3f80, 0xbf80, 0x8000, 0x7fc0, 0x3f80, 0, 0, 0},
               {0x4000, 0xc000, 0x0000, 0x3f80, 0x7fc0, 0, 0, 0}, [](uint16_t x, uint16_t y) {
                 if (x == 0x7fc0) return y;
                 if (y == 0x7fc0) return x;
                 return std::bit_cast<float>(x << 16) > std::bit_cast<float>(y << 16) || (x == 0 && y == 0x8000) ? x
                                                                                                                 : y;
               });
}

TEST(reduction, of_many_ctas_do_not_race) {
  const Module module = kernel_of(kBegin + fill(64, kThreads) + R"(
  @%p cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 [%rd_out], [%s], 256;
  @%p cp.async.bulk.commit_group;
  @%p cp.async.bulk.wait_group.read 0;
  ret;
)",
                                  tile_of(256));
  LaunchOptions options = block_of(kThreads);
  options.grid.x = 5;
  std::vector<uint32_t> expected = counting(64);
  for (uint32_t& value : expected) value *= 5;
  for_each_schedule(5, [&](Schedule schedule) {
    schedule.interleave_clusters = true;
    const Ran ran = run(module, schedule, options, 64, counting(64));
    EXPECT_TRUE(ran.report.clean()) << ran.report.text();
    EXPECT_EQ(ran.out, expected) << schedule.text();
    return true;
  });
}

TEST(reduction, a_plain_store_of_many_ctas_does_race) {
  const Module module = kernel_of(kBegin + fill(64, kThreads) + R"(
  @%p cp.async.bulk.global.shared::cta.bulk_group [%rd_out], [%s], 256;
  @%p cp.async.bulk.commit_group;
  @%p cp.async.bulk.wait_group.read 0;
  ret;
)",
                                  tile_of(256));
  LaunchOptions options = block_of(kThreads);
  options.grid.x = 2;
  expect_always(HazardId::H10, module, options, 64, 5, counting(64));
}

TEST(reduction, adds_to_shared_memory_of_the_cluster) {
  LaunchOptions options = block_of(kThreads);
  options.grid.x = options.cluster.x = 2;
  const Module module = kernel_of(kBegin + fill(64, kThreads) + R"(
  .reg .b32 %rank, %far, %far_bar, %half;
  @%p fence.mbarrier_init.release.cluster;
  @%p mbarrier.arrive.expect_tx.shared.b64 %state, [%b], 128;
  barrier.cluster.arrive.release.aligned;
  barrier.cluster.wait.acquire.aligned;
  mov.u32 %rank, %cluster_ctarank;
  xor.b32 %rank, %rank, 1;
  add.u32 %half, %s, 128;
  mapa.shared::cluster.u32 %far, %half, %rank;
  mapa.shared::cluster.u32 %far_bar, %b, %rank;
  @%p cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes.add.u32 [%far], [%s], 128, [%far_bar];
)" + wait("%b", "0") + R"(
  setp.eq.u32 %p, %rank, 0;
  @%p bra END;
)" + show(64, kThreads) + R"(
END:
  barrier.cluster.arrive.release.aligned;
  barrier.cluster.wait.acquire.aligned;
  ret;
)",
                                  tile_of(256));
  std::vector<uint32_t> expected = counting(64);
  for (size_t i = 32; i < 64; ++i) expected[i] += expected[i - 32];
  expect_clean(module, options, expected, 5, counting(64));
}

TEST(reduction, forms_that_do_not_assemble_are_refused) {
  const std::string global = "cp.reduce.async.bulk.global.shared::cta.bulk_group.";
  for (const char* operation : {"add.f16", "add.noftz.f32", "min.f32", "inc.s32", "and.u32", "add.b32", "add.s64"})
    expect_refused(global + operation + " [%d1], [%r1], %r2;");
  const std::string cluster = "cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes.";
  for (const char* operation : {"add.f32", "add.noftz.bf16", "and.b64", "min.u64"})
    expect_refused(cluster + operation + " [%r1], [%r2], %r3, [%r4];");
  expect_refused(
      "cp.reduce.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.add.u32 [%r1], [%d1], %r3, [%r4];");
}

}  // namespace
}  // namespace ptxsim::test
