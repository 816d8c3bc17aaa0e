// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace attend::bench {

/// The value below which the fraction `p` (0 to 1) of `sorted` lies, with linear interpolation between neighbours
/// (NumPy's default). `sorted` must rise. NaN when it is empty.
double percentile(std::span<const double> sorted, double p);

/// Percentiles of a list in any order.
struct Summary {
  double median = 0, p10 = 0, p90 = 0;
  int64_t count = 0;
};

/// All zero when there are no values.
Summary summarise(std::vector<double> values);

/// Median of a list in any order; NaN when it is empty.
double median(std::vector<double> values);

}  // namespace attend::bench
