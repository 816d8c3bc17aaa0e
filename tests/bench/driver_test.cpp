// SPDX-License-Identifier: Apache-2.0
#include "bench/driver.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace attend::bench {
namespace {

DriverOptions quick() {
  DriverOptions options;
  options.min_time = 0.005;
  options.min_rounds = 2;
  options.suite = "test";
  return options;
}

TEST(bench_driver, times_a_right_answer) {
  const Subject subject{"attention_fwd b=1 hq=2 hk=1 sq=48 sk=48 d=16 mask=causal", 1, "", Contender::attend};
  Subject full = subject;
  full.problem = "attention_fwd b=1 hq=2 hk=1 sq=48 sk=48 d=16";
  Driver driver(quick());
  const auto records = driver.measure({"group",
                                       subject,
                                       {{Bar::Kind::workspace, 1, std::nullopt, "workspace"},
                                        {Bar::Kind::rate, 1e-9, full, "rate over full"},
                                        {Bar::Kind::time, 1e-9, full, "time over full"}}});
  ASSERT_EQ(records.size(), 1u);
  const Record& record = records[0];
  ASSERT_EQ(record.state, Record::State::timed) << record.reason;
  EXPECT_GT(record.median_s, 0);
  EXPECT_LE(record.p10_s, record.median_s);
  EXPECT_GE(record.p90_s, record.median_s);
  EXPECT_EQ(record.visible_pairs, 2 * 48 * 49 / 2);
  EXPECT_DOUBLE_EQ(record.flops, 2.0 * 2 * 48 * 49 / 2 * 32);
  EXPECT_NEAR(record.gflops, record.flops / record.median_s * 1e-9, 1e-6 * record.gflops);
  EXPECT_GE(record.rounds, 2);
  EXPECT_GE(record.runs, record.rounds);
  EXPECT_GT(record.peak_gbps, 0);
  EXPECT_LE(record.error_ratio, 1);
  ASSERT_EQ(record.bars.size(), 3u);
  EXPECT_TRUE(record.bars[1].met) << "any speed is above 1e-9";
  EXPECT_FALSE(record.bars[2].met) << "no time is below 1e-9";
  EXPECT_NEAR(record.bars[1].value * record.bars[2].value, 1, 1e-9) << "time is the inverse of rate";
}

TEST(bench_driver, baselines_have_records_of_their_own) {
  if (!openblas_built()) GTEST_SKIP() << "built without OpenBLAS";
  const Subject subject{"attention_fwd b=1 hq=1 hk=1 sq=32 sk=32 d=16", 1, "", Contender::attend};
  Subject baseline = subject;
  baseline.contender = Contender::openblas;
  Driver driver(quick());
  const auto records = driver.measure({"group", subject, {{Bar::Kind::rate, 1, baseline, "rate over OpenBLAS"}}});
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[1].kernel, "openblas_unfused");
  EXPECT_EQ(records[1].problem, records[0].problem);
  EXPECT_TRUE(records[1].bars.empty());
}

TEST(bench_driver, an_unknown_kernel_is_skipped_or_refused_with_its_reason) {
  Driver driver(quick());
  const auto records =
      driver.measure({"group", {"attention_fwd sq=8 sk=8 d=8", 1, "no.such.kernel", Contender::attend}, {}});
  ASSERT_EQ(records.size(), 1u);
  EXPECT_NE(records[0].state, Record::State::timed);
  EXPECT_NE(records[0].reason.find("no.such.kernel"), std::string::npos) << records[0].reason;
}

TEST(bench_driver, a_bad_problem_is_a_failure) {
  Driver driver(quick());
  const auto records = driver.measure({"group", {"attention_fwd sq=8 sk=8 d=-1", 1, "", Contender::attend}, {}});
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].state, Record::State::failed);
}

/// Computes with another runner, then spoils one element or everything.
class Spoiled final : public Runner {
 public:
  Spoiled(Runner& right, bool all) : Runner(right.problem(), right.shared_inputs()), right_(right), all_(all) {
    kernel_ = "spoiled";
  }
  Status run() override {
    if (all_) return {};  // leaves the NaN that the check wrote
    Status status = right_.run();
    auto* o = static_cast<float*>(inputs_->args().o);
    o[0] += 1e-2f;
    return status;
  }

 private:
  Runner& right_;
  bool all_;
};

TEST(bench_driver, a_wrong_answer_is_noticed) {
  const auto problem = AttentionFwd::parse("attention_fwd b=1 hq=1 hk=1 sq=16 sk=16 d=8");
  ASSERT_TRUE(problem.ok());
  verify::FillOptions fill;
  fill.poison = false;
  auto inputs = std::make_shared<verify::Inputs>(verify::Inputs::make(*problem, fill));
  auto right = make_attend_runner(*problem, inputs, Subject{});
  ASSERT_TRUE(right.ok()) << right.status().message();
  EXPECT_TRUE(check_answer(**right, 4, 0).ok());
  for (const bool all : {false, true}) {
    Spoiled spoiled(**right, all);
    const auto ratio = check_answer(spoiled, 4, 0);
    ASSERT_FALSE(ratio.ok());
    EXPECT_EQ(ratio.status().code(), StatusCode::internal);
    EXPECT_NE(ratio.status().message().find("spoiled"), std::string::npos) << ratio.status().message();
  }
}

}  // namespace
}  // namespace attend::bench
