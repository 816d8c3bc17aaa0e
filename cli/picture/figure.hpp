// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "image.hpp"

namespace attend::picture {

/// Colours of a figure's paper.
inline constexpr Color kPaper{255, 255, 255}, kInk{34, 34, 46}, kFaintInk{118, 118, 134}, kEmpty{233, 233, 239};

/// A colour and what it stands for.
struct LegendEntry {
  Color color;
  std::string text;
};

/// One rectangle of pairs, queries downwards and keys to the right.
struct Panel {
  std::string title, subtitle;
  std::function<Color(int64_t q, int64_t k)> color;  ///< of a pair
  int64_t grid_rows = 0, grid_keys = 0;              ///< lines at their multiples; 0: none
  std::vector<LegendEntry> legend;                   ///< below the panel
};

/// What the heat colours stand for: powers of ten from 10^-decades to 1, or 0 to 1 when decades is 0.
struct HeatScale {
  int decades = 4;
  /// Of a probability; negative values are what no pair counts in.
  Color color(double probability) const;
};

struct Figure {
  std::string title, subtitle, footer;
  int64_t sq = 0, sk = 0;
  int64_t pairs_per_pixel = 1;  ///< how many pairs share a pixel, in each direction
  std::vector<Panel> panels;
  std::optional<HeatScale> scale;  ///< drawn as a bar at the right of the last panel without a legend

  /// Both lengths at least 1, at least one panel.
  Image draw() const;
};

/// Pairs that must share a pixel so that `length` of them fit a panel.
int64_t pairs_per_pixel(int64_t sq, int64_t sk);

}  // namespace attend::picture
