// SPDX-License-Identifier: Apache-2.0
// Chunks of keys wait for one another; who computes them must not be seen, nor race.
#include "each_row.hpp"
#include "support/executors.hpp"

namespace attend::test {
namespace {

using BackwardThreads = Backward;
INSTANTIATE_TEST_SUITE_P(kernel, BackwardThreads, ::testing::ValuesIn(backward_kernels()), backward_kernel_name);

TEST_P(BackwardThreads, bits_do_not_depend_on_threads) {
  for (const char* line : {"hq=1 sq=500 sk=700 d=40 mask=causal", "b=2 hq=6 hk=2 sq=211 sk=300 d=64 mask=causal",
                           "hq=3 hk=1 sq=120,0,50 sk=400,30,1 d=16 mask=window:30:5",
                           "b=2 hq=4 hk=2 sq=90 sk=300 d=16 bias=q dbias=1 sink=1 dsink=1"}) {
    const AttentionBwd asked = problem(line);
    const std::string expected = bits(asked, options(1));
    EXPECT_EQ(bits(asked, options(1)), expected) << "two runs of " << line;
    for (const int threads : {2, 3, 7}) EXPECT_EQ(bits(asked, options(threads)), expected) << threads << ", " << line;
    const Executor several = thread_executor(3), sequence = sequential_executor(3);
    for (const Executor* executor : {&several, &sequence}) {
      PlanOptions with = options(0);
      with.executor = executor;
      EXPECT_EQ(bits(asked, with), expected)
          << (executor == &several ? "threads" : "one after another") << ", " << line;
    }
  }
}

}  // namespace
}  // namespace attend::test
