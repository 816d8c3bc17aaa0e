// SPDX-License-Identifier: Apache-2.0
// Formats of cached elements: what a code stands for, and how far encoding moves a number.
#include <attend/kv_cache.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/e4m3.hpp"
#include "normal.hpp"

namespace attend {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();

const std::vector<KvFormat>& formats() {
  static const std::vector<KvFormat> all = {
#define ATTEND_KV_FORMAT(name, bits, scales, scale_type, doc) KvFormat::name,
#include <attend/kv_formats.def>
#undef ATTEND_KV_FORMAT
  };
  return all;
}

struct Encoded {
  std::vector<std::byte> row, scales;
  std::vector<float> decoded;
};

Encoded round_trip(KvFormat format, DType type, const std::vector<float>& values,
                   const std::vector<float>& channels = {}) {
  const auto columns = static_cast<int64_t>(values.size());
  Encoded out;
  out.row.resize(static_cast<size_t>(kv_bytes(format, type, kv_row_elements(format, columns))));
  out.scales.resize(static_cast<size_t>(kv_row_scales(format, columns)) * 4);
  if (!channels.empty()) std::memcpy(out.scales.data(), channels.data(), channels.size() * 4);
  kv_encode(format, type, values.data(), columns, out.row.data(), out.scales.data());
  out.decoded.resize(values.size());
  kv_decode(format, type, out.row.data(), out.scales.data(), columns, out.decoded.data());
  return out;
}

TEST(e4m3, every_code_comes_back_and_ties_go_to_even) {
  for (int code = 0; code < 256; ++code) {
    const float value = e4m3_to_f32(static_cast<uint8_t>(code));
    if ((code & 0x7f) == 0x7f) {
      EXPECT_TRUE(std::isnan(value));
      EXPECT_EQ(f32_to_e4m3(value) & 0x7f, 0x7f);
      continue;
    }
    // By the fields' definition: 2^(e - 7) * (1 + f / 8), 2^-6 * f / 8 for e = 0.
    const int e = code >> 3 & 15, f = code & 7;
    const double magnitude = e == 0 ? std::ldexp(f, -9) : std::ldexp(8 + f, e - 10);
    EXPECT_EQ(value, code < 128 ? magnitude : -magnitude) << code;
    EXPECT_EQ(f32_to_e4m3(value), code);
  }
  for (int code = 0; code < 126; ++code) {
    const float below = e4m3_to_f32(static_cast<uint8_t>(code)), above = e4m3_to_f32(static_cast<uint8_t>(code + 1));
    const float middle = (below + above) / 2;
    EXPECT_EQ(f32_to_e4m3(middle), code % 2 == 0 ? code : code + 1);
    EXPECT_EQ(f32_to_e4m3(std::nextafter(middle, 0.0F)), code);
    EXPECT_EQ(f32_to_e4m3(std::nextafter(middle, kInf)), code + 1);
  }
  EXPECT_EQ(f32_to_e4m3(1e9F), 0x7e);
  EXPECT_EQ(f32_to_e4m3(-kInf), 0xfe);
}

/// The bounds of docs/caches.md: half a step of the codes, whose largest stands for the largest magnitude.
TEST(kv_format, encoding_moves_a_number_by_half_a_step_at_most) {
  for (const KvFormat format : formats()) {
    for (const int64_t columns : {1, 2, 31, 32, 33, 64, 65, 128, 512}) {
      for (const double magnitude : {1e-30, 1e-3, 1.0, 1e20}) {
        const std::vector<float> values = normal(columns, static_cast<uint64_t>(columns), magnitude);
        float largest = 0;
        for (const float value : values) largest = std::max(largest, std::abs(value));
        const std::vector<float> channels(static_cast<size_t>(columns), largest / 127);
        const bool per_channel = kv_format_row(format).scales == KvScales::channel;
        const Encoded found = round_trip(format, DType::f32, values, per_channel ? channels : std::vector<float>());
        for (int64_t c = 0; c < columns; ++c) {
          float group_largest = largest;
          if (const int64_t group = kv_format_row(format).group(columns); group > 0) {
            group_largest = 0;
            for (int64_t i = c / group * group; i < std::min((c / group + 1) * group, columns); ++i)
              group_largest = std::max(group_largest, std::abs(values[i]));
          }
          double step = 0;
          switch (format) {
            case KvFormat::plain: break;
            case KvFormat::int8:
            case KvFormat::int8_channel: step = group_largest / 127.0; break;
            case KvFormat::int4_32:
            case KvFormat::int4_64: step = group_largest / 7.0 * (1 + 0x1p-7); break;
            case KvFormat::e4m3: step = std::max(std::abs(values[c]) / 8.0, group_largest / 448.0 * 0x1p-9); break;
          }
          EXPECT_LE(std::abs(double{found.decoded[c]} - values[c]), step / 2 * (1 + 1e-5) + 1e-44)
              << kv_format_row(format).name << ", " << columns << " columns, column " << c;
        }
      }
    }
  }
}

TEST(kv_format, what_was_decoded_encodes_to_itself) {
  for (const KvFormat format : formats()) {
    const std::vector<float> channels = normal(96, 7);
    std::vector<float> positive;
    for (const float each : channels) positive.push_back(std::abs(each) / 50 + 0.01F);
    const bool per_channel = kv_format_row(format).scales == KvScales::channel;
    const Encoded once = round_trip(format, DType::bf16, normal(96, 3), per_channel ? positive : std::vector<float>());
    const Encoded twice = round_trip(format, DType::bf16, once.decoded, per_channel ? positive : std::vector<float>());
    for (size_t c = 0; c < once.decoded.size(); ++c)
      EXPECT_NEAR(twice.decoded[c], once.decoded[c], 1e-6 * std::abs(once.decoded[c])) << kv_format_row(format).name;
  }
}

TEST(kv_format, halves_of_a_byte_are_half_a_group_apart) {
  std::vector<float> values(64);
  for (int c = 0; c < 64; ++c) values[c] = static_cast<float>(c % 15 - 7);  // exact with a scale of 1
  const Encoded in32 = round_trip(KvFormat::int4_32, DType::f32, values);
  const Encoded in64 = round_trip(KvFormat::int4_64, DType::f32, values);
  ASSERT_EQ(in32.decoded, values);
  ASSERT_EQ(in64.decoded, values);
  const auto code = [&](int c) { return static_cast<int>(values[c]) + 8; };
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(static_cast<int>(in32.row[i]), code(i) | code(i + 16) << 4);
    EXPECT_EQ(static_cast<int>(in32.row[16 + i]), code(32 + i) | code(48 + i) << 4);
  }
  for (int i = 0; i < 32; ++i) EXPECT_EQ(static_cast<int>(in64.row[i]), code(i) | code(i + 32) << 4);
}

TEST(kv_format, zeros_stay_and_what_is_no_number_spoils_its_scale_alone) {
  for (const KvFormat format : formats()) {
    const KvFormatRow row = kv_format_row(format);
    if (row.group(64) == 0) continue;
    for (const float zero : round_trip(format, DType::f32, std::vector<float>(64, 0.0F)).decoded) EXPECT_EQ(zero, 0);
    for (const float bad : {kNan, kInf, -kInf}) {
      std::vector<float> values = normal(64, 5);
      values[40] = bad;
      const Encoded found = round_trip(format, DType::f32, values);
      EXPECT_TRUE(std::isnan(found.decoded[40])) << row.name;
      if (row.group(64) == 32) {
        EXPECT_FALSE(std::isnan(found.decoded[0])) << row.name;
      }
    }
  }
}

TEST(kv_format, sizes_are_whole_groups) {
  EXPECT_EQ(kv_row_elements(KvFormat::int4_32, 1), 32);
  EXPECT_EQ(kv_row_elements(KvFormat::int4_64, 65), 128);
  EXPECT_EQ(kv_row_elements(KvFormat::int8, 65), 65);
  EXPECT_EQ(kv_bytes(KvFormat::int4_32, DType::f32, 64), 32);
  EXPECT_EQ(kv_bytes(KvFormat::plain, DType::bf16, 64), 128);
  EXPECT_EQ(kv_row_scales(KvFormat::int4_32, 65), 3);
  EXPECT_EQ(kv_row_scales(KvFormat::e4m3, 65), 1);
  EXPECT_EQ(kv_row_scales(KvFormat::int8_channel, 65), 65);
  EXPECT_EQ(kv_row_scales(KvFormat::plain, 65), 0);
}

TEST(kv_format, names_are_those_of_the_table) {
  for (const KvFormat format : formats()) {
    const Result<KvFormat> found = parse_kv_format(kv_format_row(format).name);
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(*found, format);
  }
  EXPECT_EQ(parse_kv_format("int5").status().message(),
            "kv_format is \"int5\", expected one of plain, int8, int8_channel, int4_32, int4_64, e4m3");
}

}  // namespace
}  // namespace attend
