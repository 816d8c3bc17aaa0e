// SPDX-License-Identifier: Apache-2.0
#include "sim/numeric/matrix_product.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

namespace ptxsim {
namespace {

struct Operands {
  std::vector<float> a, b, d;
  uint32_t row_blocks, n, k;
  FragmentProduct product() { return {row_blocks, n, k, a.data(), b.data(), d.data()}; }
};

/// Numbers of all sizes, and now and then one that is not finite.
Operands random_operands(uint32_t row_blocks, uint32_t n, uint32_t k, bool specials, uint32_t seed) {
  std::mt19937 random(seed);
  const auto number = [&] {
    if (specials && random() % 64 == 0) return std::bit_cast<float>(random() % 2 == 0 ? 0x7f800000u : 0xffc12345u);
    return std::ldexp(static_cast<float>(random() % 65536) - 32768.0f, static_cast<int>(random() % 40) - 36);
  };
  Operands out{{}, {}, {}, row_blocks, n, k};
  out.a.resize(size_t{row_blocks} * k * 64);
  for (uint32_t row = 0; row < row_blocks * 16; ++row)
    for (uint32_t c = 0; c < k; ++c) std::fill_n(out.a.begin() + fragment_a_index(k, row, c), 4, number());
  out.b.resize(size_t{n} * k);
  out.d.resize(size_t{row_blocks} * n * 16);
  for (float& x : out.b) x = number();
  for (float& x : out.d) x = number();
  return out;
}

TEST(matrix_product, paths_agree_bit_by_bit) {
  for (const uint32_t n : {8u, 16u, 24u, 104u, 256u})
    for (const uint32_t k : {4u, 8u, 16u, 32u})
      for (const bool specials : {false, true}) {
        const Operands start = random_operands(2, n, k, specials, n * k);
        std::vector<float> expected;
        for (const ProductPath& path : product_paths()) {
          Operands x = start;
          path.run(x.product());
          if (expected.empty()) expected = x.d;
          EXPECT_EQ(std::memcmp(expected.data(), x.d.data(), expected.size() * 4), 0) << path.name << " n=" << n;
        }
      }
}

TEST(matrix_product, a_nan_is_canonical) {
  Operands x = random_operands(1, 8, 4, false, 1);
  std::fill(x.b.begin(), x.b.end(), std::bit_cast<float>(0xffc12345u));
  multiply_add(x.product());
  for (const float d : x.d) EXPECT_EQ(std::bit_cast<uint32_t>(d), 0x7fffffffu);
}

/// One element of D: row 0, column 0, of A's row 0 and B's column 0.
float dot(std::vector<float> a, std::vector<float> b, float c, ProductMode mode) {
  const uint32_t k = static_cast<uint32_t>(a.size());
  std::vector<float> wide_a(size_t{k} * 64), wide_b(size_t{k} * 8), d(128, c);
  for (uint32_t i = 0; i < k; ++i) {
    std::fill_n(wide_a.begin() + fragment_a_index(k, 0, i), 4, a[i]);
    wide_b[fragment_b_index(k, i, 0)] = b[i];
  }
  multiply_add({1, 8, k, wide_a.data(), wide_b.data(), d.data()}, mode);
  return d[0];
}

TEST(matrix_product, modes_differ_where_they_should) {
  // 2^24 + 1 - 2^24: f32 loses the one, double keeps it.
  const std::vector<float> a = {0x1p24f, 1, -0x1p24f, 0}, ones(4, 1.0f);
  EXPECT_EQ(dot(a, ones, 0, ProductMode::f32), 0.0f);
  EXPECT_EQ(dot(a, ones, 0, ProductMode::f64), 1.0f);
  // 13 fraction bits below the largest term: 2^-13 stays beside 1, what is below it goes.
  EXPECT_EQ(dot({1, 0x1p-13f, 0x1p-14f, 0}, ones, 0, ProductMode::trunc), 1.0f + 0x1p-13f);
  EXPECT_EQ(dot({1, 0x1p-14f, 0x1p-14f, 0}, ones, 0, ProductMode::trunc), 1.0f);
  EXPECT_EQ(dot({1, -0x1p-14f, 0, 0}, ones, 0, ProductMode::trunc), 1.0f);   // toward zero
  EXPECT_EQ(dot({1, 0, 0, 0}, ones, 0x1p14f, ProductMode::trunc), 0x1p14f);  // the old value sets the window, too
  EXPECT_EQ(dot({0, 0, 0, 0}, ones, 0, ProductMode::trunc), 0.0f);
  EXPECT_EQ(dot({INFINITY, 1, 1, 1}, ones, 0, ProductMode::trunc), INFINITY);
  EXPECT_EQ(product_mode(Accumulate::trunc, true), ProductMode::trunc);
  EXPECT_EQ(product_mode(Accumulate::trunc, false), ProductMode::f32);
}

}  // namespace
}  // namespace ptxsim
