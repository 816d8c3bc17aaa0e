// SPDX-License-Identifier: Apache-2.0
// Rotation, and new tokens on their way into a cache.
#include <attend/attend.hpp>
#include <cmath>
#include <complex>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "normal.hpp"

namespace attend {
namespace {

Rope rope_of(const RopeOptions& options) {
  const Result<Rope> rope = make_rope(options);
  EXPECT_TRUE(rope.ok()) << rope.status().message();
  return rope.ok() ? *rope : Rope();
}

std::vector<float> rotated(const Rope& rope, std::vector<float> row, int32_t position) {
  const auto columns = static_cast<int64_t>(row.size());
  const Tensor tensor(row.data(), DType::f32, Layout::bshd, 1, 1, 1, columns);
  EXPECT_TRUE(rotate(rope, tensor, Array<int32_t>(std::vector<int32_t>{position}), tensor).ok());
  return row;
}

/// Equation 34: pairs are complex numbers, turned.
TEST(rope, pairs_are_turned_by_position_times_frequency) {
  for (const bool interleaved : {false, true}) {
    const int64_t columns = 24, dims = 16;
    const Rope rope = rope_of({.dims = dims, .interleaved = interleaved, .base = 500});
    const std::vector<float> row = normal(columns, 3);
    for (const int32_t position : {0, 1, 777, 1 << 20}) {
      const std::vector<float> found = rotated(rope, row, position);
      for (int64_t i = 0; i < dims / 2; ++i) {
        const int64_t a = interleaved ? 2 * i : i, b = interleaved ? 2 * i + 1 : i + dims / 2;
        const double angle =
            position * double{static_cast<float>(std::pow(500.0, -2.0 * static_cast<double>(i) / dims))};
        const std::complex<double> turned = std::complex<double>(row[a], row[b]) * std::polar(1.0, angle);
        EXPECT_NEAR(found[a], turned.real(), 1e-6);
        EXPECT_NEAR(found[b], turned.imag(), 1e-6);
      }
      for (int64_t c = dims; c < columns; ++c) EXPECT_EQ(found[c], row[c]);
    }
  }
}

TEST(rope, products_depend_on_distance_alone) {
  const Rope rope = rope_of({.dims = 64});
  const std::vector<float> q = normal(64, 1), k = normal(64, 2);
  const auto product = [&](int32_t at_q, int32_t at_k) {
    const std::vector<float> a = rotated(rope, q, at_q), b = rotated(rope, k, at_k);
    double sum = 0;
    for (int64_t c = 0; c < 64; ++c) sum += double{a[c]} * b[c];
    return sum;
  };
  EXPECT_NEAR(product(10, 3), product(1007, 1000), 2e-5);
  EXPECT_GT(std::abs(product(10, 3) - product(10, 4)), 1e-2);
}

TEST(rope, stretched_frequencies_meet_their_definitions) {
  const int64_t dims = 128;
  const Rope plain = rope_of({.dims = dims, .base = 500000});
  const Rope linear = rope_of({.dims = dims, .base = 500000, .scaling = RopeScaling::linear, .factor = 4});
  const Rope ntk = rope_of({.dims = dims, .base = 10000, .scaling = RopeScaling::ntk, .factor = 4});
  const Rope ntk_plain = rope_of({.dims = dims, .base = 10000});
  const Rope llama3 = rope_of({.dims = dims, .base = 500000, .scaling = RopeScaling::llama3, .factor = 8});
  const Rope yarn =
      rope_of({.dims = dims, .base = 10000, .scaling = RopeScaling::yarn, .factor = 16, .trained_length = 4096});
  for (int64_t i = 0; i < dims / 2; ++i) {
    EXPECT_FLOAT_EQ(linear.frequencies[i], plain.frequencies[i] / 4);
    const double wave = 2 * M_PI / plain.frequencies[i];
    if (wave < 8192.0 / 4) {
      EXPECT_EQ(llama3.frequencies[i], plain.frequencies[i]);
    }
    if (wave > 8192.0) {
      EXPECT_FLOAT_EQ(llama3.frequencies[i], plain.frequencies[i] / 8);
    }
    EXPECT_LE(llama3.frequencies[i], plain.frequencies[i]);
  }
  EXPECT_EQ(ntk.frequencies[0], 1);
  EXPECT_NEAR(ntk.frequencies[dims / 2 - 1] * 4 / ntk_plain.frequencies[dims / 2 - 1], 1, 1e-5);
  EXPECT_EQ(yarn.frequencies[0], 1);
  EXPECT_NEAR(yarn.frequencies[dims / 2 - 1] * 16 / ntk_plain.frequencies[dims / 2 - 1], 1, 1e-5);
  EXPECT_FLOAT_EQ(yarn.magnitude, static_cast<float>(0.1 * std::log(16.0) + 1));
}

TEST(rope, bad_options_are_named) {
  EXPECT_EQ(make_rope({.dims = 3}).status().message(), "make_rope: options.dims is 3, expected even, 0 to 512");
  EXPECT_EQ(make_rope({.dims = 8, .base = 1}).status().message(), "make_rope: options.base is 1, expected more than 1");
  EXPECT_EQ(make_rope({.dims = 8, .factor = 0.5}).status().message(),
            "make_rope: options.factor is 0.5, expected 1 or more");
}

/// A cache filled token by token, and one filled at once, hold the same; each token is its own encoding.
class KvAppend : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(format, KvAppend,
                         ::testing::Values("plain", "int8", "int8_channel", "int4_32", "int4_64", "e4m3"));

struct Cache {
  explicit Cache(const AttentionFwd& p)
      : k(1 << 17, 0x5a), v(1 << 17, 0x5a), k_scales(1 << 14, 0.0F), v_scales(1 << 14, 0.0F) {
    if (kv_format_row(p.k_format()).scales == KvScales::channel) {
      std::fill(k_scales.begin(), k_scales.end(), 0.03F);
      std::fill(v_scales.begin(), v_scales.end(), 0.03F);
    }
  }
  std::vector<char> k, v;
  std::vector<float> k_scales, v_scales, mean = std::vector<float>(2 * 40, 0.25F);
  void into(KvAppendArgs& args) {
    args.k = k.data();
    args.v = v.data();
    args.k_scales = k_scales.data();
    args.v_scales = v_scales.data();
    args.k_mean = mean.data();
  }
};

AttentionFwd step(const std::string& queries, const std::string& keys, const std::string& format) {
  const auto parsed =
      AttentionFwd::parse("attention_fwd b=3 hq=4 hk=2 d=40 dv=24 dtype=bf16 sq=" + queries + " sk=" + keys +
                          " cache=paged:12:7 pages=3,1,9/0,11,5/7,2,4 k_mean=1 kv_format=" + format);
  EXPECT_TRUE(parsed.ok()) << parsed.status().message();
  return parsed.ok() ? *parsed : AttentionFwd();
}

TEST_P(KvAppend, token_by_token_or_at_once_is_the_same) {
  const Rope rope = rope_of({.dims = 32});
  const AttentionFwd all = step("20,0,9", "20,0,9", GetParam());
  const std::vector<float> k = normal(29 * 2 * 40, 1), v = normal(29 * 2 * 24, 2);
  KvAppendArgs args;
  args.new_k = k.data();
  args.new_v = v.data();
  args.new_k_strides = {0, 80, 40};
  args.new_v_strides = {0, 48, 24};
  args.rope = &rope;
  Cache at_once(all), one_by_one(all);
  at_once.into(args);
  ASSERT_TRUE(kv_append(all, args, {.threads = 3}).ok());
  for (int t = 0; t < 20; ++t) {
    const std::string others = t < 9 ? "0,1" : "0,0";
    const AttentionFwd one =
        step("1," + others, std::to_string(t + 1) + ",0," + std::to_string(std::min(t + 1, 9)), GetParam());
    // Rows of this step: token t of sequence 0, then of sequence 2.
    std::vector<float> step_k(k.begin() + t * 80, k.begin() + (t + 1) * 80),
        step_v(v.begin() + t * 48, v.begin() + (t + 1) * 48);
    if (t < 9) {
      step_k.insert(step_k.end(), k.begin() + (20 + t) * 80, k.begin() + (21 + t) * 80);
      step_v.insert(step_v.end(), v.begin() + (20 + t) * 48, v.begin() + (21 + t) * 48);
    }
    KvAppendArgs now = args;
    now.new_k = step_k.data();
    now.new_v = step_v.data();
    one_by_one.into(now);
    ASSERT_TRUE(kv_append(one, now).ok());
  }
  EXPECT_EQ(one_by_one.k, at_once.k);
  EXPECT_EQ(one_by_one.v, at_once.v);
  EXPECT_EQ(one_by_one.k_scales, at_once.k_scales);
  EXPECT_EQ(one_by_one.v_scales, at_once.v_scales);

  // Sequence 2, token 5, head 1: rotated at position 5, without the mean.
  std::vector<float> row(k.begin() + 25 * 80 + 40, k.begin() + 25 * 80 + 80);
  row = rotated(rope, row, 5);
  for (float& x : row) x -= 0.25F;
  const KvFormat format = all.k_format();
  std::vector<char> expected(static_cast<size_t>(kv_bytes(format, DType::bf16, kv_row_elements(format, 40))));
  std::vector<float> scales(40, 0.03F);
  kv_encode(format, DType::bf16, row.data(), 40, expected.data(), scales.data());
  EXPECT_EQ(std::memcmp(at_once.k.data() + kv_bytes(format, DType::bf16, all.k_offset(2, 5, 1)), expected.data(),
                        expected.size()),
            0);
}

TEST(kv_append, refusals_name_what_is_wrong) {
  const AttentionFwd p = step("2,0,0", "1,0,0", "int8");
  KvAppendArgs args;
  EXPECT_EQ(kv_append(p, args).message(),
            "kv_append: cache.lengths[0] is 1, expected at least the 2 tokens that are added");
  const AttentionFwd good = step("1,0,0", "1,0,0", "int8");
  EXPECT_EQ(kv_append(good, args).message().substr(0, 44), "kv_append: args.new_k is null, expected a po");
  const AttentionFwd plain = AttentionFwd::dense(Layout::bshd, DType::f32, 1, 1, 1, 1, 1, 8);
  EXPECT_EQ(kv_append(plain, args).message(), "kv_append: problem.cache is none, expected a cache");
  const Rope wide = rope_of({.dims = 64});
  args.rope = &wide;
  EXPECT_EQ(kv_append(good, args).message(),
            "kv_append: rope.frequencies is 32 numbers, expected at most half of 40 columns");
}

}  // namespace
}  // namespace attend
