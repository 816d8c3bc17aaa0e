// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/matrix/wgmma_kernel.hpp"

// Several wgmmas in flight: chains on one accumulator, groups, the four warps apart.
namespace ptxsim::test {
namespace {

constexpr uint32_t kN = 16, kDepth = 64;

/// A (64 x 64) and B (64 x 16) of bf16 in tiles with a swizzle of 128 bytes: four steps along k.
struct Problem {
  Matrix a, b;
  std::vector<uint8_t> image;
  std::vector<uint32_t> in;
  Tile tile_a, tile_b;

  Problem() : a(64, kDepth), b(kDepth, kN) {
    std::mt19937 random(3);
    a = random_matrix(64, kDepth, "bf16", random);
    b = random_matrix(kDepth, kN, "bf16", random);
    tile_a = {"bf16", 64, 128, false, 0, 0, 16, 1024};
    tile_a.fill(a, false, image);
    tile_b = {"bf16", kN, 128, false, static_cast<uint32_t>(image.size()), 0, 16, 1024};
    tile_b.fill(b, true, image);
    in = words_of(image);
  }
  uint32_t bytes() const { return static_cast<uint32_t>(image.size()); }
  std::string descriptors() const {
    std::string text = "  .reg .b64 %x<4>, %y<4>;\n";
    for (uint32_t step = 0; step < 4; ++step)
      text += make_descriptor("x" + std::to_string(step), tile_a.descriptor() + 2 * step) +
              make_descriptor("y" + std::to_string(step), tile_b.descriptor() + 2 * step);
    return text;
  }
  /// The words of an accumulator that has added up k steps [first, last).
  std::vector<uint32_t> expected(uint32_t first, uint32_t last) const {
    Matrix d(64, kN);
    for (uint32_t row = 0; row < 64; ++row)
      for (uint32_t k = 16 * first; k < 16 * last; ++k)
        for (uint32_t column = 0; column < kN; ++column) d.at(row, column) += a.at(row, k) * b.at(k, column);
    std::vector<uint32_t> words;
    append_fragment(words, kN / 2, 4, [&](uint32_t thread, uint32_t e) {
      const auto [row, column] = WgmmaText::d_at(thread, e);
      return encode_float(d.at(row, column), 8, 23);
    });
    return words;
  }
};

std::string step(const char* accumulator, int k, bool accumulate) {
  const WgmmaText text{kN, 16, "f32", "bf16", "bf16"};
  return text.instruction(accumulator, "%x" + std::to_string(k), "%y" + std::to_string(k), accumulate ? "%yes" : "%no");
}
std::vector<uint32_t> joined(std::vector<uint32_t> first, const std::vector<uint32_t>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

TEST(wgmma_chain, one_accumulator_adds_up_in_order) {
  const Problem p;
  const Module module = wgmma_kernel(wgmma_prologue(p.bytes()) + publish() + p.descriptors() + kFence +
                                     step("d", 0, false) + step("d", 1, true) + step("d", 2, true) +
                                     step("d", 3, true) + kCommit + wait(0) + store_words("d", 8));
  expect_clean(module, wgmma_block(p.bytes()), p.expected(0, 4), 8, p.in);
}

TEST(wgmma_chain, a_chain_may_go_over_groups_and_waits) {
  const Problem p;
  const Module module =
      wgmma_kernel(wgmma_prologue(p.bytes()) + publish() + p.descriptors() + kFence + step("d", 0, false) + kCommit +
                   step("d", 1, true) + kCommit + wait(1) + step("d", 2, true) + kCommit + wait(1) + kFence +
                   step("d", 3, true) + kCommit + wait(0) + store_words("d", 8));
  expect_clean(module, wgmma_block(p.bytes()), p.expected(0, 4), 8, p.in);
}

TEST(wgmma_chain, the_older_group_is_done_while_the_newer_may_fly) {
  const Problem p;
  const Module module =
      wgmma_kernel(wgmma_prologue(p.bytes()) + publish() + p.descriptors() + kFence + step("d", 0, false) +
                   step("d", 1, true) + kCommit + step("e", 2, false) + step("e", 3, true) + kCommit + wait(1) +
                   store_words("d", 8) + wait(0) + store_words("e", 8, 8));
  expect_clean(module, wgmma_block(p.bytes()), joined(p.expected(0, 2), p.expected(2, 4)), 8, p.in);
}

TEST(wgmma_chain, a_result_is_a_fragment_after_wait_and_fence) {
  // D (f32, 64 x 16) becomes A (bf16, k16) in place: register pairs of D are registers of A.
  const Problem p;
  const std::string pack =
      "  cvt.rn.bf16x2.f32 %a0, %d1, %d0;\n  cvt.rn.bf16x2.f32 %a1, %d3, %d2;\n"
      "  cvt.rn.bf16x2.f32 %a2, %d5, %d4;\n  cvt.rn.bf16x2.f32 %a3, %d7, %d6;\n";
  WgmmaText second{kN, 16, "f32", "bf16", "bf16"};
  second.a_in_registers = true;
  const Module module = wgmma_kernel(
      wgmma_prologue(p.bytes()) + publish() + p.descriptors() + kFence + step("d", 0, false) + kCommit + wait(0) +
      pack + kFence + second.instruction("e", "a", "%y1", "0") + kCommit + wait(0) + store_words("e", 8));
  const std::vector<uint32_t> words = p.expected(0, 1);
  Matrix s(64, 16), b(16, kN), zero(64, kN);
  for (uint32_t thread = 0; thread < 128; ++thread)
    for (uint32_t e = 0; e < 8; ++e) {
      const auto [row, column] = WgmmaText::d_at(thread, e);
      const uint32_t bits = words[e * 128 + thread];  // to bf16, nearest even
      s.at(row, column) = decode("f32", (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u);
    }
  for (uint32_t k = 0; k < 16; ++k)
    for (uint32_t column = 0; column < kN; ++column) b.at(k, column) = p.b.at(16 + k, column);
  const Matrix d = product(s, b, zero);
  std::vector<uint32_t> expected;
  append_fragment(expected, 8, 4, [&](uint32_t thread, uint32_t e) {
    const auto [row, column] = WgmmaText::d_at(thread, e);
    return encode_float(d.at(row, column), 8, 23);
  });
  expect_clean(module, wgmma_block(p.bytes()), expected, 4, p.in);
}

TEST(wgmma_chain, one_warp_that_has_waited_may_reuse_the_operands) {
  // A wait in any warp covers all four: warp 2 alone overwrites B at once, with no barrier.
  const Problem p;
  const Module module = wgmma_kernel(wgmma_prologue(p.bytes()) + publish() + p.descriptors() + kFence +
                                     step("d", 0, false) + step("d", 1, true) + kCommit + wait(0) +
                                     "  setp.eq.u32 %p, %warp, 2;\n  and.b32 %off, %tid1, 31;\n  shl.b32 %off, %off, "
                                     "4;\n  add.u32 %off, %off, %smem;\n"
                                     "  mov.b32 %v, -1;\n  @%p st.shared.v4.b32 [%off+" +
                                     std::to_string(p.tile_b.base) + "], {%v, %v, %v, %v};\n" + store_words("d", 8));
  expect_clean(module, wgmma_block(p.bytes()), p.expected(0, 2), 8, p.in);
}

TEST(wgmma_chain, warpgroups_are_apart) {
  // Threads 128 and up run the same on their own accumulators; both halves of the block store the same words.
  const Problem p;
  const std::string second_half =
      "  setp.lt.u32 %p, %tid1, 128;\n  @%p bra go;\n  sub.u64 %word_out, %word_out, 512;\n"
      "  add.u64 %word_out, %word_out, 4096;\ngo:\n";
  std::string prologue = wgmma_prologue(p.bytes());
  // The first warpgroup alone copies.
  const std::string label = "copy:\n";
  prologue.replace(prologue.find(label), label.size(), "  setp.ge.u32 %q, %tid1, 128;\n  @%q bra copied;\ncopy:\n");
  const Module module =
      wgmma_kernel(prologue + "copied:\n" + publish() + p.descriptors() + second_half + kFence + step("d", 0, false) +
                   step("d", 1, true) + step("d", 2, true) + kCommit + wait(0) + store_words("d", 8));
  expect_clean(module, wgmma_block(p.bytes(), 256), joined(p.expected(0, 3), p.expected(0, 3)), 4, p.in);
}

TEST(wgmma_chain, two_shapes_on_one_accumulator_need_a_fence_between) {
  const Problem p;
  const WgmmaText other{kN, 8, "f32", "tf32", "tf32"};
  const auto module = [&](const std::string& between) {
    return wgmma_kernel(wgmma_prologue(p.bytes()) + publish() + p.descriptors() + kFence + step("d", 0, false) +
                        between + other.instruction("d", "%x1", "%y1", "%yes") + kCommit + wait(0));
  };
  expect_always(HazardId::H03, module(""), wgmma_block(p.bytes()), 8, 2, p.in);
  expect_clean(module(kFence), wgmma_block(p.bytes()), std::vector<uint32_t>(8, 0), 2, p.in);
}

TEST(wgmma_chain, accumulation_modes_are_the_schedules) {
  const Problem p;
  const Module module = wgmma_kernel(wgmma_prologue(p.bytes()) + publish() + p.descriptors() + kFence +
                                     step("d", 0, false) + kCommit + wait(0) + store_words("d", 8));
  for (const Accumulate accumulate : {Accumulate::f32, Accumulate::f64, Accumulate::trunc}) {
    Schedule schedule;
    schedule.accumulate = accumulate;
    const Ran ran = run(module, schedule, wgmma_block(p.bytes()), 8 * 128, p.in);
    EXPECT_TRUE(ran.report.clean()) << ran.report.text();
    EXPECT_EQ(ran.out, p.expected(0, 1));  // bf16: trunc is for 8-bit floats alone
  }
}

}  // namespace
}  // namespace ptxsim::test
