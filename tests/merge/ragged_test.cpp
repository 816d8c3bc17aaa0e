// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace attend {
namespace {

constexpr int64_t kHeads = 3, kCols = 40;

struct Lists {
  std::vector<int32_t> cu = {0, 2, 2, 7, 8, 8};
  std::vector<float> o, lse;

  Lists() {
    std::mt19937_64 random(3);
    std::normal_distribution<float> normal;
    o.resize(static_cast<size_t>(cu.back() * kHeads * kCols));
    lse.resize(static_cast<size_t>(cu.back() * kHeads));
    for (float& x : o) x = normal(random);
    for (float& x : lse) x = 3 * normal(random);
    lse[4] = -INFINITY;
  }
  int64_t rows() const { return static_cast<int64_t>(cu.size()) - 1; }
  ConstTensor parts() const { return {o.data(), DType::f32, Layout::bshd, 1, cu.back(), kHeads, kCols}; }
};

TEST(MergeRagged, equals_merges_of_single_rows) {
  const Lists lists;
  std::vector<float> o(static_cast<size_t>(lists.rows() * kHeads * kCols), 9),
      lse(static_cast<size_t>(lists.rows() * kHeads), 9);
  const Tensor out(o.data(), DType::f32, Layout::bshd, 1, lists.rows(), kHeads, kCols);
  ASSERT_TRUE(merge_ragged(lists.parts(), lists.lse.data(), Offsets(Array<int32_t>(lists.cu)), out, lse.data()).ok());
  for (int64_t row = 0; row < lists.rows(); ++row) {
    std::vector<PartialResult> parts;
    for (int32_t i = lists.cu[row]; i < lists.cu[row + 1]; ++i)
      parts.push_back({ConstTensor(&lists.o[i * kHeads * kCols], DType::f32, Layout::bshd, 1, 1, kHeads, kCols),
                       &lists.lse[i * kHeads]});
    std::vector<float> expected(kHeads * kCols), expected_lse(kHeads);
    ASSERT_TRUE(
        merge(parts, Tensor(expected.data(), DType::f32, Layout::bshd, 1, 1, kHeads, kCols), expected_lse.data()).ok());
    for (int64_t i = 0; i < kHeads * kCols; ++i) ASSERT_EQ(o[row * kHeads * kCols + i], expected[i]) << row;
    for (int64_t head = 0; head < kHeads; ++head) ASSERT_EQ(lse[row * kHeads + head], expected_lse[head]) << row;
  }
}

TEST(MergeRagged, says_what_is_wrong) {
  const Lists lists;
  std::vector<float> o(static_cast<size_t>(lists.rows() * kHeads * kCols));
  const Tensor out(o.data(), DType::f32, Layout::bshd, 1, lists.rows(), kHeads, kCols);
  const auto message = [&](std::vector<int64_t> cu) {
    const Status status =
        merge_ragged(lists.parts(), lists.lse.data(), Offsets(Array<int64_t>(std::move(cu))), out, nullptr);
    EXPECT_EQ(status.code(), StatusCode::invalid_argument);
    return status.message();
  };
  EXPECT_EQ(message({0, 8}), "merge_ragged: cu_parts.size is 2, expected 6 (= o.rows + 1)");
  EXPECT_EQ(message({1, 2, 2, 7, 8, 8}), "merge_ragged: cu_parts[0] is 1, expected 0");
  EXPECT_EQ(message({0, 2, 1, 7, 8, 8}), "merge_ragged: cu_parts[2] is 1, expected at least 2, the number before it");
  EXPECT_EQ(message({0, 2, 2, 7, 8, 9}), "merge_ragged: parts.rows is 8, expected 9 (= the last of cu_parts)");
  const Status missing = merge_ragged(lists.parts(), nullptr, Offsets(Array<int32_t>(lists.cu)), out, nullptr);
  EXPECT_EQ(missing.message(), "merge_ragged: parts_lse is null, expected a pointer");
}

}  // namespace
}  // namespace attend
