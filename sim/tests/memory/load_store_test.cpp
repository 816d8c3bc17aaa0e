// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "sim/tests/support/run.hpp"

namespace ptxsim::test {
namespace {

const char* const kRegisters = R"(
  .reg .b16 %h<8>; .reg .b32 %r<16>; .reg .b64 %rd<16>; .reg .b128 %q<2>; .reg .f32 %f<8>; .reg .pred %p<4>;
  mul.wide.u32 %rd8, %tid1, 4;
  add.u64 %rd1, %rd_out, %rd8;
  add.u64 %rd2, %rd_in, %rd8;
)";

Module body(const std::string& text, const std::string& declarations = "") {
  return kernel_of(kRegisters + text + "\n  ret;", declarations);
}

std::vector<uint32_t> clean(const Module& module, uint32_t threads, size_t words,
                            const std::vector<uint32_t>& in = {0}) {
  const Ran ran = run(module, {}, block_of(threads), words, in);
  EXPECT_TRUE(ran.report.clean()) << ran.report.text();
  return ran.out;
}

TEST(load, narrow_types_are_extended_to_the_register) {
  const Module module = body(R"(
    ld.global.s8 %r1, [%rd_in];
    ld.global.u8 %r2, [%rd_in];
    ld.global.s16 %r3, [%rd_in];
    ld.global.u16 %r4, [%rd_in];
    ld.global.s8 %h1, [%rd_in];
    cvt.u32.u16 %r5, %h1;
    ld.global.s32 %rd3, [%rd_in];
    ld.global.b8 %rd4, [%rd_in];
    st.global.u32 [%rd_out], %r1;
    st.global.u32 [%rd_out+4], %r2;
    st.global.u32 [%rd_out+8], %r3;
    st.global.u32 [%rd_out+12], %r4;
    st.global.u32 [%rd_out+16], %r5;
    st.global.u64 [%rd_out+24], %rd3;
    st.global.u64 [%rd_out+32], %rd4;)");
  EXPECT_EQ(clean(module, 1, 10, {0x8000ff80}),
            (std::vector<uint32_t>{0xffffff80, 0x80, 0xffffff80, 0xff80, 0xff80, 0, 0x8000ff80, 0xffffffff, 0x80, 0}));
}

TEST(load, vectors_fill_their_registers_in_order) {
  const Module module = body(R"(
    ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd_in];
    st.global.v2.f32 [%rd_out], {%f4, %f3};
    ld.global.nc.L1::no_allocate.v4.b32 {%r1, _, %r3, %r4}, [%rd_in];
    st.global.v2.b32 [%rd_out+8], {%r1, %r3};
    ld.global.v2.u8 {%r5, %r6}, [%rd_in];
    st.global.v2.b32 [%rd_out+16], {%r6, %r5};
    ld.global.v2.b64 {%rd3, %rd4}, [%rd_in];
    st.global.v2.b64 [%rd_out+32], {%rd4, %rd3};
    ld.global.b128 %q1, [%rd_in];
    st.global.b128 [%rd_out+48], %q1;
    st.global.v2.b32 [%rd_out+24], {7, 0x80000000};)");
  EXPECT_EQ(clean(module, 1, 16, {0x201, 2, 3, 4}),
            (std::vector<uint32_t>{4, 3, 0x201, 3, 2, 1, 7, 0x80000000, 3, 4, 0x201, 2, 0x201, 2, 3, 4}));
}

TEST(store, narrow_types_take_the_low_bits_of_wider_registers) {
  const Module module = body(R"(
    mov.b64 %rd3, 0x1122334455667788;
    cvt.u16.u64 %h1, %rd3;
    st.global.b8 [%rd_out], %rd3;
    st.global.b8 [%rd_out+1], %h1;
    st.global.b16 [%rd_out+2], %rd3;
    st.global.u32 [%rd_out+4], %rd3;
    st.global.v2.b16 [%rd_out+8], {%h1, %h1};)");
  EXPECT_EQ(clean(module, 1, 3), (std::vector<uint32_t>{0x77888888, 0x55667788, 0x77887788}));
}

TEST(load, guarded_lanes_touch_nothing) {
  const Module module = body(R"(
    setp.lt.u32 %p1, %tid1, 3;
    mov.u32 %r1, 9;
    @%p1 ld.global.u32 %r1, [%rd2];
    st.global.u32 [%rd1], %r1;)");
  EXPECT_EQ(clean(module, 6, 6, {5, 6, 7}), (std::vector<uint32_t>{5, 6, 7, 9, 9, 9}));
}

TEST(load, shared_memory_holds_what_its_thread_stored) {
  const Module module = body(R"(
    .shared .align 16 .b8 tile[1024];
    mov.u32 %r1, tile;
    mad.lo.u32 %r2, %tid1, 8, %r1;
    st.shared.v2.b32 [%r2], {%tid1, 77};
    ld.shared::cta.u32 %r3, [%r2+4];
    ld.shared.u32 %r4, [%r2];
    add.u32 %r4, %r4, %r3;
    st.global.u32 [%rd1], %r4;)");
  std::vector<uint32_t> expected(64);
  for (uint32_t i = 0; i < 64; ++i) expected[i] = i + 77;
  expect_clean(module, block_of(64), expected, 2);
}

TEST(load, generic_addresses_reach_every_window) {
  const Module module = body(R"(
    .shared .align 4 .b8 tile[256];
    .local .align 4 .b8 mine[16];
    mov.u64 %rd3, tile;
    cvta.shared.u64 %rd3, %rd3;
    add.u64 %rd3, %rd3, %rd8;
    st.u32 [%rd3], %tid1;
    mov.u64 %rd4, mine;
    cvta.local.u64 %rd5, %rd4;
    st.u32 [%rd5+4], 100;
    ld.local.u32 %r1, [%rd4+4];
    ld.u32 %r2, [%rd3];
    add.u32 %r1, %r1, %r2;
    ld.u32 %r3, [%rd2];
    add.u32 %r1, %r1, %r3;
    st.u32 [%rd1], %r1;)");
  std::vector<uint32_t> in(40), expected(40);
  for (uint32_t i = 0; i < 40; ++i) in[i] = 1000 * i, expected[i] = 1000 * i + 100 + i;
  expect_clean(module, block_of(40), expected, 2, in);
}

TEST(load, lanes_of_one_load_may_be_in_different_windows) {
  const Module module = body(R"(
    .shared .align 4 .b8 tile[256];
    mov.u64 %rd3, tile;
    add.u64 %rd4, %rd3, %rd8;
    st.shared.u32 [%rd4], 5;
    cvta.shared.u64 %rd4, %rd4;
    and.b32 %r1, %tid1, 1;
    setp.eq.u32 %p1, %r1, 0;
    selp.b64 %rd5, %rd4, %rd2, %p1;
    ld.u32 %r2, [%rd5];
    st.global.u32 [%rd1], %r2;)");
  EXPECT_EQ(clean(module, 6, 6, {10, 11, 12, 13, 14, 15}), (std::vector<uint32_t>{5, 11, 5, 13, 5, 15}));
}

TEST(load, constant_and_module_variables_have_their_initial_values) {
  const Module module = body(R"(
    ld.const.u32 %r1, [table+4];
    ld.global.u32 %r2, [counter];
    mov.u64 %rd3, table;
    cvta.const.u64 %rd3, %rd3;
    ld.u32 %r3, [%rd3+8];
    st.global.u32 [%rd_out], %r1;
    st.global.u32 [%rd_out+4], %r2;
    st.global.u32 [%rd_out+8], %r3;)",
                             ".const .align 4 .u32 table[3] = {1, 2, 3};\n.global .align 4 .u32 counter = 42;\n");
  EXPECT_EQ(clean(module, 1, 3), (std::vector<uint32_t>{2, 42, 3}));
}

TEST(load, parameters_have_generic_addresses) {
  const Module module = body(R"(
    mov.b64 %rd3, k_in;
    cvta.param.u64 %rd4, %rd3;
    ld.u64 %rd5, [%rd4];
    sub.u64 %rd5, %rd5, %rd_in;
    st.global.u64 [%rd_out], %rd5;)");
  EXPECT_EQ(clean(module, 1, 2), (std::vector<uint32_t>{0, 0}));
}

TEST(store, lanes_may_store_the_same_value_to_the_same_bytes) {
  expect_clean(body("st.global.u32 [%rd_out], 3;"), block_of(32), {3}, 1);
  const Module differing = body("st.global.u32 [%rd_out], %tid1;");
  expect_always(HazardId::H10, differing, block_of(32), 1, 1);
  const Module shared = body(".shared .align 4 .b8 t[4];\n shr.u32 %r1, %tid1, 1;\n st.shared.u32 [t], %r1;");
  expect_always(HazardId::H08, shared, block_of(32), 1, 1);
}

TEST(load, counts_bytes_and_bank_conflicts) {
  const Module module = body(R"(
    .shared .align 128 .b8 tile[4096];
    mov.u32 %r1, tile;
    mad.lo.u32 %r2, %tid1, 4, %r1;
    mad.lo.u32 %r3, %tid1, 128, %r1;
    st.shared.u32 [%r2], 1;
    st.shared.u32 [%r3], 1;
    ld.global.u32 %r4, [%rd2];
    st.global.u32 [%rd1], %r4;)");
  const Ran ran = run(module, {}, block_of(32), 32, std::vector<uint32_t>(32, 1), Checks{false, true, true, {}});
  EXPECT_TRUE(ran.report.clean()) << ran.report.text();
  EXPECT_EQ(ran.report.counts.global_read_bytes, 128u);
  EXPECT_EQ(ran.report.counts.global_written_bytes, 128u);
  EXPECT_EQ(ran.report.counts.shared_written_bytes, 256u);
  EXPECT_EQ(ran.report.counts.shared_accesses, 2u);
  EXPECT_EQ(ran.report.counts.shared_wavefronts, 33u);
}

TEST(load, refuses_what_the_assembler_refuses) {
  const auto refused = [](const std::string& line) {
    const std::string text =
        ".version 8.7\n.target sm_90a\n.address_size 64\n.visible .entry k(.param .u64 p)\n{\n"
        ".reg .b32 %r<9>; .reg .b64 %rd<3>; .reg .f32 %f<9>;\nld.param.u64 %rd1, [p];\n" +
        line + "\nret;\n}\n";
    return !Module::parse(text).ok();
  };
  EXPECT_FALSE(refused("ld.global.relaxed.gpu.u32 %r1, [%rd1];"));
  EXPECT_TRUE(refused("ld.global.relaxed.u32 %r1, [%rd1];"));
  EXPECT_TRUE(refused("ld.gpu.global.u32 %r1, [%rd1];"));
  EXPECT_TRUE(refused("ld.release.gpu.global.u32 %r1, [%rd1];"));
  EXPECT_TRUE(refused("st.acquire.gpu.global.u32 [%rd1], %r1;"));
  EXPECT_TRUE(refused("ld.global.f16 %r1, [%rd1];"));
  EXPECT_TRUE(refused("ld.global.u64 %r1, [%rd1];"));
  EXPECT_TRUE(refused("ld.global.v8.f32 {%f1,%f2,%f3,%f4,%f5,%f6,%f7,%f8}, [%rd1];"));
  EXPECT_TRUE(refused("ld.global.v4.f32 {%f1,%f2,%f3}, [%rd1];"));
  EXPECT_TRUE(refused("ld.global.L3::fast.u32 %r1, [%rd1];"));
  EXPECT_TRUE(refused("st.const.u32 [%rd1], %r1;"));
}

TEST(cache, instructions_about_caches_have_no_effect) {
  const Module module = body(R"(
    prefetch.global.L2 [%rd_in];
    prefetch.L1 [%rd_in];
    prefetch.global.L2::evict_last [%rd_in];
    prefetchu.L1 [%rd_in];
    applypriority.global.L2::evict_normal [%rd_in], 128;
    createpolicy.fractional.L2::evict_last.L2::evict_unchanged.b64 %rd3, 0.5;
    createpolicy.fractional.L2::evict_first.b64 %rd3;
    createpolicy.range.global.L2::evict_last.L2::evict_unchanged.b64 %rd4, [%rd_in], 128, 256;
    createpolicy.cvt.L2.b64 %rd5, 0x10F0000000000000;
    ld.global.L1::evict_last.L2::cache_hint.L2::128B.u32 %r1, [%rd_in], %rd3;
    st.global.L2::cache_hint.u32 [%rd_out], %r1, %rd3;
    ld.global.ca.nc.u32 %r1, [%rd_in];
    ld.volatile.global.u32 %r2, [%rd_in];
    ld.mmio.relaxed.sys.global.u32 %r3, [%rd_in];
    ldu.global.u32 %r4, [%rd_in];
    add.u32 %r1, %r1, %r2;
    add.u32 %r1, %r1, %r3;
    add.u32 %r1, %r1, %r4;
    st.global.cs.u32 [%rd_out+4], %r1;)");
  EXPECT_EQ(clean(module, 1, 2, {5}), (std::vector<uint32_t>{5, 20}));
}

}  // namespace
}  // namespace ptxsim::test
