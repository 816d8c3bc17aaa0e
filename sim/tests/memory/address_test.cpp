// SPDX-License-Identifier: Apache-2.0
// H11, H19 and H22: each fault with its near miss.
#include <gtest/gtest.h>

#include "sim/tests/support/run.hpp"

namespace ptxsim::test {
namespace {

const char* const kRegisters = R"(
  .reg .b32 %r<16>; .reg .b64 %rd<16>; .reg .pred %p<4>;
  mul.wide.u32 %rd8, %tid1, 4;
  add.u64 %rd1, %rd_out, %rd8;
)";

Module body(const std::string& text) { return kernel_of(kRegisters + text + "\n  ret;"); }

std::string fault(const std::string& text, HazardId id = HazardId::H22, LaunchOptions options = block_of(32)) {
  const Ran ran = run(body(text), {}, options, 32, {1, 2, 3, 4});
  EXPECT_TRUE(ran.report.has(id)) << ran.report.text();
  EXPECT_FALSE(ran.report.finished);
  return ran.report.hazards.empty() ? "" : ran.report.hazards.back().what;
}

void fine(const std::string& text, LaunchOptions options = block_of(32)) {
  const Ran ran = run(body(text), {}, options, 32, {1, 2, 3, 4});
  EXPECT_TRUE(ran.report.clean()) << ran.report.text();
}

TEST(address, a_global_access_past_the_end_names_its_buffer) {
  fine("ld.global.u32 %r1, [%rd_in+12];");
  const std::string what = fault("ld.global.u32 %r1, [%rd_in+16];");
  EXPECT_NE(what.find("0 bytes past the end of in (16 bytes"), std::string::npos) << what;
  EXPECT_NE(fault("ld.global.u64 %rd2, [%rd_in+16];").find("past the end of in"), std::string::npos);
  EXPECT_NE(fault("ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd_in+16];").find("in (16"), std::string::npos);
  EXPECT_NE(fault("st.global.u32 [%rd_out+-4], 1;").find("before out (128"), std::string::npos);
  fault("mov.u64 %rd2, 0;\n ld.global.u32 %r1, [%rd2];");
}

TEST(address, the_lane_that_leaves_the_buffer_is_named) {
  const Ran ran = run(body("add.u64 %rd2, %rd1, 4;\n st.global.u32 [%rd2], %tid1;"), {}, block_of(32), 32);
  ASSERT_FALSE(ran.report.hazards.empty());
  EXPECT_EQ(ran.report.hazards.back().id, HazardId::H22);
  EXPECT_EQ(ran.report.hazards.back().site.lane, 31);
}

TEST(address, accesses_are_aligned_to_their_whole_size) {
  EXPECT_NE(fault("ld.global.u32 %r1, [%rd_in+2];").find("multiple of 4"), std::string::npos);
  EXPECT_NE(fault("ld.global.v2.u32 {%r1, %r2}, [%rd_in+4];").find("multiple of 8"), std::string::npos);
  fine("ld.global.v2.u32 {%r1, %r2}, [%rd_in+8];");
  fault("atom.global.add.u32 %r1, [%rd_in+2], 1;");
}

TEST(address, a_shared_access_stays_in_the_ctas_bytes) {
  const std::string tile = ".shared .align 16 .b8 t[64];\n mov.u32 %r1, t;\n st.shared.u32 [%r1+60], 1;\n";
  fine(tile + "ld.shared.u32 %r2, [%r1+60];", block_of(1));
  EXPECT_NE(fault(tile + "ld.shared.u32 %r2, [%r1+64];").find("outside the CTA's 64 bytes"), std::string::npos);
  EXPECT_NE(fault("mov.u32 %r1, 16;\n ld.shared.u32 %r2, [%r1];").find("outside"), std::string::npos)
      << "the hardware's first KiB";
  fault(tile + "ld.global.u32 %r2, [%rd_in+0x1000000];");
  fault("cvta.shared.u64 %rd2, 1024;\n ld.global.u32 %r2, [%rd2];");
}

TEST(address, local_memory_is_the_threads_own_and_bounded) {
  const std::string mine = ".local .align 8 .b8 m[16];\n mov.u64 %rd2, m;\n st.local.u32 [%rd2+12], 1;\n";
  fine(mine + "ld.local.u32 %r2, [%rd2+12];");
  EXPECT_NE(fault(mine + "ld.local.u32 %r2, [%rd2+4096];").find("local address"), std::string::npos);
}

TEST(address, parameters_and_constants_are_not_written) {
  fault("mov.b64 %rd2, k_in;\n cvta.param.u64 %rd3, %rd2;\n st.u64 [%rd3], 0;");
  const Module module = kernel_of(std::string(kRegisters) + R"(
    mov.u64 %rd2, table;
    cvta.const.u64 %rd2, %rd2;
    st.u32 [%rd2], 1;
    ret;)",
                                  ".const .align 4 .u32 table[3] = {1, 2, 3};\n");
  EXPECT_TRUE(run(module, {}, block_of(1), 1).report.has(HazardId::H22));
}

TEST(cluster_address, names_a_cta_of_the_cluster) {
  LaunchOptions options = block_of(32);
  options.grid.x = options.cluster.x = 2;
  const std::string tile = R"(
    .shared .align 16 .b8 t[128];
    mov.u32 %r1, t;
    mov.u32 %r5, %cluster_ctarank;
    mad.lo.u32 %r6, %tid1, 4, %r1;
    add.u32 %r7, %tid1, %r5;
    st.shared.u32 [%r6], %r7;
    barrier.cluster.arrive;
    barrier.cluster.wait;
    xor.b32 %r4, %r5, 1;
    mapa.shared::cluster.u32 %r2, %r6, %r4;
)";
  fine(tile + "ld.shared::cluster.u32 %r3, [%r2];\n barrier.cluster.arrive;\n barrier.cluster.wait;", options);
  EXPECT_NE(fault(tile + "ld.shared.u32 %r3, [%r2];", HazardId::H22, options).find(".shared::cta"), std::string::npos);
  EXPECT_NE(fault(tile + "add.u32 %r2, %r6, 0x3000000;\n ld.shared::cluster.u32 %r3, [%r2];", HazardId::H19, options)
                .find("rank 2"),
            std::string::npos);
}

TEST(cluster_address, a_cta_that_has_exited_is_not_accessed) {
  LaunchOptions options = block_of(32);
  options.grid.x = options.cluster.x = 2;
  // Rank 1 leaves at once; rank 0 spins long enough to see it gone, then looks into its memory.
  const Module module = body(R"(
    .shared .align 16 .b8 t[128];
    mov.u32 %r1, t;
    st.shared.u32 [%r1], 1;
    mov.u32 %r5, %cluster_ctarank;
    barrier.cluster.arrive;
    barrier.cluster.wait;
    setp.eq.u32 %p1, %r5, 1;
    @%p1 ret;
    mov.u32 %r6, 0;
loop:
    add.u32 %r6, %r6, 1;
    setp.lt.u32 %p2, %r6, 4000;
    @%p2 bra loop;
    mapa.shared::cluster.u32 %r2, %r1, 1;
    ld.shared::cluster.u32 %r3, [%r2];)");
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const Ran ran = run(module, {.seed = seed}, options, 1);
    EXPECT_TRUE(ran.report.has(HazardId::H19)) << ran.report.text();
  }
}

TEST(initialised, reads_of_bytes_nobody_wrote_are_reported) {
  const std::string tile = ".shared .align 16 .b8 t[64];\n mov.u32 %r1, t;\n";
  const auto has = [](const std::string& text) {
    return run(body(text), {}, block_of(1), 1).report.has(HazardId::H11);
  };
  EXPECT_TRUE(has(tile + "ld.shared.u32 %r2, [%r1];"));
  EXPECT_TRUE(has(tile + "st.shared.u16 [%r1], 1;\n ld.shared.u32 %r2, [%r1];"));
  EXPECT_FALSE(has(tile + "st.shared.u16 [%r1], 1;\n st.shared.b16 [%r1+2], 1;\n ld.shared.u32 %r2, [%r1];"));
  EXPECT_TRUE(has(tile + "red.shared.add.u32 [%r1], 1;"));
  EXPECT_TRUE(has(".local .align 8 .b8 m[16];\n mov.u64 %rd2, m;\n ld.local.u32 %r2, [%rd2];"));
  EXPECT_FALSE(
      has(".local .align 8 .b8 m[16];\n mov.u64 %rd2, m;\n st.local.u32 [%rd2], 1;\n ld.local.u32 %r2, [%rd2];"));
}

TEST(initialised, global_memory_counts_as_written_when_uploaded_or_stored) {
  const Module module = kernel_of(R"(
    .reg .b32 %r<4>;
    ld.global.u32 %r1, [%rd_in];
    st.global.u32 [%rd_out], %r1;
    ret;)");
  Device device;
  const uint64_t out = device.alloc(4, "out"), in = device.alloc(4, "in");
  const auto launch = [&](uint64_t to, uint64_t from) {
    return device.launch(module, "k", block_of(1), arguments(to, from)).value();
  };
  EXPECT_TRUE(launch(out, in).has(HazardId::H11));
  EXPECT_TRUE(device.fill(in, 1, 4).ok());
  EXPECT_TRUE(launch(out, in).clean());
  EXPECT_TRUE(launch(in, out).clean());
  EXPECT_EQ(device.download_all<uint32_t>(in, 1)[0], 0x01010101u);
}

}  // namespace
}  // namespace ptxsim::test
