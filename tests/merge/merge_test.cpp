// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/float16.hpp"
#include "support/executors.hpp"

namespace attend {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();

ConstTensor row(const std::vector<float>& o) {
  return {o.data(), DType::f32, Layout::bshd, 1, 1, 1, static_cast<int64_t>(o.size())};
}
Tensor row(std::vector<float>& o) {
  return {o.data(), DType::f32, Layout::bshd, 1, 1, 1, static_cast<int64_t>(o.size())};
}

/// Merges rows of one head.
struct Merged {
  std::vector<float> o;
  float lse;
};
Merged merged(const std::vector<std::vector<float>>& parts, const std::vector<float>& lse) {
  std::vector<PartialResult> given;
  for (size_t i = 0; i < parts.size(); ++i) given.push_back({row(parts[i]), &lse[i]});
  Merged out{std::vector<float>(parts.empty() ? 3 : parts[0].size(), 99), 99};
  const Status status = merge(given, row(out.o), &out.lse);
  EXPECT_TRUE(status.ok()) << status.message();
  return out;
}

TEST(Merge, weights_are_the_parts_shares) {
  const float ln2 = std::log(2.0f);
  const Merged equal = merged({{2, -4}, {4, 8}}, {1, 1});
  EXPECT_EQ(equal.o, (std::vector<float>{3, 2}));
  EXPECT_FLOAT_EQ(equal.lse, 1 + ln2);
  const Merged unequal = merged({{3}, {0}}, {ln2, 0});
  EXPECT_FLOAT_EQ(unequal.o[0], 2);
  EXPECT_FLOAT_EQ(unequal.lse, std::log(3.0f));
}

TEST(Merge, empty_parts_change_nothing) {
  const std::vector<float> o = {1.1f, -2.7f, 1e-30f};
  for (const auto& lse : {std::vector<float>{0.3f, -kInf, -kInf}, std::vector<float>{-1e30f, -kInf, -kInf}}) {
    // What an empty part holds is not read.
    const Merged found = merged({o, {kNaN, kNaN, kNaN}, {0, kInf, 0}}, lse);
    EXPECT_EQ(found.o, o);
    EXPECT_EQ(found.lse, lse[0]);
  }
}

TEST(Merge, without_keys_anywhere_the_row_is_zero) {
  for (const size_t count : {0, 1, 3}) {
    const Merged found = merged(std::vector<std::vector<float>>(count, {5, 5, 5}), std::vector<float>(count, -kInf));
    EXPECT_EQ(found.o, (std::vector<float>{0, 0, 0}));
    EXPECT_EQ(found.lse, -kInf);
  }
}

TEST(Merge, numbers_that_are_not_finite_stay) {
  EXPECT_TRUE(std::isnan(merged({{1}, {kNaN}}, {0, 0}).o[0]));
  EXPECT_EQ(merged({{1}, {kInf}}, {0, 0}).o[0], kInf);
  for (const auto& lse : {std::vector<float>{kNaN, 0}, std::vector<float>{0, kNaN}, std::vector<float>{kInf, 0}}) {
    const Merged found = merged({{1}, {2}}, lse);
    EXPECT_TRUE(std::isnan(found.o[0]));
    EXPECT_TRUE(std::isnan(found.lse));
  }
}

TEST(Merge, far_apart_and_large_sums_do_not_overflow) {
  const Merged found = merged({{1}, {7}}, {88000, -88000});
  EXPECT_EQ(found.o[0], 1);
  EXPECT_EQ(found.lse, 88000);
}

TEST(Merge, into_a_part) {
  std::vector<float> a = {2, -4}, b = {4, 8};
  float lse_a = 1, lse_b = 1;
  const PartialResult parts[] = {{row(std::as_const(a)), &lse_a}, {row(std::as_const(b)), &lse_b}};
  ASSERT_TRUE(merge(parts, row(b), &lse_b).ok());
  EXPECT_EQ(b, (std::vector<float>{3, 2}));
  EXPECT_FLOAT_EQ(lse_b, 1 + std::log(2.0f));
}

TEST(Merge, types_and_layouts_of_parts_may_differ) {
  constexpr int64_t kBatch = 2, kRows = 5, kHeads = 3, kCols = 300;
  const auto value = [](int part, int64_t n, int64_t r, int64_t h, int64_t c) {
    return static_cast<float>((part * 7 + n * 5 + r * 3 + h * 2 + c) % 16);
  };
  const auto size = static_cast<size_t>(kBatch * kRows * kHeads * kCols);
  std::vector<float> first(size);
  std::vector<uint16_t> second(size), third(size), out(size);
  const ConstTensor a(first.data(), DType::f32, Layout::bshd, kBatch, kRows, kHeads, kCols),
      b(second.data(), DType::f16, Layout::bhsd, kBatch, kRows, kHeads, kCols),
      c(third.data(), DType::bf16, Layout::bshd, kBatch, kRows, kHeads, kCols);
  const Tensor o(out.data(), DType::f16, Layout::bhsd, kBatch, kRows, kHeads, kCols);
  const auto each = [&](auto body) {
    for (int64_t n = 0; n < kBatch; ++n)
      for (int64_t r = 0; r < kRows; ++r)
        for (int64_t h = 0; h < kHeads; ++h)
          for (int64_t col = 0; col < kCols; ++col) body(n, r, h, col);
  };
  const auto slot = [](const ConstTensor& t, int64_t n, int64_t r, int64_t h, int64_t col) {
    return static_cast<size_t>(n * t.strides.batch + r * t.strides.row + h * t.strides.head + col);
  };
  each([&](int64_t n, int64_t r, int64_t h, int64_t col) {
    first[slot(a, n, r, h, col)] = value(0, n, r, h, col);
    second[slot(b, n, r, h, col)] = f32_to_f16(value(1, n, r, h, col));
    third[slot(c, n, r, h, col)] = f32_to_bf16(value(2, n, r, h, col));
  });
  // Weights 1/2, 1/4, 1/4, so that everything is exact in f16; the rows of one head have another base.
  std::vector<float> heavy(static_cast<size_t>(kBatch * kRows * kHeads)), light(heavy.size()), lse(heavy.size());
  for (size_t i = 0; i < heavy.size(); ++i) {
    light[i] = 0.5f * static_cast<float>(i % 4);
    heavy[i] = light[i] + std::log(2.0f);
  }
  const PartialResult parts[] = {{a, heavy.data()}, {b, light.data()}, {c, light.data()}};
  const Executor executor = test::sequential_executor(3);
  MergeOptions options;
  options.executor = &executor;
  ASSERT_TRUE(merge(parts, o, lse.data(), options).ok());
  each([&](int64_t n, int64_t r, int64_t h, int64_t col) {
    const float expected = 0.5f * value(0, n, r, h, col) + 0.25f * (value(1, n, r, h, col) + value(2, n, r, h, col));
    ASSERT_NEAR(f16_to_f32(out[slot(o, n, r, h, col)]), expected, 0x1p-8) << n << r << h << col;
  });
  for (size_t i = 0; i < lse.size(); ++i) EXPECT_NEAR(lse[i], light[i] + std::log(4.0f), 1e-6f);
}

TEST(Merge, says_what_is_wrong) {
  std::vector<float> o(8), other(8);
  float lse = 0;
  const auto message = [](const Status& status) {
    EXPECT_EQ(status.code(), StatusCode::invalid_argument);
    return status.message();
  };
  const Tensor out(o.data(), DType::f32, Layout::bshd, 1, 2, 2, 2);
  const auto with = [&](const ConstTensor& part, const float* part_lse) {
    const PartialResult parts[] = {{ConstTensor(out), &lse}, {part, part_lse}};
    return message(merge(parts, out, nullptr));
  };
  EXPECT_EQ(with({other.data(), DType::f32, Layout::bshd, 1, 2, 1, 2}, &lse),
            "merge: parts[1].o.heads is 1, expected 2 (= o.heads)");
  EXPECT_EQ(with({other.data(), DType::f32, Layout::bshd, 1, 2, 2, 3}, &lse),
            "merge: parts[1].o.cols is 3, expected 2 (= o.cols)");
  EXPECT_EQ(with({nullptr, DType::f32, Layout::bshd, 1, 2, 2, 2}, &lse),
            "merge: parts[1].o.data is null, expected a pointer");
  EXPECT_EQ(with({other.data(), DType::f32, Layout::bshd, 1, 2, 2, 2}, nullptr),
            "merge: parts[1].lse is null, expected a pointer: without it the parts have no weights");
  EXPECT_EQ(with({other.data(), static_cast<DType>(9), Layout::bshd, 1, 2, 2, 2}, &lse),
            "merge: parts[1].o.dtype is 9, expected f32, f16 or bf16");
  EXPECT_EQ(message(merge({}, Tensor(o.data(), DType::f32, Layout::bshd, 1, -2, 2, 2), nullptr)),
            "merge: o.rows is -2, expected 0 or more");
  EXPECT_EQ(message(merge({}, Tensor(o.data(), DType::f32, Layout::bshd, 1 << 30, 1 << 30, 2, 2), nullptr)),
            "merge: o is a tensor of 2^60 elements or more, expected fewer");
  MergeOptions options;
  options.threads = -1;
  EXPECT_EQ(message(merge({}, out, nullptr, options)), "merge: options.threads is -1, expected 0 or more");
  const Executor nobody;
  options.threads = 0;
  options.executor = &nobody;
  EXPECT_EQ(message(merge({}, out, nullptr, options)),
            "merge: options.executor is without a function, expected a function and at least 1 worker");
}

TEST(Merge, no_rows_is_nothing_to_do) {
  EXPECT_TRUE(merge({}, Tensor(nullptr, DType::f32, Layout::bshd, 0, 4, 2, 8), nullptr).ok());
  EXPECT_TRUE(merge({}, Tensor(nullptr, DType::f32, Layout::bshd, 2, 0, 2, 8), nullptr).ok());
}

}  // namespace
}  // namespace attend
