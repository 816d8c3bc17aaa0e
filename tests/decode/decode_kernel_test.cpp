// SPDX-License-Identifier: Apache-2.0
// What a schedule may rely on of every decoding kernel, every format.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <tuple>

#include "decode/decode_run.hpp"

namespace attend::test {
namespace {

using cpu::DecodeFormat;

/// A kernel, and the format of K; V takes the same one unless a test says otherwise.
class DecodeKernels : public ::testing::TestWithParam<std::tuple<DecodeCase, DecodeFormat>> {
 protected:
  void SetUp() override {
    const std::string reason = missing(each());
    if (!reason.empty()) GTEST_SKIP() << reason;
  }
  void TearDown() override {
    if (worst_ > 0)
      std::printf("%s %s: largest error / bound %.3f\n", each().name().c_str(), format_name(format()), worst_);
  }
  DecodeCase each() const { return std::get<0>(GetParam()); }
  DecodeFormat format() const { return std::get<1>(GetParam()); }
  void check(const DecodeInputs& inputs, const DecodeOptions& options = {}) {
    worst_ = std::max(worst_, expect_within_bound(each(), inputs, options));
  }

 private:
  double worst_ = 0;
};

TEST_P(DecodeKernels, error_stays_within_bound) {
  const struct {
    int hq, sq, keys, d, dv;
  } sizes[] = {{1, 1, 1, 1, 1},           {1, 1, 64, 128, 128}, {4, 1, 200, 128, 128}, {2, 1, 63, 64, 64},
               {3, 1, 65, 96, 96},        {5, 1, 130, 40, 80},  {8, 2, 77, 33, 17},    {1, 16, 129, 31, 65},
               {7, 1, 66, 576 - 64, 512}, {6, 1, 35, 7, 129},   {4, 1, 100, 200, 511}};
  uint64_t seed = 0;
  for (const auto& size : sizes)
    for (const DecodeFormat v_format : {format(), DecodeFormat::f32, DecodeFormat::bf16}) {
      DecodeInputs inputs =
          DecodeInputs::random(size.hq, size.sq, size.keys, size.d, size.dv, format(), v_format, ++seed);
      check(inputs);
      DecodeOptions blocks;
      blocks.block_keys = 37;
      inputs.problem.mask = CausalBottomRight{};
      check(inputs, blocks);
    }
}

TEST_P(DecodeKernels, terms_and_scale) {
  for (int which = 0; which < 8; ++which) {
    DecodeInputs inputs = DecodeInputs::random(4, 2, 133, 64, 32, format(), format(), 17);
    if (which & 1) inputs.problem.softcap = 2;
    if (which & 2) inputs.problem.alibi = true;
    if (which & 4) inputs.problem.bias = BiasShape{false, true, true};
    if (which == 3) inputs.problem.scale = -0.3;
    check(inputs);
  }
}

TEST_P(DecodeKernels, mean_of_keys_is_in_scores_and_lse) {
  DecodeInputs inputs = DecodeInputs::random(4, 1, 100, 80, 32, format(), format(), 5);
  inputs.k.set_mean(std::vector<float>(80, 0.75F));
  inputs.decode();
  check(inputs);
}

TEST_P(DecodeKernels, channel_scales) {
  if (format() != DecodeFormat::int8) GTEST_SKIP() << "only codes of 8 bits have scales of channels";
  DecodeInputs inputs = DecodeInputs::random(4, 1, 100, 80, 48, format(), format(), 5);
  std::vector<float> scales(80);
  for (size_t c = 0; c < scales.size(); ++c) scales[c] = 0.01F + 0.001F * static_cast<float>(c);
  inputs.k.set_channel_scales(scales);
  scales.resize(48);
  inputs.v.set_channel_scales(scales);
  inputs.decode();
  check(inputs);
}

bool same_bits(const float* a, const float* b, size_t count) { return std::memcmp(a, b, count * 4) == 0; }

TEST_P(DecodeKernels, bits_of_a_row_depend_on_no_other_row) {
  DecodeInputs inputs = DecodeInputs::random(4, 4, 150, 72, 136, format(), format(), 3);
  for (const bool causal : {false, true}) {
    if (causal) inputs.problem.mask = CausalBottomRight{};
    const DecodeOutput all = run_decode(*each().kernel, inputs);
    const size_t stride = all.out.size() / 16;
    for (const auto& [first, rows] : {std::pair{0, 1}, {3, 1}, {15, 1}, {2, 2}, {1, 3}, {5, 4}, {4, 5}, {9, 7}}) {
      DecodeOptions some;
      some.first_row = first;
      some.rows = rows;
      const DecodeOutput part = run_decode(*each().kernel, inputs, some);
      const size_t at = static_cast<size_t>(first), count = static_cast<size_t>(rows);
      EXPECT_TRUE(same_bits(&all.max[at], part.max.data(), count)) << first << " " << rows;
      EXPECT_TRUE(same_bits(&all.sum[at * cpu::kMaxLanes], part.sum.data(), count * cpu::kMaxLanes))
          << first << " " << rows;
      EXPECT_TRUE(same_bits(&all.out[at * stride], part.out.data(), count * stride)) << first << " " << rows;
    }
  }
}

TEST_P(DecodeKernels, unseen_keys_reach_no_row) {
  // Causal rows: the last keys are seen by some rows of the block and not by others.
  DecodeInputs inputs = DecodeInputs::random(2, 8, 70, 64, 64, format(), format(), 9);
  inputs.problem.mask = CausalBottomRight{};
  const DecodeOutput clean = run_decode(*each().kernel, inputs);
  for (const int key : {64, 66, 69}) {
    inputs.k.poison(key);
    inputs.v.poison(key);
  }
  const DecodeOutput poisoned = run_decode(*each().kernel, inputs);
  for (int row = 0; row < 16; ++row) {
    const bool sees = row / 2 >= 1;  // query r sees keys up to 62 + r
    for (int c = 0; c < 64; ++c) {
      const float found = poisoned.o[static_cast<size_t>(row * 64 + c)];
      if (62 + row / 2 < 64) {
        EXPECT_EQ(found, clean.o[static_cast<size_t>(row * 64 + c)]) << "row " << row;
      } else {
        EXPECT_TRUE(std::isnan(found)) << "row " << row << " " << sees;
      }
    }
  }
}

TEST_P(DecodeKernels, rows_without_a_key_keep_their_empty_state) {
  DecodeInputs inputs = DecodeInputs::random(3, 4, 2, 32, 32, format(), format(), 2);
  inputs.problem.mask = CausalBottomRight{};  // queries 0 and 1 stand before key 0
  check(inputs);
  const DecodeOutput output = run_decode(*each().kernel, inputs);
  for (int row = 0; row < 6; ++row) {
    EXPECT_EQ(output.max[static_cast<size_t>(row)], -std::numeric_limits<float>::infinity());
    EXPECT_EQ(output.lse[static_cast<size_t>(row)], -std::numeric_limits<float>::infinity());
    EXPECT_EQ(output.o[static_cast<size_t>(row * 32)], 0);
  }
}

TEST_P(DecodeKernels, a_nan_that_a_row_sees_reaches_it) {
  for (const bool in_k : {false, true}) {
    DecodeInputs inputs = DecodeInputs::random(5, 1, 130, 64, 64, format(), format(), 21);
    (in_k ? inputs.k : inputs.v).poison(70);
    const DecodeOutput output = run_decode(*each().kernel, inputs);
    for (const float x : output.o) EXPECT_TRUE(std::isnan(x));
    for (const float x : output.lse) EXPECT_EQ(std::isnan(x), in_k);
  }
}

TEST_P(DecodeKernels, fetching_changes_nothing) {
  const DecodeInputs inputs = DecodeInputs::random(4, 1, 300, 64, 96, format(), format(), 4);
  DecodeOptions without;
  without.fetch = false;
  const DecodeOutput a = run_decode(*each().kernel, inputs), b = run_decode(*each().kernel, inputs, without);
  EXPECT_TRUE(same_bits(a.out.data(), b.out.data(), a.out.size()));
}

INSTANTIATE_TEST_SUITE_P(decode, DecodeKernels,
                         ::testing::Combine(::testing::ValuesIn(decode_cases()), ::testing::ValuesIn(decode_formats())),
                         [](const auto& tested) {
                           return std::get<0>(tested.param).name() + "_" + format_name(std::get<1>(tested.param));
                         });

}  // namespace
}  // namespace attend::test
