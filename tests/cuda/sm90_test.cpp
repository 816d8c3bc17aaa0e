// SPDX-License-Identifier: Apache-2.0
// FlashAttention-3 (kernels/attention_fwd/sm90.cuh) in the simulator.
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/element.hpp"
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
  EXPECT_GE(rows, 15);
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

TEST_F(Sm90, lengths_at_the_edges_of_tiles) {
  uint64_t seed = 0;
  for (const int64_t sq : {1, 63, 64, 65, 127, 128, 129, 257}) {
    for (const int64_t sk : {0, 1, 64, 127, 128, 129, 257}) {
      ++seed;
      const std::string type = seed % 3 == 0 ? "dtype=f16" : "dtype=bf16", mask = seed % 2 == 0 ? " mask=causal" : "";
      expect_right(problem_of(line_of(sq, sk, seed % 2 == 0 ? 64 : 128, "hq=2 lse=1 " + type + mask)), seed);
    }
  }
}

TEST_F(Sm90, every_mask) {
  const AttentionFwd plain = problem_of(line_of(200, 270, 64, "b=2 hq=2 lse=1 dtype=bf16"));
  for (int kind = 0; kind < static_cast<int>(std::variant_size_v<MaskTerm>) - 1; ++kind)
    for (uint64_t seed = 0; seed < 3; ++seed)
      expect_right(verify::with_mask(plain, static_cast<MaskKind>(kind), seed), 10 * static_cast<uint64_t>(kind) + seed,
                   false);
}

TEST_F(Sm90, every_mask_where_unused_values_are_nan) {
  const AttentionFwd plain = problem_of(line_of(70, 140, 64, "hq=2 lse=1 dtype=f16"));
  for (int kind = 0; kind < static_cast<int>(std::variant_size_v<MaskTerm>) - 1; ++kind)
    expect_right(verify::with_mask(plain, static_cast<MaskKind>(kind), 1), static_cast<uint64_t>(kind));
}

TEST_F(Sm90, intersections_of_masks) {
  for (const char* mask :
       {"causal&window:100:0", "causal&documents:0,100,133,300", "window:64:64&padding:random:3&causal_top_left"})
    expect_right(problem_of(line_of(300, 300, 128, std::string("hq=2 dtype=f16 lse=1 mask=") + mask)), 5);
}

TEST_F(Sm90, score_terms) {
  uint64_t seed = 20;
  for (const char* terms :
       {"softcap=5", "alibi=1", "sink=1", "bias=bhq", "bias=h", "scale=0.3", "softcap=20 alibi=1 bias=q sink=1"})
    expect_right(problem_of(line_of(150, 200, 64, std::string("b=2 hq=4 hk=2 lse=1 mask=causal dtype=bf16 ") + terms)),
                 ++seed);
}

TEST_F(Sm90, groups_of_heads) {
  for (const char* heads : {"hq=8 hk=1", "hq=6 hk=2", "hq=3 hk=3"})
    expect_right(problem_of(line_of(70, 130, 64, std::string("dtype=f16 mask=causal ") + heads)), 31);
}

TEST_F(Sm90, layouts) {
  for (const char* layout : {"bshd", "bhsd"})
    expect_right(problem_of(line_of(140, 133, 64, std::string("b=3 hq=2 dtype=bf16 lse=1 layout=") + layout)), 41);
}

TEST_F(Sm90, ragged_batches_with_empty_members) {
  for (uint64_t seed = 0; seed < 6; ++seed)
    expect_right(problem_of("attention_fwd b=4 hq=2 hk=1 d=128 dtype=bf16 layout=thd lse=1 mask=causal "
                            "sq=130,0,1,169 sk=128,12,0,261"),
                 seed);
}

TEST_F(Sm90, columns_that_are_no_row_run_on_zeros) {
  for (const int64_t d : {8, 40, 72, 100, 120})
    expect_right(problem_of(line_of(65, 140, d / 8 * 8, "hq=2 dtype=f16 mask=causal")), static_cast<uint64_t>(d));
  expect_right(problem_of(line_of(65, 140, 128, "dv=64 hq=2 dtype=f16 mask=causal")), 3);
}

TEST_F(Sm90, one_block_takes_many_items) {
  expect_right(problem_of(line_of(500, 500, 64, "b=2 hq=3 dtype=bf16 mask=causal&window:200:0 lse=1")), 7, true, 1);
}

TEST_F(Sm90, values_that_a_row_does_not_see_may_be_nan) {
  const AttentionFwd problem = problem_of(line_of(140, 140, 64, "hq=2 dtype=bf16 lse=1 mask=window:20:0"));
  const verify::Inputs inputs = verify::Inputs::make(problem);
  auto* v = static_cast<uint16_t*>(inputs.data(2));
  for (const int64_t key : {0, 37, 139})
    v[problem.v_offset(0, key, 1) + 3] = key == 37 ? 0x7f80 : 0x7fc0;  // infinity, NaN
  PlanOptions options;
  options.device = test_device();
  const auto ready = plan(problem, options);
  ASSERT_TRUE(ready.ok());
  const Status status = verify::run_on_device(*ready, options.device, inputs);
  ASSERT_TRUE(status.ok()) << status.message();
  const Comparison comparison = compare_with_reference(problem, inputs.args(), ready->arithmetic());
  EXPECT_TRUE(comparison.first_failure.empty()) << comparison.first_failure;
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

TEST_F(Sm90, what_it_does_not_take_it_says) {
  PlanOptions options;
  options.device = test_device();
  options.kernel = "attention_fwd.sm90.bf16.d128";
  const struct {
    const char *line, *reason;
  } refused[] = {
      {"attention_fwd sq=8 sk=8 d=64 dtype=f32", "q is f32, this row takes bf16"},
      {"attention_fwd sq=8 sk=8 d=192 dtype=bf16", "d is 192, this row takes at most 128"},
      {"attention_fwd sq=8 sk=8 d=64 dtype=bf16 scale=-1", "the scale is not positive"},
      {"attention_fwd sq=8 sk=8 d=60 dtype=bf16", "q_strides.row is 60"},
  };
  for (const auto& each : refused) {
    const auto ready = plan(problem_of(each.line), options);
    ASSERT_FALSE(ready.ok()) << each.line;
    EXPECT_NE(ready.status().message().find(each.reason), std::string::npos) << ready.status().message();
  }
}

}  // namespace
}  // namespace attend::cuda
