// SPDX-License-Identifier: Apache-2.0
#include "image.hpp"

#include <png.h>
#include <algorithm>
#include <cmath>

namespace attend::picture {

Color mix(Color a, Color b, double share) {
  const auto channel = [share](uint8_t from, uint8_t to) {
    return static_cast<uint8_t>(std::lround(from + (to - from) * std::clamp(share, 0.0, 1.0)));
  };
  return {channel(a.r, b.r), channel(a.g, b.g), channel(a.b, b.b)};
}

Image::Image(int width, int height, Color background)
    : width_(width), height_(height), rgb_(static_cast<size_t>(width) * static_cast<size_t>(height) * 3) {
  fill(0, 0, width, height, background);
}

Color Image::at(int x, int y) const {
  const size_t i = (static_cast<size_t>(y) * static_cast<size_t>(width_) + static_cast<size_t>(x)) * 3;
  return {rgb_[i], rgb_[i + 1], rgb_[i + 2]};
}

void Image::set(int x, int y, Color color) {
  if (x < 0 || y < 0 || x >= width_ || y >= height_) return;
  const size_t i = (static_cast<size_t>(y) * static_cast<size_t>(width_) + static_cast<size_t>(x)) * 3;
  rgb_[i] = color.r;
  rgb_[i + 1] = color.g;
  rgb_[i + 2] = color.b;
}

void Image::fill(int x, int y, int width, int height, Color color) {
  for (int row = std::max(y, 0); row < std::min(y + height, height_); ++row)
    for (int column = std::max(x, 0); column < std::min(x + width, width_); ++column) set(column, row, color);
}

void Image::frame(int x, int y, int width, int height, Color color, int thickness) {
  fill(x, y, width, thickness, color);
  fill(x, y + height - thickness, width, thickness, color);
  fill(x, y, thickness, height, color);
  fill(x + width - thickness, y, thickness, height, color);
}

Result<std::vector<std::byte>> Image::png() const {
  png_image description{};
  description.version = PNG_IMAGE_VERSION;
  description.width = static_cast<png_uint_32>(width_);
  description.height = static_cast<png_uint_32>(height_);
  description.format = PNG_FORMAT_RGB;
  std::vector<std::byte> file(PNG_IMAGE_PNG_SIZE_MAX(description));
  png_alloc_size_t size = file.size();
  if (png_image_write_to_memory(&description, file.data(), &size, 0, rgb_.data(), 0, nullptr) == 0)
    return Status(StatusCode::internal, std::string("png: ") + description.message);
  file.resize(size);
  return file;
}

namespace {

constexpr int kGlyphColumns = 5, kGlyphRows = 8, kAdvance = kGlyphColumns + 1;

struct Glyph {
  uint8_t rows[kGlyphRows];
};

Glyph glyph(char c) {
  switch (c) {
#define GLYPH(character, ...) \
  case character:             \
    return {{__VA_ARGS__}};
#include "font.def"
#undef GLYPH
    default: return {{0x1f, 0x11, 0x11, 0x11, 0x11, 0x11, 0x1f, 0x00}};
  }
}

/// Calls dot(column, row) for every set dot of the text.
template <class Dot>
void for_each_dot(std::string_view text, Dot dot) {
  for (size_t i = 0; i < text.size(); ++i) {
    const Glyph shape = glyph(text[i]);
    for (int row = 0; row < kGlyphRows; ++row)
      for (int column = 0; column < kGlyphColumns; ++column)
        if ((shape.rows[row] >> (kGlyphColumns - 1 - column) & 1) != 0)
          dot(static_cast<int>(i) * kAdvance + column, row);
  }
}

}  // namespace

int text_width(std::string_view text, int scale) {
  return text.empty() ? 0 : (static_cast<int>(text.size()) * kAdvance - 1) * scale;
}

int text_height(int scale) { return kGlyphRows * scale; }

void draw_text(Image& image, int x, int y, std::string_view text, Color color, int scale, Align align) {
  const int width = text_width(text, scale);
  const int left = align == Align::left ? x : align == Align::right ? x - width : x - width / 2;
  for_each_dot(text,
               [&](int column, int row) { image.fill(left + column * scale, y + row * scale, scale, scale, color); });
}

void draw_text_upwards(Image& image, int x, int y, std::string_view text, Color color, int scale) {
  const int bottom = y + text_width(text, scale) / 2;
  for_each_dot(text, [&](int column, int row) {
    image.fill(x + row * scale, bottom - (column + 1) * scale, scale, scale, color);
  });
}

namespace {

/// Lightness, and the two opponent axes green-red and blue-yellow (Ottosson 2020, "A perceptual color space for image
/// processing"): equal distances look about equally far apart.
struct Oklab {
  double l, a, b;
};

uint8_t to_srgb(double linear) {
  const double x = std::clamp(linear, 0.0, 1.0);
  return static_cast<uint8_t>(std::lround(255 * (x <= 0.0031308 ? 12.92 * x : 1.055 * std::pow(x, 1 / 2.4) - 0.055)));
}

Color to_color(Oklab lab) {
  const double l = std::pow(lab.l + 0.3963377774 * lab.a + 0.2158037573 * lab.b, 3);
  const double m = std::pow(lab.l - 0.1055613458 * lab.a - 0.0638541728 * lab.b, 3);
  const double s = std::pow(lab.l - 0.0894841775 * lab.a - 1.2914855480 * lab.b, 3);
  return {to_srgb(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
          to_srgb(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
          to_srgb(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s)};
}

}  // namespace

Color heat_color(double value) {
  // Lightness rises in a straight line; hue walks from blue-violet over red to yellow, most colourful in the middle
  // where the display can show it. Chroma and hue in degrees at equal distances of the value.
  struct Point {
    double chroma, hue;
  };
  constexpr Point kPoints[] = {{0.055, 280}, {0.125, 295}, {0.170, 335}, {0.185, 375},
                               {0.165, 405}, {0.150, 445}, {0.075, 465}};
  constexpr int kSpans = static_cast<int>(std::size(kPoints)) - 1;
  const double x = std::isnan(value) ? 0 : std::clamp(value, 0.0, 1.0);
  const int span = std::min(static_cast<int>(x * kSpans), kSpans - 1);
  const double share = x * kSpans - span;
  const double chroma = kPoints[span].chroma + (kPoints[span + 1].chroma - kPoints[span].chroma) * share;
  const double hue = (kPoints[span].hue + (kPoints[span + 1].hue - kPoints[span].hue) * share) * std::acos(-1.0) / 180;
  return to_color({0.16 + 0.81 * x, chroma * std::cos(hue), chroma * std::sin(hue)});
}

}  // namespace attend::picture
