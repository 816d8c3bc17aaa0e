// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/status.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace attend::picture {

/// An sRGB colour, 8 bits a channel.
struct Color {
  uint8_t r = 0, g = 0, b = 0;
  bool operator==(const Color&) const = default;
};

/// A colour between two, `share` of the way from a to b, mixed in sRGB.
Color mix(Color a, Color b, double share);

/// Pixels in rows from the top left. Drawing outside is cut off, never an error.
class Image {
 public:
  Image(int width, int height, Color background);
  int width() const { return width_; }
  int height() const { return height_; }
  /// Only for 0 <= x < width, 0 <= y < height.
  Color at(int x, int y) const;

  void set(int x, int y, Color color);
  void fill(int x, int y, int width, int height, Color color);
  /// The outline of fill(), `thickness` pixels inwards.
  void frame(int x, int y, int width, int height, Color color, int thickness = 1);

  /// The file's bytes. Error: internal with what libpng says.
  Result<std::vector<std::byte>> png() const;

 private:
  int width_, height_;
  std::vector<uint8_t> rgb_;
};

/// Where the given point of a piece of text lies.
enum class Align { left, center, right };

/// Pixels that `text` takes when drawn `scale` times the font's 5 x 7 dots.
int text_width(std::string_view text, int scale);
int text_height(int scale);
/// Draws printable ASCII (other bytes as a box) with its top at y. See font.def.
void draw_text(Image& image, int x, int y, std::string_view text, Color color, int scale, Align align = Align::left);
/// The same turned a quarter to the left, reading upwards; (x, y) is the middle of the text, whose letters' tops are at
/// x.
void draw_text_upwards(Image& image, int x, int y, std::string_view text, Color color, int scale);

/// Colours of a value in [0, 1], dark to light with evenly rising lightness, so that equal steps look equal and a
/// greyscale print keeps the order. Values outside are clamped.
Color heat_color(double value);

}  // namespace attend::picture
