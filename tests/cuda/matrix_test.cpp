// SPDX-License-Identifier: Apache-2.0
// Each row of the device's tables, 15 of the Problems, under schedules of every asynchronous policy.
#include "matrix.hpp"

namespace attend::cuda {
namespace {

TEST_P(EveryRow, chosen_problems_under_every_policy) {
  constexpr uint64_t kSeeds = 5;
  size_t which = 3 * kSeeds * GetParam().index;
  for (const auto policy : {ptxsim::AsyncPolicy::random, ptxsim::AsyncPolicy::latest, ptxsim::AsyncPolicy::split}) {
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      ptxsim::Schedule schedule = ptxsim::drawn_schedule(seed);
      schedule.async = policy;
      expect_right_under(which++ % cases().size(), schedule);
    }
  }
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EveryRow);
INSTANTIATE_TEST_SUITE_P(Tables, EveryRow, testing::ValuesIn(rows_of_the_device()), name_of);

}  // namespace
}  // namespace attend::cuda
