// SPDX-License-Identifier: Apache-2.0
// FlashAttention-3 (kernels/attention_fwd/sm90.cuh): what it shares with no other family.
#include <map>
#include <string>

#include "simulated.hpp"

namespace attend::cuda {
namespace {

using Sm90 = CudaTest;

std::string line_of(int64_t sq, int64_t sk, int64_t d, const std::string& rest) {
  return "attention_fwd sq=" + std::to_string(sq) + " sk=" + std::to_string(sk) + " d=" + std::to_string(d) + " " +
         rest;
}

TEST_F(Sm90, every_row_of_the_table) {
  PlanOptions options;
  options.device = test_device();
  const auto ready = plan(problem_of(line_of(8, 8, 64, "")), options);
  ASSERT_TRUE(ready.ok());
  int rows = 0;
  for (const Candidate& candidate : ready->candidates()) {
    const std::string prefix = "attention_fwd.sm90.";
    if (!candidate.kernel.starts_with(prefix)) continue;
    ++rows;
    const std::string rest = candidate.kernel.substr(prefix.size());
    const std::string type = rest.substr(0, rest.find('.')), columns = rest.substr(rest.find(".d") + 2);
    const std::string dv = columns.starts_with("192_128") ? " dv=128" : "";
    for (uint64_t seed = 0; seed < 4; ++seed)
      expect_right(problem_of(line_of(200, 330, std::stoi(columns), "hq=2 lse=1 mask=causal dtype=" + type + dv)), seed,
                   true, 3, candidate.kernel);
  }
  EXPECT_GE(rows, 24);
}

TEST_F(Sm90, is_what_a_plan_chooses_for_16_bits) {
  PlanOptions options;
  options.device = test_device();
  for (const char* type : {"f16", "bf16"}) {
    const auto ready = plan(problem_of(line_of(64, 64, 128, std::string("dtype=") + type)), options);
    ASSERT_TRUE(ready.ok()) << ready.status().message();
    EXPECT_EQ(ready->kernel(), std::string("attention_fwd.sm90.") + type + ".d128") << ready->explain();
  }
  const auto wide = plan(problem_of(line_of(64, 64, 128, "dtype=f32")), options);
  ASSERT_TRUE(wide.ok());
  EXPECT_EQ(wide->kernel(), "attention_fwd.cuda.simple");
}

TEST_F(Sm90, random_problems_that_devices_serve_reach_every_row) {
  verify::GeneratorLimits limits;
  limits.max_heads = 4;
  limits.served.share = 1;
  limits.served.max_rows = 200;
  PlanOptions options;
  options.device = test_device();
  std::map<std::string, int> chosen;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const AttentionFwd problem = verify::random_problem(seed, limits);
    const auto ready = plan(problem, options);
    ASSERT_TRUE(ready.ok()) << ready.status().message();
    if (problem.sq == 0 || problem.sk == 0) continue;  // heads are 0 apart, which a tensor map cannot say
    EXPECT_TRUE(ready->kernel().starts_with("attention_fwd.sm90.")) << ready->explain();
    ++chosen[ready->kernel()];
  }
  EXPECT_EQ(chosen.size(), 12u);
  for (const auto& [kernel, count] : chosen) EXPECT_GT(count, 5) << kernel;
}

}  // namespace
}  // namespace attend::cuda
