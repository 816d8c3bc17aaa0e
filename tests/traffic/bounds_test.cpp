// SPDX-License-Identifier: Apache-2.0
// The bounds of the paper (FlashAttention, arXiv:2205.14135), in elements of f32 for N rows and keys of d columns and a
// level of M elements: theorem 2, proposition 3 and proposition 4.
#include <gtest/gtest.h>

#include <algorithm>
#include <attend/attend.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "plan/memory_traffic.hpp"
#include "support/parsed.hpp"

namespace attend::test {
namespace {

AttentionFwd square(int64_t n, int64_t d, const std::string& more = "") {
  return parsed("attention_fwd sq=" + std::to_string(n) + " d=" + std::to_string(d) + more);
}

double elements(const Result<MemoryTraffic>& moved) {
  EXPECT_TRUE(moved.ok()) << moved.status().message();
  return static_cast<double>(moved->read + moved->written) / 4;
}
double naive(const AttentionFwd& problem, int64_t m) {
  return elements(problem.memory_traffic(Schedule::naive, 4 * m));
}
double flash(const AttentionFwd& problem, int64_t m) {
  return elements(problem.memory_traffic(Schedule::flash_attention_1, 4 * m));
}
double least(const AttentionFwd& problem) { return problem.cost().bytes / 4; }

struct Point {
  int64_t n, d, m;
  /// N^2 d^2 / M
  double flash_bound() const {
    return static_cast<double>(n * n) * static_cast<double>(d * d) / static_cast<double>(m);
  }
};

/// 8 d <= M <= N d, a little off powers of two.
std::vector<Point> sweep() {
  std::vector<Point> points;
  for (const int64_t d : {32, 64, 128, 256})
    for (int64_t n = 4 * d; n <= 32768; n = 2 * n + 1)
      for (int64_t m = 8 * d; m <= n * d; m = m * 3 / 2) points.push_back({n, d, m});
  return points;
}

TEST(TrafficBounds, naive_is_of_the_order_of_nd_plus_n_squared) {
  int64_t seen = 0;
  for (const auto& [n, d, m] : sweep()) {
    if (m < d * d) continue;  // the products themselves move more: K and V come again for each few rows
    const double ratio = naive(square(n, d), m) / static_cast<double>(4 * n * d + 4 * n * n);
    EXPECT_GE(ratio, 1) << n << " " << d << " " << m;
    EXPECT_LE(ratio, 1.8) << n << " " << d << " " << m;
    ++seen;
  }
  EXPECT_GT(seen, 200);
}

TEST(TrafficBounds, flash_attention_1_is_of_the_order_of_n_squared_d_squared_over_m) {
  double smallest = 1e9, largest = 0;
  for (const Point& at : sweep()) {
    const auto& [n, d, m] = at;
    const double ratio = flash(square(n, d), m) / at.flash_bound();
    EXPECT_GE(ratio, 8) << n << " " << d << " " << m;
    EXPECT_LE(ratio, 26) << n << " " << d << " " << m;
    smallest = std::min(smallest, ratio);
    largest = std::max(largest, ratio);
  }
  RecordProperty("smallest", std::to_string(smallest));
  RecordProperty("largest", std::to_string(largest));
}

/// log(to / from) over log(factor): the exponent with which something that was multiplied by `factor` comes in.
double exponent(double from, double to, double factor) { return std::log(to / from) / std::log(factor); }

TEST(TrafficBounds, flash_attention_1_has_the_exponents_of_the_theorem) {
  for (const int64_t d : {32, 64, 128})
    for (const int64_t m : {32 * d, 256 * d, 2048 * d})
      EXPECT_NEAR(exponent(flash(square(16384, d), m), flash(square(262144, d), m), 16), 2, 0.1) << d << " " << m;
  // Over ranges wide enough that tiles which are only as many rows as keys, and others, are in each.
  for (const int64_t d : {32, 64, 128})
    EXPECT_NEAR(exponent(flash(square(65536, d), 16 * d), flash(square(65536, d), 8192 * d), 512), -1, 0.1) << d;
  for (const int64_t m : {1 << 14, 1 << 17, 1 << 20})
    EXPECT_NEAR(exponent(flash(square(131072, 16), m), flash(square(131072, 512), m), 32), 2, 0.15) << m;
}

TEST(TrafficBounds, no_schedule_moves_less_than_its_inputs_and_output) {
  PlanOptions options;
  options.threads = 1;
  options.kernel = "attention_fwd.emu.f32";
  int64_t seen = 0;
  for (const Point& at : sweep()) {
    const auto& [n, d, m] = at;
    const AttentionFwd problem = square(n, d);
    EXPECT_GE(naive(problem, m), least(problem));
    EXPECT_GE(flash(problem, m), least(problem));
    EXPECT_GE(flash(problem, m), at.flash_bound()) << "proposition 3, for this schedule";
    if (n > 5000) continue;
    const Result<MemoryTraffic> ours = plan(problem, options)->memory_traffic(4 * m);
    if (!ours.ok()) continue;  // no room for a block
    EXPECT_GE(elements(ours), least(problem));
    ++seen;
    if (4 * m < 2 << 20) continue;  // made for this much: stripes that read panels alone may move more than S and P
    EXPECT_LT(elements(ours), naive(problem, m)) << n << " " << d << " " << m;
  }
  EXPECT_GE(seen, 30);
}

TEST(TrafficBounds, flash_attention_1_wins_where_d_squared_is_small_against_m) {
  int64_t wins = 0, losses = 0;
  for (const auto& [n, d, m] : sweep()) {
    if (n < 16 * d) continue;
    const AttentionFwd problem = square(n, d);
    if (m >= 6 * d * d) {
      EXPECT_LT(flash(problem, m), naive(problem, m)) << n << " " << d << " " << m;
      ++wins;
    } else if (m <= d * d) {
      EXPECT_GT(flash(problem, m), naive(problem, m)) << n << " " << d << " " << m;
      ++losses;
    }
  }
  EXPECT_GT(wins, 50);
  EXPECT_GT(losses, 50);
}

/// 1024 tokens of GPT-2's heads in 16 bits through 96 KiB and 192 KiB: 3.3 and 6 times less by the paper's tiles.
TEST(TrafficBounds, the_paper_s_example) {
  const AttentionFwd problem = square(1024, 64, " dtype=f16");
  for (const auto& [level_bytes, low, high] : {std::tuple{96 << 10, 2.5, 4.0}, std::tuple{192 << 10, 4.5, 7.0}}) {
    const double ratio = elements(problem.memory_traffic(Schedule::naive, level_bytes)) /
                         elements(problem.memory_traffic(Schedule::flash_attention_1, level_bytes));
    EXPECT_GT(ratio, low);
    EXPECT_LT(ratio, high);
  }
}

/// Our Bc is the paper's ceil(M / 4d) but for the room that scores take.
TEST(TrafficBounds, tiles_are_the_paper_s_up_to_a_constant) {
  for (const auto& [n, d, m] : sweep()) {
    const int64_t paper = (m + 4 * d - 1) / (4 * d);
    const int64_t keys = plan_detail::flash_attention_1_tiles(square(n, d), 4 * m)->keys;
    EXPECT_GE(2 * keys, paper) << d << " " << m;
    EXPECT_LE(2 * keys, 3 * paper) << d << " " << m;
  }
}

/// Proposition 4: what the inner loop moves is in proportion to the tiles that are not zero.
TEST(TrafficBounds, block_sparse_traffic_is_in_proportion_to_the_nonzero_blocks) {
  const int64_t n = 4096, d = 64, tile = 128;
  const int64_t level_bytes = 4 * (2 * tile * d + d * (2 * d + 2 + tile));  // Bc = 128, Br = 64
  const AttentionFwd full = square(n, d);
  ASSERT_EQ(plan_detail::flash_attention_1_tiles(full, level_bytes)->keys, tile);
  ASSERT_EQ(plan_detail::flash_attention_1_tiles(full, level_bytes)->rows, d);
  const auto inner = [&](const AttentionFwd& problem) {
    return problem.memory_traffic(Schedule::flash_attention_1, level_bytes)->written - n * (4 * d + 8);
  };
  for (const char* density : {"1", "0.5", "0.25", "0.1", "0.03"}) {
    const AttentionFwd sparse = square(n, d, std::string(" mask=block_sparse:128x128:random:") + density + ":7");
    const int64_t live = sparse.cost().visible_pairs / (tile * tile);
    EXPECT_EQ(inner(sparse) * (n / tile) * (n / tile), inner(full) * live) << density;
  }
  const AttentionFwd causal = square(n, d, " mask=causal");
  EXPECT_NEAR(static_cast<double>(inner(causal)) / static_cast<double>(inner(full)), 0.5, 0.03);
}

TEST(TrafficBounds, plans_move_the_least_where_a_head_fits_and_skip_what_the_mask_skips) {
  PlanOptions options;
  options.threads = 1;
  options.kernel = "attention_fwd.emu.f32";
  const int64_t m = 512 << 10;
  const auto ours = [&](const AttentionFwd& problem) {
    return elements(plan(problem, options)->memory_traffic(4 * m));
  };
  EXPECT_EQ(ours(square(1024, 64, " hq=8 hk=2 lse=1")), least(square(1024, 64, " hq=8 hk=2 lse=1")));
  const double at = ours(square(16384, 64));
  EXPECT_GT(at, 10 * least(square(16384, 64)));
  EXPECT_NEAR(ours(square(32768, 64)) / at, 4, 0.2) << "blocks of as many rows, panels of as many keys";
  EXPECT_NEAR(ours(square(16384, 64, " mask=causal")) / at, 0.5, 0.05);
  EXPECT_LT(ours(square(16384, 64, " mask=causal&window:512:0")), 5 * least(square(16384, 64)));
}

}  // namespace
}  // namespace attend::test
