// SPDX-License-Identifier: Apache-2.0
#include "examples/llm/sampler.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "examples/llm/error.hpp"

namespace llm::test {
namespace {

// Probabilities 0.1, 0.5, 0.25, 0.15 at temperature 1.
const std::array<float, 4> kLogits = {std::log(0.1F), std::log(0.5F), std::log(0.25F), std::log(0.15F)};

std::array<double, 4> frequencies(SamplerOptions options) {
  constexpr int kDraws = 40000;
  Sampler sampler(options);
  std::array<double, 4> counts{};
  for (int i = 0; i < kDraws; ++i) counts[static_cast<size_t>(sampler.choose(kLogits))] += 1.0 / kDraws;
  return counts;
}

void expect_near(const std::array<double, 4>& found, const std::array<double, 4>& expected) {
  // Five standard deviations of a frequency of 1/2 in 40,000 draws.
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(found[i], expected[i], expected[i] == 0 ? 0 : 0.0125) << i;
}

TEST(Sampler, draws_what_the_options_leave) {
  expect_near(frequencies({.temperature = 1}), {0.1, 0.5, 0.25, 0.15});
  expect_near(frequencies({.temperature = 1, .top_k = 2}), {0, 2.0 / 3, 1.0 / 3, 0});
  expect_near(frequencies({.temperature = 1, .top_p = 0.8}), {0, 5.0 / 9, 2.5 / 9, 1.5 / 9});
  expect_near(frequencies({.temperature = 1, .min_p = 0.4}), {0, 2.0 / 3, 1.0 / 3, 0});
  const double all = 0.1 * 0.1 + 0.5 * 0.5 + 0.25 * 0.25 + 0.15 * 0.15;
  expect_near(frequencies({.temperature = 0.5}), {0.01 / all, 0.25 / all, 0.0625 / all, 0.0225 / all});
  expect_near(frequencies({}), {0, 1, 0, 0});
}

TEST(Sampler, seeds_decide) {
  const auto draws = [](uint64_t seed) {
    Sampler sampler({.temperature = 1, .seed = seed});
    std::array<int32_t, 64> drawn{};
    for (int32_t& each : drawn) each = sampler.choose(kLogits);
    return drawn;
  };
  EXPECT_EQ(draws(3), draws(3));
  EXPECT_NE(draws(3), draws(4));
}

TEST(Sampler, refuses_what_makes_no_sense) {
  for (const SamplerOptions& options :
       {SamplerOptions{.temperature = -1}, SamplerOptions{.temperature = NAN}, SamplerOptions{.top_k = -1},
        SamplerOptions{.top_p = 0}, SamplerOptions{.top_p = 1.5}, SamplerOptions{.min_p = 2}})
    EXPECT_THROW(Sampler{options}, Error);
}

}  // namespace
}  // namespace llm::test
