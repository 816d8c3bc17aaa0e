// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/matrix/wgmma_kernel.hpp"

namespace ptxsim::test {
namespace {

/// One wgmma on random operands.
struct Case {
  WgmmaText text;
  Tile a, b;
  bool scale_d = true;
  double c_offset = 0;
  std::string name() const {
    return text.instruction("d", text.a_in_registers ? "a" : "%desc_a", "%desc_b", scale_d ? "%yes" : "%no") +
           "A: width " + std::to_string(a.width) + ", LBO " + std::to_string(a.leading) + ", SBO " +
           std::to_string(a.stride) + "; B: width " + std::to_string(b.width) + ", LBO " + std::to_string(b.leading) +
           ", SBO " + std::to_string(b.stride) + ", k step " + std::to_string(b.k_step);
  }
};

/// Leading and stride offsets that keep the tile's parts apart, one way or the other.
void spread(Tile& tile, std::mt19937& random) {
  const uint32_t groups = (tile.extent + 7) / 8;
  const uint32_t unit = 8 * tile.width;
  const uint32_t gap = random() % 2 * unit;
  const bool other_way = random() % 2 == 0;
  if (tile.width == 16) {  // two parts along k, `groups` along x, of 128 bytes each
    tile.leading = other_way ? 128 : groups * 128 + gap;
    tile.stride = other_way ? 256 + gap : 128;
  } else if (!tile.mn_major) {
    tile.stride = unit + gap;
    tile.leading = static_cast<uint32_t>(random() % 64) * 16;  // without meaning
    tile.k_step = static_cast<uint32_t>(random()) % (tile.width / 32) * 32;
  } else {
    const uint32_t blocks = (tile.extent * 2 + tile.width - 1) / tile.width;
    tile.leading = other_way ? 2 * unit + gap : unit;
    tile.stride = other_way ? unit : blocks * unit + gap;
  }
}

void run_case(const Case& test, const Schedule& schedule, std::mt19937& random) {
  const WgmmaText& text = test.text;
  SCOPED_TRACE(test.name());
  const Matrix a = random_matrix(64, text.k, text.a, random), b = random_matrix(text.k, text.n, text.b, random);
  Matrix c = random_matrix(64, text.n, text.d, random);
  for (double& x : c.values) x += test.c_offset;
  std::vector<uint8_t> image(1024, 0xee);
  if (!text.a_in_registers) test.a.fill(a, false, image);
  Tile tile_b = test.b;
  tile_b.base = static_cast<uint32_t>(image.size());
  tile_b.fill(b, true, image);
  const uint32_t image_bytes = static_cast<uint32_t>(image.size());
  std::vector<uint32_t> in = words_of(image);
  const uint32_t bytes_a = element_bytes(text.a), bytes_d = element_bytes(text.d);
  append_fragment(in, 64 * text.k / 128, bytes_a, [&](uint32_t thread, uint32_t e) {
    const auto [row, k] = WgmmaText::a_at(thread, e, 4 / bytes_a);
    return encode(text.a, a.at(row, k));
  });
  append_fragment(in, text.n / 2, bytes_d, [&](uint32_t thread, uint32_t e) {
    const auto [row, column] = WgmmaText::d_at(thread, e);
    return encode(text.d, c.at(row, column));
  });
  const Module module = wgmma_kernel(
      wgmma_prologue(image_bytes) + publish() + load_words("a", 4, 0) + load_words("d", text.d_registers(), 4) +
      make_descriptor("desc_a", test.a.descriptor()) + make_descriptor("desc_b", tile_b.descriptor()) +
      "  wgmma.fence.sync.aligned;\n" +
      text.instruction("d", text.a_in_registers ? "a" : "%desc_a", "%desc_b", test.scale_d ? "%yes" : "!%yes") +
      "  wgmma.commit_group.sync.aligned;\n  wgmma.wait_group.sync.aligned 0;\n" +
      store_words("d", text.d_registers()));
  const Ran ran = run(module, schedule, wgmma_block(image_bytes), text.d_registers() * 128, in);
  ASSERT_TRUE(ran.report.clean()) << ran.report.text();
  EXPECT_EQ(ran.report.counts.multiply_adds, uint64_t{64} * text.n * text.k);
  Matrix zero(64, text.n);
  const Matrix d = product(a, b, test.scale_d ? c : zero, text.scale_a * text.scale_b);
  for (uint32_t thread = 0; thread < 128; ++thread)
    for (uint32_t e = 0; e < text.n / 2; ++e) {
      const auto [row, column] = WgmmaText::d_at(thread, e);
      double expected = d.at(row, column);
      if (!text.satfinite.empty()) expected = std::min(std::max(expected, -0x1p31), 0x1p31 - 1);
      if (text.d == "s32") expected = static_cast<int32_t>(static_cast<uint32_t>(static_cast<int64_t>(expected)));
      ASSERT_EQ(accumulator_value(ran.out, text.d, thread, e), expected) << "row " << row << " column " << column;
    }
}

struct Types {
  const char *d, *a, *b;
};
constexpr Types kTypes[] = {
    {"f32", "f16", "f16"},   {"f16", "f16", "f16"},   {"f32", "bf16", "bf16"}, {"f32", "tf32", "tf32"},
    {"f32", "e4m3", "e4m3"}, {"f32", "e4m3", "e5m2"}, {"f32", "e5m2", "e4m3"}, {"f32", "e5m2", "e5m2"},
    {"f16", "e4m3", "e4m3"}, {"f16", "e4m3", "e5m2"}, {"f16", "e5m2", "e4m3"}, {"f16", "e5m2", "e5m2"},
    {"s32", "s8", "s8"},     {"s32", "s8", "u8"},     {"s32", "u8", "s8"},     {"s32", "u8", "u8"}};

Case case_of(const Types& types, uint32_t n) {
  Case out;
  out.text.n = n;
  out.text.k = 32 / element_bytes(types.a);
  out.text.d = types.d, out.text.a = types.a, out.text.b = types.b;
  out.a.type = types.a, out.b.type = types.b;
  out.b.extent = n;
  return out;
}

Schedule schedule_of(std::mt19937& random) {
  Schedule schedule;
  schedule.async = kAsyncPolicies[random() % kAsyncPolicies.size()];
  schedule.seed = random();
  return schedule;
}

/// Runs the case with a swizzle and an order for each operand that it can have.
void run_orders(Case test, std::mt19937& random) {
  for (const uint32_t width : {16u, 32u, 64u, 128u})
    for (const bool registers : {false, true})
      for (const bool trans_a : {false, true})
        for (const bool trans_b : {false, true}) {
          if ((trans_a || trans_b) && element_bytes(test.text.a) != 2) continue;
          if (trans_a && registers) continue;
          test.text.a_in_registers = registers;
          test.text.trans_a = test.a.mn_major = trans_a;
          test.text.trans_b = test.b.mn_major = trans_b;
          test.a.width = width;
          test.b.width = 16u << (random() % 4);  // each operand has its own
          test.a.k_step = test.b.k_step = 0;
          spread(test.a, random);
          spread(test.b, random);
          test.scale_d = random() % 3 != 0;
          if (test.text.d != "s32") {
            test.text.scale_a = random() % 2 == 0 ? 1 : -1;
            test.text.scale_b = random() % 2 == 0 ? 1 : -1;
          }
          run_case(test, schedule_of(random), random);
          if (testing::Test::HasFatalFailure()) return;
        }
}

class wgmma_types : public testing::TestWithParam<size_t> {};

TEST_P(wgmma_types, multiply_in_every_layout) {
  const Types& types = kTypes[GetParam()];
  std::mt19937 random(static_cast<uint32_t>(GetParam()) + 1);
  for (const uint32_t n : {8u, 16u, 24u, 64u, 128u}) {
    run_orders(case_of(types, n), random);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(all, wgmma_types, testing::Range<size_t>(0, std::size(kTypes)));

TEST(wgmma, every_n_multiplies) {
  std::mt19937 random(1);
  for (uint32_t n = 8; n <= 256; n += 8)
    for (const Types& types : {kTypes[0], kTypes[2], kTypes[4], kTypes[12]}) {
      if (types.d[0] == 's' && n > 32 && n % 16 != 0) continue;
      Case test = case_of(types, n);
      test.b.width = test.a.width = 128;
      test.a.stride = test.b.stride = 1024;
      run_case(test, schedule_of(random), random);
      if (HasFatalFailure()) return;
    }
}

TEST(wgmma, integer_sums_wrap_or_saturate) {
  std::mt19937 random(1);
  for (const char* satfinite : {"", ".satfinite"})
    for (const double offset : {2147480000.0, -2147480000.0}) {
      Case test = case_of(kTypes[13], 16);
      test.a.leading = test.b.leading = 1024;
      test.a.stride = test.b.stride = 128;
      test.text.satfinite = satfinite;
      test.c_offset = offset;
      run_case(test, {}, random);
    }
}

/// The one product a single 1 in A and a single 1 in B make: which element of D it is names the layout that is wrong.
TEST(wgmma, one_hot_operands_meet_in_one_element) {
  Case test = case_of(kTypes[2], 64);
  test.a.width = test.b.width = 128;
  test.a.stride = test.b.stride = 1024;
  std::mt19937 random(1);
  for (int trial = 0; trial < 32; ++trial) {
    const uint32_t row = random() % 64, column = random() % 64, k = random() % 16;
    Matrix a(64, 16), b(16, 64);
    a.at(row, k) = b.at(k, column) = 1;
    std::vector<uint8_t> image;
    test.a.fill(a, false, image);
    Tile tile_b = test.b;
    tile_b.base = static_cast<uint32_t>(image.size());
    tile_b.fill(b, true, image);
    const uint32_t bytes = static_cast<uint32_t>(image.size());
    const Module module =
        wgmma_kernel(wgmma_prologue(bytes) + publish() + make_descriptor("desc_a", test.a.descriptor()) +
                     make_descriptor("desc_b", tile_b.descriptor()) + "  wgmma.fence.sync.aligned;\n" +
                     test.text.instruction("d", "%desc_a", "%desc_b", "0") +
                     "  wgmma.commit_group.sync.aligned;\n  wgmma.wait_group.sync.aligned 0;\n" + store_words("d", 32));
    const Ran ran = run(module, {}, wgmma_block(bytes), 32 * 128, words_of(image));
    ASSERT_TRUE(ran.report.clean()) << ran.report.text();
    for (uint32_t thread = 0; thread < 128; ++thread)
      for (uint32_t e = 0; e < 32; ++e) {
        const bool here = WgmmaText::d_at(thread, e) == std::pair(row, column);
        ASSERT_EQ(accumulator_value(ran.out, "f32", thread, e), here ? 1 : 0) << "row " << row << " column " << column;
      }
  }
}

TEST(wgmma, what_is_not_in_the_instruction_set_is_refused) {
  const auto refused = [](const std::string& text) {
    const auto module = Module::parse(
        ".version 8.7\n.target sm_90a\n.address_size 64\n.entry k()\n{\n.reg .b32 %d<64>, "
        "%a<4>;\n.reg .b64 %x, %y;\n.reg .pred %p;\n" +
        text + "ret;\n}\n");
    EXPECT_FALSE(module.ok()) << text;
  };
  const auto list = [](uint32_t count) { return WgmmaText::list("d", count); };
  const std::string head = "wgmma.mma_async.sync.aligned.";
  refused(head + "m64n12k16.f32.f16.f16 " + list(6) + ", %x, %y, %p, 1, 1, 0, 0;\n");
  refused(head + "m64n16k32.f32.f16.f16 " + list(8) + ", %x, %y, %p, 1, 1, 0, 0;\n");
  refused(head + "m64n16k16.f32.f16.f16 " + list(4) + ", %x, %y, %p, 1, 1, 0, 0;\n");
  refused(head + "m64n16k16.f32.f16.f16 " + list(8) + ", %x, %y, %p, 2, 1, 0, 0;\n");
  refused(head + "m64n16k16.f32.f16.f16 " + list(8) + ", {%a0, %a1, %a2, %a3}, %y, %p, 1, 1, 0, 0;\n");
  refused(head + "m64n16k16.f32.f16.bf16 " + list(8) + ", %x, %y, %p, 1, 1, 0, 0;\n");
  refused(head + "m64n16k16.f16.bf16.bf16 " + list(4) + ", %x, %y, %p, 1, 1, 0, 0;\n");
  refused(head + "m64n16k32.f32.e4m3.e4m3 " + list(8) + ", %x, %y, %p, 1, 1, 0, 0;\n");
  refused(head + "m64n40k32.s32.s8.s8 " + list(20) + ", %x, %y, %p;\n");
  refused(head + "m64n16k256.s32.b1.b1.and.popc " + list(8) + ", %x, %y, %p;\n");
  refused("wgmma.mma_async.sp.sync.aligned.m64n16k32.f32.f16.f16 " + list(8) + ", %x, %y, %a0, 0, %p, 1, 1, 0, 0;\n");
}

}  // namespace
}  // namespace ptxsim::test
