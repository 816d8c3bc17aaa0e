// SPDX-License-Identifier: Apache-2.0
#include "figure.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <cmath>

namespace attend::picture {
namespace {

// All in pixels.
constexpr int kPanel = 560;   // longer side of a panel, at most
constexpr int kMinSide = 24;  // shorter side, at least: a decoding step has one row
constexpr int kMargin = 32, kGap = 44, kAxis = 76;
constexpr int kHeadHeight = 92, kPanelTitle = 54, kTicks = 46, kLegendRow = 26, kLegendIndent = 28;
constexpr int kBarWidth = 18, kBarLabels = 76, kMinBar = 140;
constexpr int kTickLength = 6;
constexpr int kMinGridSpacing = 5;  // closer lines would hide what they part

/// Round steps of about `wanted` pieces: 1, 2 or 5 times a power of ten.
int64_t tick_step(int64_t length, int64_t wanted) {
  for (int64_t power = 1;; power *= 10)
    for (const int64_t step : {power, 2 * power, 5 * power})
      if (length / step <= wanted) return step;
}

std::string shortened(const std::string& text, int width, int scale) {
  if (text_width(text, scale) <= width) return text;
  const auto letters = static_cast<size_t>(std::max(width / (6 * scale) - 3, 0));
  return text.substr(0, letters) + "...";
}

/// Turns pairs into pixels and back, the same for every panel.
struct Geometry {
  int width = 0, height = 0;
  double keys_per_pixel = 1, rows_per_pixel = 1;

  Geometry(int64_t sq, int64_t sk, int64_t pairs) {
    const auto side = [&](int64_t length, int magnify) {
      return std::max(static_cast<int>((length + pairs - 1) / pairs) * magnify, kMinSide);
    };
    const int64_t longest = std::max(sq, sk);
    const int magnify = longest >= kPanel ? 1 : static_cast<int>(kPanel / longest);
    width = side(sk, magnify);
    height = side(sq, magnify);
    // With whole pairs per pixel the last pixel may stand for fewer; ticks and lines use the same rule.
    keys_per_pixel = width == kMinSide ? static_cast<double>(sk) / width : static_cast<double>(pairs) / magnify;
    rows_per_pixel = height == kMinSide ? static_cast<double>(sq) / height : static_cast<double>(pairs) / magnify;
  }
  int64_t key(int x, int64_t sk) const { return std::min(static_cast<int64_t>(x * keys_per_pixel), sk - 1); }
  int64_t row(int y, int64_t sq) const { return std::min(static_cast<int64_t>(y * rows_per_pixel), sq - 1); }
  int x_of(int64_t key) const { return static_cast<int>(std::lround(static_cast<double>(key) / keys_per_pixel)); }
  int y_of(int64_t row) const { return static_cast<int>(std::lround(static_cast<double>(row) / rows_per_pixel)); }
};

void draw_grid(Image& image, const Panel& panel, const Geometry& g, int left, int top, int64_t sq, int64_t sk) {
  const auto blend_column = [&](int x) {
    for (int y = 0; y < g.height; ++y) image.set(left + x, top + y, mix(image.at(left + x, top + y), kPaper, 0.45));
  };
  const auto blend_row = [&](int y) {
    for (int x = 0; x < g.width; ++x) image.set(left + x, top + y, mix(image.at(left + x, top + y), kPaper, 0.45));
  };
  if (panel.grid_keys > 0 && g.x_of(panel.grid_keys) >= kMinGridSpacing)
    for (int64_t k = panel.grid_keys; k < sk; k += panel.grid_keys)
      if (g.x_of(k) < g.width) blend_column(g.x_of(k));
  if (panel.grid_rows > 0 && g.y_of(panel.grid_rows) >= kMinGridSpacing)
    for (int64_t q = panel.grid_rows; q < sq; q += panel.grid_rows)
      if (g.y_of(q) < g.height) blend_row(g.y_of(q));
}

void draw_ticks(Image& image, const Geometry& g, int left, int top, int64_t sq, int64_t sk, bool with_rows) {
  const int64_t key_step = tick_step(sk, std::max<int64_t>(g.width / 90, 1));
  for (int64_t k = 0; k < sk; k += key_step) {
    image.fill(left + g.x_of(k), top + g.height + 1, 2, kTickLength, kFaintInk);
    draw_text(image, left + g.x_of(k) + 1, top + g.height + kTickLength + 5, std::to_string(k), kFaintInk, 2,
              Align::center);
  }
  draw_text(image, left + g.width / 2, top + g.height + kTickLength + 25, "keys", kInk, 2, Align::center);
  const int64_t row_step = tick_step(sq, std::max<int64_t>(g.height / 60, 1));
  for (int64_t q = 0; q < sq; q += row_step) {
    image.fill(left - 1 - kTickLength, top + g.y_of(q), kTickLength, 2, kFaintInk);
    if (with_rows)
      draw_text(image, left - kTickLength - 5, top + g.y_of(q) - 6, std::to_string(q), kFaintInk, 2, Align::right);
  }
  if (with_rows) draw_text_upwards(image, left - kAxis - 4, top + std::max(g.height / 2, 40), "queries", kInk, 2);
}

void draw_heat_bar(Image& image, const HeatScale& scale, int left, int top, int height) {
  for (int y = 0; y < height; ++y) {
    const double value = 1 - static_cast<double>(y) / std::max(height - 1, 1);
    image.fill(left, top + y, kBarWidth, 1, heat_color(value));
  }
  image.frame(left - 1, top - 1, kBarWidth + 2, height + 2, kFaintInk);
  const int steps = scale.decades > 0 ? scale.decades : 4;
  for (int i = 0; i <= steps; ++i) {
    const int y = top + static_cast<int>(std::lround(static_cast<double>(height - 1) * i / steps));
    std::string label = scale.decades > 0 ? fmt::format("{:g}", std::pow(10.0, -i))
                                          : fmt::format("{:g}", 1 - static_cast<double>(i) / steps);
    if (scale.decades > 0 && i == steps) label = "<" + label;
    image.fill(left + kBarWidth + 1, y, kTickLength, 2, kFaintInk);
    draw_text(image, left + kBarWidth + kTickLength + 5, y - 6, label, kFaintInk, 2);
  }
}

}  // namespace

Color HeatScale::color(double probability) const {
  if (probability < 0) return kEmpty;
  if (decades <= 0) return heat_color(probability);
  return heat_color(1 + std::log10(std::max(probability, 1e-30)) / decades);
}

int64_t pairs_per_pixel(int64_t sq, int64_t sk) { return (std::max(sq, sk) + kPanel - 1) / kPanel; }

Image Figure::draw() const {
  const Geometry g(sq, sk, pairs_per_pixel);
  size_t legend_rows = 0;
  int panel_width = g.width;
  for (const Panel& panel : panels) {
    legend_rows = std::max(legend_rows, panel.legend.size());
    panel_width = std::max({panel_width, text_width(panel.title, 2), text_width(panel.subtitle, 2)});
    for (const LegendEntry& entry : panel.legend)
      panel_width = std::max(panel_width, kLegendIndent + text_width(entry.text, 2));
  }
  const int bar = scale ? kBarWidth + kBarLabels + 12 : 0;
  const auto count = static_cast<int>(panels.size());
  const int width = std::max(kMargin + kAxis + 24 + count * panel_width + (count - 1) * kGap + bar + kMargin, 900);
  const int top = kHeadHeight + kPanelTitle;
  const int below = kTicks + 14 + static_cast<int>(legend_rows) * kLegendRow;
  const bool footer_beside_legend = panels[0].legend.empty();
  const int height = top + std::max(g.height, scale ? kMinBar : 0) + below +
                     (footer.empty() || footer_beside_legend ? 0 : 34) + kMargin / 2;
  Image image(width, height, kPaper);
  draw_text(image, kMargin, 22, shortened(title, width - 2 * kMargin, 3), kInk, 3);
  draw_text(image, kMargin, 58, shortened(subtitle, width - 2 * kMargin, 2), kFaintInk, 2);

  int left = kMargin + kAxis + 24;
  for (size_t i = 0; i < panels.size(); ++i) {
    const Panel& panel = panels[i];
    draw_text(image, left, kHeadHeight + 4, shortened(panel.title, panel_width, 2), kInk, 2);
    draw_text(image, left, kHeadHeight + 26, shortened(panel.subtitle, panel_width, 2), kFaintInk, 2);
    for (int y = 0; y < g.height; ++y)
      for (int x = 0; x < g.width; ++x) image.set(left + x, top + y, panel.color(g.row(y, sq), g.key(x, sk)));
    draw_grid(image, panel, g, left, top, sq, sk);
    image.frame(left - 1, top - 1, g.width + 2, g.height + 2, kFaintInk);
    draw_ticks(image, g, left, top, sq, sk, i == 0);
    int legend_top = top + g.height + kTicks + 12;
    for (const LegendEntry& entry : panel.legend) {
      image.fill(left, legend_top, 16, 16, entry.color);
      image.frame(left - 1, legend_top - 1, 18, 18, kFaintInk);
      draw_text(image, left + kLegendIndent, legend_top + 1, entry.text, kInk, 2);
      legend_top += kLegendRow;
    }
    const bool last_heat = panel.legend.empty() && (i + 1 == panels.size() || !panels[i + 1].legend.empty());
    left += panel_width;
    if (scale && last_heat) {
      draw_heat_bar(image, *scale, left - panel_width + g.width + 14, top, std::max(g.height, kMinBar));
      left += bar;
    }
    left += kGap;
  }
  const int footer_left = footer_beside_legend ? kMargin + kAxis + 24 : kMargin;
  const int footer_top = footer_beside_legend ? top + g.height + kTicks + 13 : height - kMargin / 2 - 24;
  draw_text(image, footer_left, footer_top, shortened(footer, width - footer_left - kMargin, 2), kFaintInk, 2);
  return image;
}

}  // namespace attend::picture
