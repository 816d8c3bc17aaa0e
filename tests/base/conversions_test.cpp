// SPDX-License-Identifier: Apache-2.0
#include <attend/dtype.hpp>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "base/float16.hpp"
#include "base/rng.hpp"

namespace attend {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

/// The value of a 16-bit format by its definition.
double decode(uint16_t bits, int exponent_bits) {
  const int fraction_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1), fraction = bits & ((1 << fraction_bits) - 1);
  const double sign = bits >> 15 != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return fraction != 0 ? std::nan("") : sign * kInf;
  const double significand = std::ldexp(fraction, -fraction_bits) + (exponent != 0 ? 1 : 0);
  return sign * std::ldexp(significand, (exponent != 0 ? exponent : 1) - bias);
}

struct Format {
  const char* name;
  int exponent_bits;
  float (*widen)(uint16_t);
  uint16_t (*narrow)(float);
};
constexpr Format kFormats[] = {{"f16", 5, f16_to_f32, f32_to_f16}, {"bf16", 8, bf16_to_f32, f32_to_bf16}};

TEST(conversions, widening_every_pattern_is_exact) {
  for (const Format& format : kFormats) {
    for (uint32_t i = 0; i < 65536; ++i) {
      const auto bits = static_cast<uint16_t>(i);
      const double expected = decode(bits, format.exponent_bits);
      const float found = format.widen(bits);
      ASSERT_TRUE(std::isnan(expected) ? std::isnan(found) : found == expected) << format.name << " " << i;
      ASSERT_EQ(std::signbit(found), bits >> 15 != 0) << format.name << " " << i;
    }
  }
}

TEST(conversions, narrowing_undoes_widening) {
  for (const Format& format : kFormats) {
    for (uint32_t i = 0; i < 65536; ++i) {
      const auto bits = static_cast<uint16_t>(i);
      const uint16_t again = format.narrow(format.widen(bits));
      if (std::isnan(format.widen(bits))) {
        ASSERT_TRUE(std::isnan(format.widen(again))) << format.name << " " << i;
      } else {
        ASSERT_EQ(again, bits) << format.name;
      }
    }
  }
}

/// Between every two neighbours of a format: the middle goes to the even one, what lies beside it to the nearer one.
TEST(conversions, narrowing_rounds_to_nearest_ties_to_even) {
  for (const Format& format : kFormats) {
    const auto infinity = static_cast<uint16_t>(((1 << format.exponent_bits) - 1) << (15 - format.exponent_bits));
    for (uint16_t low = 0; low < infinity; ++low) {
      const auto high = static_cast<uint16_t>(low + 1);
      // Above the largest number stands the power of two that would come next: from its middle on it is infinity.
      const double above = high == infinity
                               ? 2 * decode(low, format.exponent_bits) - decode(low - 1, format.exponent_bits)
                               : decode(high, format.exponent_bits);
      const double middle = (decode(low, format.exponent_bits) + above) / 2;
      const float tie = static_cast<float>(middle);
      ASSERT_EQ(tie, middle) << "f32 holds every middle";
      ASSERT_EQ(format.narrow(tie), low % 2 == 0 ? low : high) << format.name << " " << low;
      ASSERT_EQ(format.narrow(std::nextafterf(tie, 0.0F)), low) << format.name << " " << low;
      ASSERT_EQ(format.narrow(std::nextafterf(tie, kInf)), high) << format.name << " " << low;
      ASSERT_EQ(format.narrow(-tie), 0x8000 | (low % 2 == 0 ? low : high)) << format.name << " " << low;
    }
  }
}

TEST(conversions, infinities_nans_and_the_largest_floats) {
  for (const Format& format : kFormats) {
    EXPECT_EQ(format.widen(format.narrow(kInf)), kInf) << format.name;
    EXPECT_EQ(format.widen(format.narrow(-kInf)), -kInf) << format.name;
    EXPECT_EQ(format.widen(format.narrow(std::numeric_limits<float>::max())), kInf) << format.name;
    EXPECT_EQ(format.narrow(std::numeric_limits<float>::denorm_min()), 0) << format.name;
    for (const uint32_t nan : {0x7f800001u, 0x7fffffffu, 0xffc00000u, 0xff800001u, 0x7f80ffffu}) {
      EXPECT_TRUE(std::isnan(format.widen(format.narrow(std::bit_cast<float>(nan))))) << format.name << " " << nan;
    }
  }
}

TEST(conversions, arrays_of_every_type) {
  const std::vector<float> values{0, -1.5F, 0.3333F, 70000, -1e-8F};
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    std::vector<float> storage(values.size()), back(values.size());
    narrow(type, values.data(), static_cast<int64_t>(values.size()), storage.data());
    widen(type, storage.data(), static_cast<int64_t>(values.size()), back.data());
    for (size_t i = 0; i < values.size(); ++i) {
      const float expected = type == DType::f32   ? values[i]
                             : type == DType::f16 ? f16_to_f32(f32_to_f16(values[i]))
                                                  : bf16_to_f32(f32_to_bf16(values[i]));
      EXPECT_EQ(back[i], expected) << dtype_name(type);
    }
  }
}

TEST(conversions, roundoff_of_the_table_holds) {
  Rng rng(1);
  for (int i = 0; i < 100000; ++i) {
    const float x = static_cast<float>(rng.normal());
    EXPECT_LE(std::abs(f16_to_f32(f32_to_f16(x)) - x), unit_roundoff(DType::f16) * std::abs(x) + 0x1p-25);
    EXPECT_LE(std::abs(bf16_to_f32(f32_to_bf16(x)) - x), unit_roundoff(DType::bf16) * std::abs(x));
  }
}

TEST(dtype, names_parse_back) {
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    const auto parsed = parse_dtype(dtype_name(type));
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(*parsed, type);
  }
  EXPECT_STREQ(dtype_name(static_cast<DType>(99)), "?");
  EXPECT_TRUE(parse_dtype("f64").status().message().starts_with("dtype is \"f64\", expected one of f32, f16, bf16"));
}

}  // namespace
}  // namespace attend
