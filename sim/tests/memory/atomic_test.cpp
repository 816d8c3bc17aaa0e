// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "sim/tests/support/run.hpp"

namespace ptxsim::test {
namespace {

const char* const kRegisters = R"(
  .reg .b16 %h<16>; .reg .b32 %r<16>; .reg .b64 %rd<16>; .reg .b128 %q<4>; .reg .f32 %f<16>; .reg .f64 %d<4>;
)";

Module body(const std::string& text) { return kernel_of(kRegisters + text + "\n  ret;"); }

std::vector<uint32_t> clean(const Module& module, uint32_t threads, size_t words, const std::vector<uint32_t>& in) {
  const Ran ran = run(module, {}, block_of(threads), words, in);
  EXPECT_TRUE(ran.report.clean()) << ran.report.text();
  return ran.out;
}

/// Memory after `op` on it with `b`, and what the instruction returned.
std::pair<uint32_t, uint32_t> word(const std::string& op, uint32_t memory, uint32_t b, uint32_t c = 0) {
  const bool cas = op.starts_with("cas");
  const auto out = clean(body("ld.global.u32 %r2, [%rd_in+4];\n ld.global.u32 %r3, [%rd_in+8];\n"
                              "atom.global." +
                              op + " %r1, [%rd_in], %r2" + (cas ? ", %r3" : "") +
                              ";\n"
                              "st.global.u32 [%rd_out], %r1;\n ld.global.u32 %r4, [%rd_in];\n"
                              "st.global.u32 [%rd_out+4], %r4;"),
                         1, 2, {memory, b, c});
  return {out[1], out[0]};
}

TEST(atom, words_are_combined_and_the_old_one_returned) {
  using Pair = std::pair<uint32_t, uint32_t>;
  EXPECT_EQ(word("add.u32", 5, 7), (Pair{12, 5}));
  EXPECT_EQ(word("add.s32", 5, static_cast<uint32_t>(-7)), (Pair{static_cast<uint32_t>(-2), 5}));
  EXPECT_EQ(word("min.u32", 5, 0x80000000), (Pair{5, 5}));
  EXPECT_EQ(word("min.s32", 5, 0x80000000), (Pair{0x80000000, 5}));
  EXPECT_EQ(word("max.u32", 5, 0x80000000), (Pair{0x80000000, 5}));
  EXPECT_EQ(word("max.s32", 5, 0x80000000), (Pair{5, 5}));
  EXPECT_EQ(word("inc.u32", 5, 6), (Pair{6, 5}));
  EXPECT_EQ(word("inc.u32", 6, 6), (Pair{0, 6}));
  EXPECT_EQ(word("dec.u32", 5, 6), (Pair{4, 5}));
  EXPECT_EQ(word("dec.u32", 0, 6), (Pair{6, 0}));
  EXPECT_EQ(word("dec.u32", 9, 6), (Pair{6, 9}));
  EXPECT_EQ(word("and.b32", 0xc, 0xa), (Pair{8, 0xc}));
  EXPECT_EQ(word("or.b32", 0xc, 0xa), (Pair{0xe, 0xc}));
  EXPECT_EQ(word("xor.b32", 0xc, 0xa), (Pair{6, 0xc}));
  EXPECT_EQ(word("exch.b32", 1, 2), (Pair{2, 1}));
  EXPECT_EQ(word("cas.b32", 1, 1, 9), (Pair{9, 1}));
  EXPECT_EQ(word("cas.b32", 1, 2, 9), (Pair{1, 1}));
}

TEST(atom, f32_sums_flush_subnormals_in_global_memory_alone) {
  constexpr uint32_t kTiny = 0x00000010;
  EXPECT_EQ(word("add.f32", std::bit_cast<uint32_t>(1.5f), std::bit_cast<uint32_t>(2.25f)).first,
            std::bit_cast<uint32_t>(3.75f));
  EXPECT_EQ(word("add.f32", kTiny, kTiny).first, 0u);
  EXPECT_EQ(word("add.f32", 0x7fc12345, 0).first, 0x7fffffffu);
  const Module shared = body(R"(
    .shared .align 4 .b8 t[4];
    ld.global.u32 %r1, [%rd_in];
    st.shared.u32 [t], %r1;
    ld.global.f32 %f1, [%rd_in];
    red.shared.add.f32 [t], %f1;
    ld.shared.u32 %r2, [t];
    st.global.u32 [%rd_out], %r2;)");
  EXPECT_EQ(clean(shared, 1, 1, {kTiny})[0], 2 * kTiny);
}

TEST(atom, halves_are_rounded_to_nearest_even_and_keep_subnormals) {
  // f16: 1 + 2^-11 is a tie, to even; 0x0001 + 0x0001 = 0x0002. bf16: 1 + 2^-8 is a tie.
  EXPECT_EQ(word("add.noftz.f16x2", 0x00013c00, 0x00011000).first, 0x00023c00u);
  EXPECT_EQ(word("add.noftz.f16x2", 0x00013c01, 0x00011000).first, 0x00023c02u);
  EXPECT_EQ(word("add.noftz.bf16x2", 0x3f803f80, 0x3b803f80).first, 0x3f804000u);
  EXPECT_EQ(word("add.noftz.bf16x2", 0x00010000, 0x00010000).first, 0x00020000u);
  const Module single = body(R"(
    ld.global.b16 %h1, [%rd_in+2];
    atom.global.add.noftz.f16 %h2, [%rd_in], %h1;
    st.global.b16 [%rd_out], %h2;
    ld.global.b16 %h3, [%rd_in];
    st.global.b16 [%rd_out+2], %h3;)");
  EXPECT_EQ(clean(single, 1, 1, {0x40003c00})[0], 0x42003c00u);
}

TEST(atom, vectors_act_on_each_element) {
  const std::vector<float> sums = {1, 2, 3, 4, 10, 20, 30, 40};
  std::vector<uint32_t> in;
  for (const float value : sums) in.push_back(std::bit_cast<uint32_t>(value));
  const Module module = body(R"(
    ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd_in+16];
    atom.global.v4.f32.add {%f1, %f2, %f3, %f4}, [%rd_in], {%f1, %f2, %f3, %f4};
    st.global.v4.f32 [%rd_out], {%f1, %f2, %f3, %f4};
    red.relaxed.gpu.global.add.v2.f32 [%rd_in], {%f1, %f1};
    ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd_in];
    st.global.v4.f32 [%rd_out+16], {%f1, %f2, %f3, %f4};)");
  const auto out = clean(module, 1, 8, in);
  const float expected[] = {1, 2, 3, 4, 12, 23, 33, 44};
  for (size_t i = 0; i < 8; ++i) EXPECT_EQ(std::bit_cast<float>(out[i]), expected[i]) << i;
}

TEST(atom, extremes_of_half_vectors_drop_nans) {
  const Module module = body(R"(
    ld.global.v4.b32 {%r1, %r2, %r3, %r4}, [%rd_in+16];
    atom.global.max.noftz.v4.bf16x2 {%r1, %r2, %r3, %r4}, [%rd_in], {%r1, %r2, %r3, %r4};
    ld.global.v4.b32 {%r1, %r2, %r3, %r4}, [%rd_in];
    st.global.v4.b32 [%rd_out], {%r1, %r2, %r3, %r4};)");
  // max(1, 2), max(-0, +0), max(NaN, 1), max(1, NaN)
  EXPECT_EQ(clean(module, 1, 4,
                  {0x3f803f80, 0x80008000, 0x7fc07fc0, 0x3f803f80,  //
                   0x40003f00, 0x00000000, 0x3f803f80, 0x7fc07fc0}),
            (std::vector<uint32_t>{0x40003f80, 0, 0x3f803f80, 0x3f803f80}));
}

TEST(atom, wide_and_narrow_words) {
  const Module module = body(R"(
    ld.global.u64 %rd1, [%rd_in];
    atom.global.add.u64 %rd2, [%rd_in+8], %rd1;
    st.global.u64 [%rd_out], %rd2;
    atom.global.max.s64 %rd3, [%rd_in+8], -1;
    st.global.u64 [%rd_out+8], %rd3;
    ld.global.b16 %h1, [%rd_in+16];
    atom.global.cas.b16 %h2, [%rd_in+16], %h1, 0x1234;
    ld.global.u32 %r1, [%rd_in+16];
    st.global.u32 [%rd_out+16], %r1;
    ld.global.b128 %q1, [%rd_in+32];
    atom.global.exch.b128 %q2, [%rd_in+48], %q1;
    st.global.b128 [%rd_out+32], %q2;
    atom.global.add.f64 %d1, [%rd_in+24], 0d3FF0000000000000;
    ld.global.u32 %r2, [%rd_in+28];
    st.global.u32 [%rd_out+20], %r2;)");
  const auto out = clean(module, 1, 12, {1, 0, 0xffffffff, 0, 0xabcd5678, 0, 0, 0x3ff00000, 1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(out, (std::vector<uint32_t>{0xffffffff, 0, 0, 1, 0xabcd1234, 0x40000000, 0, 0, 5, 6, 7, 8}));
}

TEST(atom, every_lane_of_every_warp_counts) {
  const Module module = body(R"(
    .shared .align 4 .b8 t[4];
    .reg .pred %p1;
    setp.eq.u32 %p1, %tid1, 0;
    @%p1 st.shared.u32 [t], 0;
    bar.sync 0;
    red.shared.add.u32 [t], 1;
    atom.global.add.u32 _, [%rd_out], %tid1;
    atom.shared::cta.inc.u32 %r1, [t], 0x7fffffff;
    bar.sync 0;
    ld.shared.u32 %r2, [t];
    @%p1 st.global.u32 [%rd_out+4], %r2;)");
  expect_clean(module, block_of(96), {96 * 95 / 2, 192}, 3);
}

TEST(atom, refuses_what_the_assembler_refuses) {
  const auto refused = [](const std::string& line) {
    const std::string text =
        ".version 8.7\n.target sm_90a\n.address_size 64\n.visible .entry k(.param .u64 p)\n{\n"
        ".reg .b16 %h<9>; .reg .b32 %r<9>; .reg .b64 %rd<4>; .reg .f32 %f<9>;\n"
        "ld.param.u64 %rd1, [p];\n" +
        line + "\nret;\n}\n";
    return !Module::parse(text).ok();
  };
  EXPECT_FALSE(refused("atom.gpu.acq_rel.add.u32 %r1, [%rd1], %r3;"));
  EXPECT_FALSE(refused("atom.add.acquire.gpu.global.u32 %r1, [%rd1], %r2;"));
  EXPECT_FALSE(refused("atom.relaxed.gpu.global.add.L2::cache_hint.f32 %f1, [%rd1], %f2, %rd3;"));
  EXPECT_TRUE(refused("atom.add.f16x2 %r1, [%rd1], %r2;")) << ".noftz is missing";
  EXPECT_TRUE(refused("atom.min.f32 %f1, [%rd1], %f2;"));
  EXPECT_TRUE(refused("atom.min.noftz.f16 %h1, [%rd1], %h2;"));
  EXPECT_TRUE(refused("atom.add.s64 %rd2, [%rd1], %rd3;"));
  EXPECT_TRUE(refused("atom.inc.u64 %rd2, [%rd1], %rd3;"));
  EXPECT_TRUE(refused("atom.exch.u32 %r1, [%rd1], %r2;"));
  EXPECT_TRUE(refused("red.exch.b32 [%rd1], %r2;"));
  EXPECT_TRUE(refused("red.acquire.gpu.add.u32 [%rd1], %r2;"));
  EXPECT_TRUE(refused("atom.local.add.u32 %r1, [%rd1], %r2;"));
  EXPECT_TRUE(refused("atom.global.add.v2.u32 {%r1, %r2}, [%rd1], {%r1, %r2};"));
}

}  // namespace
}  // namespace ptxsim::test
