// SPDX-License-Identifier: Apache-2.0
// Blocks whose elements are computed by hand from ggml's description of each format.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "examples/llm/gguf.hpp"
#include "llm/gguf_bytes.hpp"

namespace llm::test {
namespace {

constexpr uint16_t kHalf = 0x3800, kTwo = 0x4000, kMinusOne = 0xbc00, kThree = 0x4200;  // f16: 0.5, 2, -1, 3

std::vector<float> elements(TensorType type, const std::string& bytes, size_t count) {
  std::vector<float> out(count, NAN);
  dequantise(type, std::as_bytes(std::span(bytes)), out.data());
  return out;
}

/// Everything 0 but these bytes.
std::string block(size_t size, const std::map<size_t, std::string>& parts) {
  std::string out(size, '\0');
  for (const auto& [at, bytes] : parts) out.replace(at, bytes.size(), bytes);
  return out;
}

TEST(Dequantise, F32) {
  EXPECT_EQ(elements(TensorType::F32, raw(1.5f) + raw(-0.25f), 2), (std::vector<float>{1.5f, -0.25f}));
}

TEST(Dequantise, F16) {
  const std::string bytes = raw(kHalf) + raw(kMinusOne) + raw<uint16_t>(0x0001) + raw<uint16_t>(0x83ff) +
                            raw<uint16_t>(0x7bff) + raw<uint16_t>(0x0400) + raw<uint16_t>(0x7c00) +
                            raw<uint16_t>(0xfc00) + raw<uint16_t>(0x7e00) + raw<uint16_t>(0x8000);
  const std::vector<float> out = elements(TensorType::F16, bytes, 10);
  EXPECT_EQ(out[0], 0.5f);
  EXPECT_EQ(out[1], -1.0f);
  EXPECT_EQ(out[2], 0x1p-24f);          // the smallest subnormal
  EXPECT_EQ(out[3], -1023 * 0x1p-24f);  // the largest, negative
  EXPECT_EQ(out[4], 65504.0f);
  EXPECT_EQ(out[5], 0x1p-14f);
  EXPECT_EQ(out[6], INFINITY);
  EXPECT_EQ(out[7], -INFINITY);
  EXPECT_TRUE(std::isnan(out[8]));
  EXPECT_TRUE(out[9] == 0 && std::signbit(out[9]));
}

TEST(Dequantise, BF16) {
  EXPECT_EQ(elements(TensorType::BF16, raw<uint16_t>(0x3fc0) + raw<uint16_t>(0xc100), 2),
            (std::vector<float>{1.5f, -8.0f}));
}

TEST(Dequantise, Q8_0) {
  const auto out = elements(TensorType::Q8_0, block(34, {{0, raw(kHalf)}, {2, "\x7f\x80"}, {33, "\xff"}}), 32);
  EXPECT_EQ(out[0], 63.5f);
  EXPECT_EQ(out[1], -64.0f);
  EXPECT_EQ(out[2], 0.0f);
  EXPECT_EQ(out[31], -0.5f);
}

TEST(Dequantise, Q4_0) {
  const auto out = elements(TensorType::Q4_0, block(18, {{0, raw(kTwo)}, {2, "\xf1"}, {17, "\x8a"}}), 32);
  EXPECT_EQ(out[0], -14.0f);  // 2 (1 - 8)
  EXPECT_EQ(out[16], 14.0f);  // 2 (15 - 8)
  EXPECT_EQ(out[1], -16.0f);  // 2 (0 - 8)
  EXPECT_EQ(out[15], 4.0f);   // 2 (10 - 8)
  EXPECT_EQ(out[31], 0.0f);
}

TEST(Dequantise, Q4_1) {
  const auto out =
      elements(TensorType::Q4_1, block(20, {{0, raw(kHalf)}, {2, raw(kMinusOne)}, {4, "\xf1"}, {19, "\x8a"}}), 32);
  EXPECT_EQ(out[0], -0.5f);  // 0.5 * 1 - 1
  EXPECT_EQ(out[16], 6.5f);  // 0.5 * 15 - 1
  EXPECT_EQ(out[1], -1.0f);
  EXPECT_EQ(out[15], 4.0f);
  EXPECT_EQ(out[31], 3.0f);
}

TEST(Dequantise, Q5_0) {
  const auto bits = raw<uint32_t>(1u << 0 | 1u << 15 | 1u << 31);
  const auto out = elements(TensorType::Q5_0, block(22, {{0, raw(kTwo)}, {2, bits}, {6, "\xf1"}, {21, "\x8a"}}), 32);
  EXPECT_EQ(out[0], 2.0f);    // 2 (17 - 16)
  EXPECT_EQ(out[16], -2.0f);  // 2 (15 - 16)
  EXPECT_EQ(out[1], -32.0f);
  EXPECT_EQ(out[15], 20.0f);  // 2 (26 - 16)
  EXPECT_EQ(out[31], 16.0f);  // 2 (24 - 16)
}

TEST(Dequantise, Q4_K) {
  // Scales 5 and 47 = 32 + 15 (parts 0 and 5), minima 63 and 33 = 32 + 1 (the same parts).
  const std::string packed = block(12, {{0, "\x05"}, {1, "\x80"}, {4, "\x3f"}, {5, "\x80"}, {9, "\x1f"}});
  const auto out =
      elements(TensorType::Q4_K,
               block(144, {{0, raw(kHalf)}, {2, raw(kTwo)}, {4, packed}, {16, "\x93"}, {16 + 95, "\xe2"}}), 256);
  EXPECT_EQ(out[0], 0.5f * 5 * 3 - 2 * 63);      // byte 0, lower half: part 0
  EXPECT_EQ(out[1], -126.0f);                    // 0 of part 0
  EXPECT_EQ(out[32], 0.0f);                      // part 1 has scale 0 and minimum 0
  EXPECT_EQ(out[191], 0.5f * 47 * 14 - 2 * 33);  // byte 95 = 2 * 32 + 31, upper half: part 5
  EXPECT_EQ(out[160], -66.0f);                   // 0 of part 5
  EXPECT_EQ(out[159], 0.0f);                     // its lower half: part 4
}

TEST(Dequantise, Q6_K) {
  const auto out = elements(TensorType::Q6_K,
                            block(210, {{0, "\x5f"},
                                        {33, "\x71"},
                                        {64 + 63, "\xc4"},
                                        {128, "\x93"},
                                        {129, "\xe4"},
                                        {128 + 63, "\x40"},
                                        {192, "\x02\x01\x03"},
                                        {192 + 4, "\xff"},
                                        {192 + 6, "\x05"},
                                        {192 + 15, "\x80"},
                                        {208, raw(kThree)}}),
                            256);
  // Byte 0 of the lower bits has 15 and 5; byte 128, 10'01'00'11, the upper bits of elements 0, 32, 64, 96: 3, 0, 1, 2.
  EXPECT_EQ(out[0], 3.0f * 2 * (63 - 32));
  EXPECT_EQ(out[32], 3.0f * 3 * (0 - 32));
  EXPECT_EQ(out[64], 3.0f * -1 * (5 + 16 - 32));
  EXPECT_EQ(out[96], 3.0f * 5 * (0 + 32 - 32));
  // Byte 129, 11'10'01'00, of elements 1, 33, 65, 97; byte 33 of the lower bits, 7 and 1, is of elements 33 and 97.
  EXPECT_EQ(out[1], 3.0f * 2 * -32);
  EXPECT_EQ(out[33], 3.0f * 3 * (1 + 16 - 32));
  EXPECT_EQ(out[65], 3.0f * -1 * (0 + 32 - 32));
  EXPECT_EQ(out[97], 3.0f * 5 * (7 + 48 - 32));
  // The last element: byte 127 has 12 above, byte 191, 01'00'00'00, the upper bits 1; the scale is -128.
  EXPECT_EQ(out[255], 3.0f * -128 * (12 + 16 - 32));
  EXPECT_EQ(out[16], 3.0f * 1 * -32);  // scale 1
}

TEST(Dequantise, ARowIsBlockAfterBlock) {
  const std::string one = block(18, {{0, raw(kTwo)}}), two = block(18, {{0, raw(kHalf)}});
  const auto out = elements(TensorType::Q4_0, one + two, 64);
  EXPECT_EQ(out[31], -16.0f);
  EXPECT_EQ(out[32], -4.0f);
  dequantise(TensorType::Q4_0, {}, nullptr);
}

}  // namespace
}  // namespace llm::test
