// SPDX-License-Identifier: Apache-2.0
// What a CUDA device is measured on: cases, short versions of them, records.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "bench/cuda/cases.hpp"
#include "bench/cuda/measure.hpp"
#include "bench/cuda/record.hpp"
#include "cuda/images.hpp"
#include "verify/element.hpp"

namespace attend::bench::cuda {
namespace {

AttentionFwd parsed(const std::string& line) {
  const Result<AttentionFwd> problem = AttentionFwd::parse(line);
  EXPECT_TRUE(problem.ok()) << line << ": " << problem.status().message();
  return problem.ok() ? *problem : AttentionFwd();
}

TEST(bench_device, every_case_is_a_problem_and_so_is_its_short_version) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const Case& line : all_cases()) {
    const AttentionFwd problem = parsed(line.problem), brief = parsed(shortened(line.problem));
    EXPECT_TRUE(seen.emplace(line.group, line.problem).second) << line.problem << " twice in " << line.group;
    EXPECT_TRUE(seen.emplace(line.group, brief.text()).second) << line.problem << " is as short as another";
    EXPECT_LE(brief.sq, 300) << line.problem;
    EXPECT_EQ(brief.d, problem.d);
    EXPECT_EQ(brief.q_type, problem.q_type);
    EXPECT_EQ(brief.hq > brief.hk, problem.hq > problem.hk) << line.problem;
    EXPECT_EQ(brief.mask.terms().size(), problem.mask.terms().size()) << line.problem;
    EXPECT_GT(brief.cost().visible_pairs, 0) << line.problem;
  }
}

TEST(bench_device, the_papers_sweep_has_16k_tokens_and_hidden_size_2048) {
  int cases = 0;
  for (const Case& line : all_cases()) {
    if (!line.group.starts_with("paper")) continue;
    const AttentionFwd problem = parsed(line.problem);
    EXPECT_EQ(problem.b * problem.sq, 16384) << line.problem;
    EXPECT_EQ(problem.hq * problem.d, 2048) << line.problem;
    ++cases;
  }
  EXPECT_EQ(cases, 3 * 2 * 6);
}

TEST(bench_device, what_matters_most_comes_first) {
  const std::vector<Case> cases = all_cases();
  EXPECT_TRUE(std::is_sorted(cases.begin(), cases.end(), [](const Case& a, const Case& b) { return a.rank < b.rank; }));
  EXPECT_EQ(cases.front().group, "paper d128 full");
  EXPECT_EQ(parsed(cases.front().problem).sq, 16384);
}

TEST(bench_device, targets_belong_to_lengths) {
  for (const Case& line : all_cases()) {
    const auto has = [&](Target::Kind kind) {
      return std::any_of(line.targets.begin(), line.targets.end(), [&](const Target& t) { return t.kind == kind; });
    };
    const int64_t sq = parsed(line.problem).sq;
    if (line.group == "paper d128 full") {
      EXPECT_EQ(has(Target::Kind::share), sq >= 8192) << sq;
      EXPECT_EQ(has(Target::Kind::over), sq >= 8192 || sq <= 1024) << sq;
    }
    EXPECT_EQ(has(Target::Kind::order), line.ablation()) << line.group;
  }
}

TEST(bench_device, operations_are_counted_as_the_papers_do) {
  EXPECT_DOUBLE_EQ(counted_flops(parsed("attention_fwd b=2 hq=4 sq=64 sk=128 d=32")), 4.0 * 2 * 4 * 64 * 128 * 32);
  EXPECT_DOUBLE_EQ(counted_flops(parsed("attention_fwd b=2 hq=4 sq=64 sk=64 d=32 mask=causal")),
                   4.0 * 2 * 4 * 64 * 64 * 32 / 2);
  EXPECT_DOUBLE_EQ(counted_flops(parsed("attention_fwd b=2 hq=3 d=16 layout=thd sq=10,20 sk=10,30 mask=causal")),
                   4.0 * 3 * (10 * 10 + 20 * 30) * 16 / 2);
  const AttentionFwd window = parsed("attention_fwd hq=2 sq=64 sk=64 d=32 mask=window:7:0");
  EXPECT_DOUBLE_EQ(counted_flops(window), 4.0 * 32 * static_cast<double>(window.cost().visible_pairs));
}

TEST(bench_device, drawn_numbers_have_their_distribution) {
  constexpr int64_t kCount = 1 << 20;
  for (const Distribution distribution : {Distribution::normal, Distribution::outliers}) {
    const std::vector<uint16_t> values = drawn(DType::f16, distribution, kCount, 5);
    double sum = 0, squares = 0;
    int64_t far = 0;
    for (int64_t i = 0; i < kCount; ++i) {
      const double value = verify::load_element(DType::f16, values.data(), i);
      sum += value;
      squares += value * value;
      far += std::abs(value) > 7 ? 1 : 0;
    }
    const bool outliers = distribution == Distribution::outliers;
    EXPECT_NEAR(sum / kCount, 0, 0.01);
    EXPECT_NEAR(squares / kCount, outliers ? 1.1 : 1.0, 0.02);  // a thousandth of variance 100
    EXPECT_EQ(far > 0, outliers) << far;
  }
}

TEST(bench_device, the_simulator_claims_no_time) {
  const auto stage = make_simulated_stage();
  if (stage.status().code() == StatusCode::unsupported) GTEST_SKIP() << stage.status().message();
  if (attend::cuda::find_image("attention_fwd_simple") == nullptr) GTEST_SKIP() << "built without nvcc";
  ASSERT_TRUE(stage.ok()) << stage.status().message();
  Peers peers = Peers::none("the test wants none");
  Measurer measurer(**stage, peers, nullptr, false);
  const Case line = all_cases().front();
  const auto records = measurer.measure(3, line, 1);
  ASSERT_FALSE(records.empty());
  ASSERT_EQ(records.front().base.state, Record::State::timed) << records.front().base.reason;
  const auto json = records.front().json();
  EXPECT_EQ(json["state"], "simulated") << json.dump();
  EXPECT_EQ(json["simulated"], true);
  EXPECT_EQ(json["case"], 3);
  EXPECT_EQ(json["stands_for"], line.problem);
  for (const char* field : {"median_s", "gflops", "tflops", "share", "gbps", "host_s", "cublas_tflops", "sm_mhz"})
    EXPECT_TRUE(json[field].is_null()) << field;
  EXPECT_TRUE(json["ratios"].empty());
  EXPECT_TRUE(json["bars"].empty());
  EXPECT_EQ(json["bars_not_judged"].size(), line.targets.size());
  EXPECT_EQ(json["absent"]["peers"], "the test wants none");
  EXPECT_LE(json["error_ratio"].get<double>(), 1);
  EXPECT_FALSE(measurer.lost());
}

TEST(bench_device, rows_for_comparison_run_beside_the_one_that_is_chosen) {
  const auto stage = make_simulated_stage();
  if (stage.status().code() == StatusCode::unsupported) GTEST_SKIP() << stage.status().message();
  if (attend::cuda::find_image("attention_fwd_simple") == nullptr) GTEST_SKIP() << "built without nvcc";
  ASSERT_TRUE(stage.ok()) << stage.status().message();
  Peers peers = Peers::none("the test wants none");
  Measurer measurer(**stage, peers, nullptr, false);
  const std::vector<Case> cases = all_cases();
  const auto line =
      std::find_if(cases.begin(), cases.end(), [](const Case& each) { return each.group == "ablation d128 full"; });
  ASSERT_NE(line, cases.end());
  const auto records = measurer.measure(0, *line, 1);
  ASSERT_FALSE(records.empty());
  ASSERT_EQ(records.front().base.state, Record::State::timed) << records.front().base.reason;
  EXPECT_GE(records.size(), 3u) << "no ping-pong, and no overlap inside a warpgroup";
  for (size_t i = 1; i < records.size(); ++i) {
    EXPECT_EQ(records[i].role, "comparison");
    EXPECT_NE(records[i].base.kernel.find(".bf16.d128"), std::string::npos) << records[i].base.kernel;
    EXPECT_NE(records[i].base.kernel, records[0].base.kernel);
    EXPECT_EQ(records[i].base.state, Record::State::timed) << records[i].base.reason;
  }
}

TEST(bench_device, peers_that_are_not_here_say_why) {
  Peers peers = Peers::none("there is none");
  EXPECT_TRUE(peers.texts().empty());
  EXPECT_EQ(peers.absent(), "there is none");
  EXPECT_TRUE(peers.open("attention_fwd sq=8 sk=8 d=8", 1).names.empty());
  EXPECT_FALSE(peers.lap("cudnn", 1, 0).ok());
  EXPECT_TRUE(peers.errors("attention_fwd sq=8 sk=8 d=8").empty());
}

}  // namespace
}  // namespace attend::bench::cuda
