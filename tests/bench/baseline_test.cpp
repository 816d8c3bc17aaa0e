// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <memory>

#include "bench/contender.hpp"

namespace attend::bench {
namespace {

SharedInputs inputs_for(const AttentionFwd& problem) {
  verify::FillOptions fill;
  fill.poison = false;
  return std::make_shared<verify::Inputs>(verify::Inputs::make(problem, fill));
}

AttentionFwd parsed(const std::string& line) {
  const auto problem = AttentionFwd::parse(line);
  EXPECT_TRUE(problem.ok()) << problem.status().message();
  return problem.ok() ? *problem : AttentionFwd{};
}

class bench_baseline : public testing::TestWithParam<const char*> {};

TEST_P(bench_baseline, agrees_with_the_reference) {
  if (!openblas_built()) GTEST_SKIP() << "built without OpenBLAS";
  const AttentionFwd problem = parsed(GetParam());
  for (const int threads : {1, 2, 3}) {
    auto runner = make_openblas_runner(problem, inputs_for(problem), threads);
    ASSERT_TRUE(runner.ok()) << runner.status().message();
    const auto ratio = check_answer(**runner, -1, 0);
    EXPECT_TRUE(ratio.ok()) << ratio.status().message();
  }
}

INSTANTIATE_TEST_SUITE_P(shapes, bench_baseline,
                         testing::Values("attention_fwd b=2 hq=4 hk=2 sq=33 sk=47 d=24",
                                         "attention_fwd b=1 hq=3 hk=3 sq=40 sk=40 d=16 dv=9 mask=causal",
                                         "attention_fwd b=1 hq=2 hk=1 sq=50 sk=20 d=8 mask=causal",
                                         "attention_fwd b=1 hq=2 hk=2 sq=20 sk=50 d=8 mask=causal_top_left",
                                         "attention_fwd b=1 hq=1 hk=1 sq=1 sk=1 d=1 layout=bhsd"));

TEST(bench_baseline, refuses_what_it_would_compute_wrongly) {
  for (const char* line : {"attention_fwd b=1 hq=1 hk=1 sq=8 sk=8 d=8 dtype=bf16",
                           "attention_fwd b=1 hq=1 hk=1 sq=8 sk=8 d=8 mask=window:2:0",
                           "attention_fwd b=1 hq=1 hk=1 sq=8 sk=8 d=8 softcap=5"}) {
    const AttentionFwd problem = parsed(line);
    const auto runner = make_openblas_runner(problem, inputs_for(problem), 1);
    ASSERT_FALSE(runner.ok()) << line;
    EXPECT_EQ(runner.status().code(), StatusCode::unsupported);
  }
}

}  // namespace
}  // namespace attend::bench
