// SPDX-License-Identifier: Apache-2.0
// Each row of the device's tables, all the Problems, under 40 schedules.
#include "matrix.hpp"

namespace attend::cuda {
namespace {

TEST_P(EveryRow, every_problem_under_40_schedules) {
  for (size_t which = 0; which < cases().size(); ++which)
    for (uint64_t seed = 0; seed < 40; ++seed) expect_right_under(which, ptxsim::drawn_schedule(seed));
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EveryRow);
INSTANTIATE_TEST_SUITE_P(Tables, EveryRow, testing::ValuesIn(rows_of_the_device()), name_of);

}  // namespace
}  // namespace attend::cuda
