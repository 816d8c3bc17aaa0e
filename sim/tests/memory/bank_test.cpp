// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "sim/memory/banks.hpp"

namespace ptxsim {
namespace {

BankCost cost(uint32_t bytes, uint32_t stride, uint32_t mask = ~0u) {
  WarpAccess access;
  access.bytes = bytes;
  access.mask = mask;
  for (uint32_t lane = 0; lane < kLanes; ++lane) access.address[lane] = 1024 + uint64_t{lane} * stride;
  return bank_cost(access);
}

TEST(banks, neighbouring_words_need_one_wavefront) {
  EXPECT_EQ(cost(4, 4).wavefronts, 1u);
  EXPECT_EQ(cost(2, 2).wavefronts, 1u);
  EXPECT_EQ(cost(4, 0).wavefronts, 1u) << "all lanes read the same word";
  EXPECT_EQ(cost(4, 132).wavefronts, 1u) << "a row of 33 words";
}

TEST(banks, lanes_that_meet_in_a_bank_take_turns) {
  EXPECT_EQ(cost(4, 8).wavefronts, 2u);
  EXPECT_EQ(cost(4, 128).wavefronts, 32u);
  EXPECT_EQ(cost(4, 128, 0xf).wavefronts, 4u);
}

TEST(banks, wide_accesses_go_by_parts_of_the_warp) {
  EXPECT_EQ(cost(8, 8).groups, 2u);
  EXPECT_EQ(cost(8, 8).wavefronts, 2u);
  EXPECT_EQ(cost(16, 16).groups, 4u);
  EXPECT_EQ(cost(16, 16).wavefronts, 4u);
  EXPECT_EQ(cost(16, 16, 0xff).groups, 1u);
  EXPECT_EQ(cost(16, 128).wavefronts, 32u) << "rows of 128 bytes without a swizzle";
}

}  // namespace
}  // namespace ptxsim
