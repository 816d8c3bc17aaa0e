// SPDX-License-Identifier: Apache-2.0
#include "bench/statistics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace attend::bench {
namespace {

TEST(bench_statistics, percentiles_interpolate_between_neighbours) {
  const std::vector<double> sorted = {1, 2, 4, 8};
  EXPECT_DOUBLE_EQ(percentile(sorted, 0), 1);
  EXPECT_DOUBLE_EQ(percentile(sorted, 1), 8);
  EXPECT_DOUBLE_EQ(percentile(sorted, 0.5), 3);
  EXPECT_DOUBLE_EQ(percentile(sorted, 0.1), 1.3);
  EXPECT_DOUBLE_EQ(percentile(sorted, 0.9), 6.8);
  EXPECT_DOUBLE_EQ(percentile(sorted, -1), 1) << "fractions outside 0 to 1 are the ends";
  EXPECT_DOUBLE_EQ(percentile(sorted, 2), 8);
}

TEST(bench_statistics, one_value_is_every_percentile) {
  const Summary summary = summarise({7});
  EXPECT_EQ(summary.median, 7);
  EXPECT_EQ(summary.p10, 7);
  EXPECT_EQ(summary.p90, 7);
  EXPECT_EQ(summary.count, 1);
}

TEST(bench_statistics, order_does_not_matter) {
  EXPECT_DOUBLE_EQ(median({9, 1, 5}), 5);
  const Summary summary = summarise({30, 10, 20, 50, 40});
  EXPECT_DOUBLE_EQ(summary.median, 30);
  EXPECT_DOUBLE_EQ(summary.p10, 14);
  EXPECT_DOUBLE_EQ(summary.p90, 46);
}

TEST(bench_statistics, nothing_has_no_median) {
  EXPECT_TRUE(std::isnan(median({})));
  EXPECT_EQ(summarise({}).count, 0);
}

}  // namespace
}  // namespace attend::bench
