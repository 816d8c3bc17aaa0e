// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <vector>

#include "cli/picture/image.hpp"

namespace attend::picture {
namespace {

uint32_t big_endian(const std::byte* p) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | std::to_integer<uint32_t>(p[i]);
  return value;
}

TEST(Picture, png_has_its_signature_and_size) {
  const Image image(37, 11, Color{1, 2, 3});
  const auto png = image.png();
  ASSERT_TRUE(png.ok()) << png.status().message();
  ASSERT_GT(png->size(), 33U);
  EXPECT_EQ(std::memcmp(png->data(), "\x89PNG\r\n\x1a\n", 8), 0);
  EXPECT_EQ(big_endian(png->data() + 16), 37U);
  EXPECT_EQ(big_endian(png->data() + 20), 11U);
}

TEST(Picture, drawing_outside_is_cut_off) {
  Image image(8, 8, Color{});
  image.fill(-5, 6, 100, 100, Color{9, 9, 9});
  image.set(-1, 3, Color{7, 7, 7});
  image.set(8, 8, Color{7, 7, 7});
  EXPECT_EQ(image.at(0, 7), (Color{9, 9, 9}));
  EXPECT_EQ(image.at(7, 5), (Color{}));
  draw_text(image, -20, -3, "text that begins and ends outside", Color{5, 5, 5}, 3);
  EXPECT_EQ(image.width(), 8);
}

TEST(Picture, text_is_as_wide_as_announced) {
  EXPECT_EQ(text_width("", 2), 0);
  EXPECT_GT(text_width("ab", 2), text_width("a", 2));
  Image image(text_width("mask", 1) + 2, text_height(1) + 2, Color{});
  draw_text(image, 1, 1, "mask", Color{255, 255, 255}, 1);
  bool inked = false;
  for (int y = 0; y < image.height(); ++y) {
    EXPECT_EQ(image.at(0, y), (Color{}));
    EXPECT_EQ(image.at(image.width() - 1, y), (Color{}));
    for (int x = 0; x < image.width(); ++x) inked |= image.at(x, y) == Color{255, 255, 255};
  }
  EXPECT_TRUE(inked);
}

}  // namespace
}  // namespace attend::picture
