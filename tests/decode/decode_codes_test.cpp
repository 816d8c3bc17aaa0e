// SPDX-License-Identifier: Apache-2.0
// Every code of every format, and how errors grow with the length of a cache.
#include <gtest/gtest.h>

#include <attend/reference.hpp>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "decode/decode_run.hpp"

namespace attend::test {
namespace {

using cpu::DecodeFormat;

class DecodeCodes : public ::testing::TestWithParam<DecodeCase> {
 protected:
  void SetUp() override {
    const std::string reason = missing(GetParam());
    if (!reason.empty()) GTEST_SKIP() << reason;
  }
  const cpu::DecodeKernel& kernel() const { return *GetParam().kernel; }
};

/// One key: its weight is 1, so the output is its value.
TEST_P(DecodeCodes, every_code_has_its_value) {
  for (const DecodeFormat format : decode_formats()) {
    DecodeInputs inputs = DecodeInputs::random(1, 1, 1, 64, 512, format, format, 1);
    auto& row = inputs.v.rows[0];
    if (row.size() == 512) {
      for (size_t i = 0; i < row.size(); ++i) row[i] = static_cast<std::byte>(i);
    } else if (row.size() == 256) {
      for (size_t i = 0; i < row.size(); ++i) row[i] = static_cast<std::byte>(i);
    }
    inputs.decode();
    const DecodeOutput output = run_decode(kernel(), inputs);
    for (size_t c = 0; c < 512; ++c) {
      const float expected = inputs.v_decoded[c];
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(output.o[c])) << format_name(format) << " column " << c;
      } else {
        EXPECT_NEAR(output.o[c], expected, 0x1p-14 * std::fabs(inputs.v_decoded[c]))
            << format_name(format) << " column " << c;
      }
    }
  }
}

/// q picks one element after the other.
TEST_P(DecodeCodes, every_element_meets_its_own_of_q) {
  for (const DecodeFormat format : decode_formats()) {
    DecodeInputs inputs = DecodeInputs::random(1, 1, 1, 160, 1, format, DecodeFormat::f32, 1);
    inputs.problem.scale = 1;
    for (size_t c = 0; c < 160; ++c) {
      std::fill(inputs.q.begin(), inputs.q.end(), 0.0F);
      inputs.q[c] = 1;
      const float expected = inputs.k_decoded[c];
      EXPECT_NEAR(run_decode(kernel(), inputs).lse[0], expected, 0x1p-14 * std::fabs(expected) + 0x1p-22)
          << format_name(format) << " column " << c;
    }
  }
}

TEST_P(DecodeCodes, error_at_64k_keys) {
  for (const DecodeFormat format : {DecodeFormat::f32, DecodeFormat::bf16}) {
    const DecodeInputs inputs = DecodeInputs::random(1, 1, 65536, 64, 64, format, format, 1);
    const DecodeOutput output = run_decode(kernel(), inputs);
    const ReferenceRow exact = reference_row(inputs.problem, inputs.args(), Arithmetic::f32, 0, 0, 0);
    double error = 0, value = 0;
    for (size_t c = 0; c < 64; ++c) {
      error += std::pow(output.o[c] - exact.o[c], 2);
      value += std::pow(exact.o[c], 2);
    }
    std::printf("%s %s: relative RMS error %.2g\n", GetParam().name().c_str(), format_name(format),
                std::sqrt(error / value));
    EXPECT_LE(std::sqrt(error / value), 5e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(decode, DecodeCodes, ::testing::ValuesIn(decode_cases()),
                         [](const auto& tested) { return tested.param.name(); });

}  // namespace
}  // namespace attend::test
