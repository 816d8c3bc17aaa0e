// SPDX-License-Identifier: Apache-2.0
// Every ISA's vocabulary against the C library and the scalar conversions.
#include "simd/vocabulary.hpp"

#include <gtest/gtest.h>
#include <attend/machine.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/float16.hpp"

namespace attend::simd_test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr int kMaxWidth = 16;

class VocabularyTest : public testing::TestWithParam<const Vocabulary*> {
 protected:
  void SetUp() override {
    for (const IsaInfo& isa : machine_info().isas)
      if (isa.name == GetParam()->name && !isa.available)
        GTEST_SKIP() << isa.name << " is not available: " << isa.reason;
  }
  const Vocabulary& v() const { return *GetParam(); }
  float exp2(float x) const {
    alignas(64) float in[kMaxWidth], out[kMaxWidth];
    std::fill_n(in, v().width, x);
    v().exp2(in, out);
    return out[v().width - 1];
  }
  float tanh(float x) const {
    alignas(64) float in[kMaxWidth], out[kMaxWidth];
    std::fill_n(in, v().width, x);
    v().tanh(in, out);
    return out[0];
  }
};

bool same_bits(float a, float b) { return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b); }

TEST_P(VocabularyTest, exp2_is_within_two_ulp) {
  // docs/numerics.md allows the kernels 2^-21; this is what they have.
  double worst = 0;
  for (int64_t i = 0; i < 4'000'000; ++i) {
    const float x = static_cast<float>(-126.0 + 253.0 * static_cast<double>(i) / 4e6);
    const double error = std::fabs(exp2(x) / std::exp2(static_cast<double>(x)) - 1);
    ASSERT_LT(error, 0x1p-21) << "x " << x;
    worst = std::max(worst, error);
  }
  RecordProperty("worst_relative_error", std::to_string(worst));
  std::printf("%s: largest relative error of exp2 %.3g = %.2f * 2^-23\n", v().name, worst, worst * 0x1p23);
  EXPECT_LT(worst, 0x1p-22);
}

TEST_P(VocabularyTest, exp2_is_exact_at_its_edges) {
  EXPECT_TRUE(same_bits(exp2(-kInf), 0.0F));
  EXPECT_EQ(exp2(0), 1);  // a row of one key is that key's value to the bit
  EXPECT_EQ(exp2(kInf), kInf);
  EXPECT_TRUE(std::isnan(exp2(std::numeric_limits<float>::quiet_NaN())));
  for (const float x : {-1e30F, -1e9F, -3e6F, -200.0F, -151.0F}) EXPECT_TRUE(same_bits(exp2(x), 0.0F)) << x;
  for (const float x : {128.5F, 1e9F, 1e30F}) EXPECT_EQ(exp2(x), kInf) << x;
  for (const float x : {-126.5F, -140.0F, -149.0F}) EXPECT_LE(exp2(x), 0x1.8p-126F) << x;
}

TEST_P(VocabularyTest, tanh_keeps_its_relative_error_near_zero) {
  for (double x = 1e-30; x < 40; x *= 1.0003) {
    const double exact = std::tanh(static_cast<double>(static_cast<float>(x)));
    ASSERT_NEAR(tanh(static_cast<float>(x)), exact, exact * 0x1p-20) << "x " << x;
    ASSERT_TRUE(same_bits(tanh(static_cast<float>(-x)), -tanh(static_cast<float>(x))) ||
                std::fabs(tanh(static_cast<float>(-x)) + exact) < exact * 0x1p-20);
  }
  EXPECT_EQ(tanh(0), 0);
  EXPECT_EQ(tanh(kInf), 1);
  EXPECT_EQ(tanh(-kInf), -1);
  EXPECT_TRUE(std::isnan(tanh(std::numeric_limits<float>::quiet_NaN())));
}

TEST_P(VocabularyTest, half_types_widen_like_the_scalar_code) {
  for (uint32_t first = 0; first < 0x10000; first += static_cast<uint32_t>(v().width)) {
    uint16_t in[kMaxWidth];
    float f16[kMaxWidth], bf16[kMaxWidth];
    for (int i = 0; i < v().width; ++i) in[i] = static_cast<uint16_t>(first + static_cast<uint32_t>(i));
    v().load_f16(in, f16);
    v().load_bf16(in, bf16);
    for (int i = 0; i < v().width; ++i) {
      const float a = f16_to_f32(in[i]), b = bf16_to_f32(in[i]);
      ASSERT_TRUE(std::isnan(a) ? std::isnan(f16[i]) : same_bits(f16[i], a)) << in[i];
      ASSERT_TRUE(std::isnan(b) ? std::isnan(bf16[i]) : same_bits(bf16[i], b)) << in[i];
    }
  }
}

TEST_P(VocabularyTest, half_types_round_like_the_scalar_code) {
  std::vector<float> values;
  for (uint32_t bits = 0; bits < 0x10000; ++bits)  // every 16-bit pattern, and halfway, and just off halfway
    for (const uint32_t low : {0x0U, 0x1U, 0xfffU, 0x1000U, 0x1001U, 0x7fffU, 0x8000U, 0x8001U, 0xffffU})
      values.push_back(std::bit_cast<float>(bits << 16 | low));
  values.resize(values.size() / kMaxWidth * kMaxWidth);
  for (size_t first = 0; first < values.size(); first += static_cast<size_t>(v().width)) {
    uint16_t f16[kMaxWidth], bf16[kMaxWidth];
    v().store_f16(&values[first], f16);
    v().store_bf16(&values[first], bf16);
    for (int i = 0; i < v().width; ++i) {
      const float x = values[first + static_cast<size_t>(i)];
      if (std::isnan(x)) {
        ASSERT_TRUE(std::isnan(f16_to_f32(f16[i])));
        ASSERT_TRUE(std::isnan(bf16_to_f32(bf16[i])));
        continue;
      }
      ASSERT_EQ(f16[i], f32_to_f16(x)) << x;
      ASSERT_EQ(bf16[i], f32_to_bf16(x)) << x;
    }
  }
}

TEST_P(VocabularyTest, transpose_swaps_rows_and_columns) {
  alignas(64) float in[kMaxWidth * kMaxWidth], out[kMaxWidth * kMaxWidth];
  const int n = v().width;
  for (int i = 0; i < n * n; ++i) in[i] = static_cast<float>(i);
  v().transpose(in, out);
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) ASSERT_EQ(out[j * n + i], in[i * n + j]);
}

TEST_P(VocabularyTest, keep_bits_keeps_set_lanes) {
  float in[kMaxWidth], out[kMaxWidth];
  for (int i = 0; i < v().width; ++i) in[i] = i == 1 ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(i);
  for (const uint64_t bits : {uint64_t{0}, ~uint64_t{0}, uint64_t{0x5555}, uint64_t{0xfffd}, uint64_t{0x8001}}) {
    v().keep_bits(bits, in, out);
    for (int i = 0; i < v().width; ++i) {
      if ((bits >> i & 1) == 0) {
        EXPECT_EQ(out[i], -kInf);
      } else {
        EXPECT_TRUE(same_bits(out[i], in[i]));
      }
    }
  }
}

TEST_P(VocabularyTest, tests_of_lanes_see_each_lane) {
  for (int lane = 0; lane < v().width; ++lane) {
    float x[kMaxWidth] = {};
    EXPECT_FALSE(v().any_above(x, 1));
    EXPECT_FALSE(v().any_nonfinite(x));
    x[lane] = 2;
    EXPECT_TRUE(v().any_above(x, 1));
    EXPECT_FALSE(v().any_above(x, 2));
    EXPECT_EQ(v().reduce_max(x), 2);
    for (const float bad : {kInf, -kInf, std::numeric_limits<float>::quiet_NaN()}) {
      x[lane] = bad;
      EXPECT_TRUE(v().any_nonfinite(x));
      EXPECT_EQ(v().any_above(x, 1), bad != -kInf);
    }
  }
}

std::vector<const Vocabulary*> all() {
#if defined(__x86_64__)
  return {&kEmu, &kAvx2, &kAvx512};
#else
  return {&kEmu};
#endif
}

INSTANTIATE_TEST_SUITE_P(simd, VocabularyTest, testing::ValuesIn(all()),
                         [](const auto& instance) { return std::string(instance.param->name); });

}  // namespace
}  // namespace attend::simd_test
