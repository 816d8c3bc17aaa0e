// SPDX-License-Identifier: Apache-2.0
#include "bench/report.hpp"

#include <gtest/gtest.h>

namespace attend::bench {
namespace {

TEST(bench_report, rows_align_with_the_header) {
  const Case line{"g", {"attention_fwd b=1 hq=1 hk=1 sq=8 sk=8 d=8", 1, "", Contender::attend}, {}};
  const Report report({line});
  Record record;
  record.problem = line.subject.problem;
  record.kernel = "attention_fwd.avx512.f32";
  record.threads = 1;
  record.median_s = 1.5e-3;
  record.gflops = 99.5;
  record.peak_gflops = 110;
  record.share = 0.9045;
  const std::string header = report.header(), row = report.row(record);
  EXPECT_EQ(header.find("kernel"), row.find("attention_fwd.avx512.f32"));
  EXPECT_NE(row.find("1.50 ms"), std::string::npos) << row;
  EXPECT_NE(row.find("90.5 %"), std::string::npos) << row;
  record.bars = {{"share of peak", "", 0.95, 0.9045, false, false}};
  EXPECT_NE(report.row(record).find("MISSED share of peak >= 0.95"), std::string::npos);
}

TEST(bench_report, long_problems_are_cut) {
  EXPECT_EQ(short_problem("attention_fwd sq=8 sk=8", 60), "sq=8 sk=8");
  EXPECT_EQ(short_problem("attention_fwd " + std::string(100, 'x'), 10), "xxxxxxx...");
}

TEST(bench_report, the_summary_names_what_was_missed) {
  Tally tally;
  Record record;
  record.problem = "attention_fwd sq=8 sk=8 d=8";
  record.bars = {{"share of peak", "", 0.5, 0.6, false, true}, {"workspace", "", 1, 2, true, false}};
  tally.add(record);
  Record failed;
  failed.problem = "attention_fwd sq=9 sk=9 d=9";
  failed.state = Record::State::failed;
  failed.reason = "wrong answer";
  tally.add(failed);
  EXPECT_EQ(tally.met(), 1);
  EXPECT_EQ(tally.missed(), 1);
  EXPECT_EQ(tally.failed(), 1);
  const std::string text = tally.summary();
  EXPECT_EQ(text.find("bars: 1 met, 1 missed"), 0u) << text;
  EXPECT_NE(text.find("workspace <= 1, found 2"), std::string::npos) << text;
  EXPECT_NE(text.find("wrong answer"), std::string::npos) << text;
}

TEST(bench_report, seconds_have_a_unit) {
  EXPECT_EQ(format_seconds(1.5e-5), "15.0 us");
  EXPECT_EQ(format_seconds(0.25), "250.00 ms");
  EXPECT_EQ(format_seconds(2), "2.000 s");
}

}  // namespace
}  // namespace attend::bench
