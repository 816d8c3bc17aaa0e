// SPDX-License-Identifier: Apache-2.0
#include "bench/record.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <regex>

namespace attend::bench {
namespace {

Record sample() {
  Record record;
  record.suite = "quick";
  record.group = "f32 full";
  record.problem = "attention_fwd b=1 hq=1 hk=1 sq=8 sk=8 d=8";
  record.kernel = "attention_fwd.emu.f32";
  record.isa = "emu";
  record.threads = 2;
  record.median_s = 0.0012345678;
  record.p10_s = 0.001;
  record.p90_s = 0.002;
  record.gflops = 10;
  record.peak_gflops = 20;
  record.share = 0.5;
  record.gbps = 1;
  record.peak_gbps = 10;
  record.workspace_bytes = 4096;
  record.error_ratio = 0.25;
  record.machine = "a machine";
  record.date = "2026-01-31T12:00:00Z";
  record.commit = "abc";
  return record;
}

TEST(bench_record, has_every_field_that_readers_need) {
  const auto line = sample().json();
  for (const char* text : {"suite", "problem", "kernel", "isa", "machine", "date", "commit"})
    EXPECT_TRUE(line.contains(text) && line[text].is_string()) << text;
  for (const char* number : {"threads", "median_s", "p10_s", "p90_s", "gflops", "peak_gflops", "share", "gbps",
                             "peak_gbps", "workspace_bytes", "error_ratio"})
    EXPECT_TRUE(line.contains(number) && line[number].is_number()) << number;
  for (const char* bar : {"bar", "bar_value", "bar_met"}) EXPECT_TRUE(line.contains(bar) && line[bar].is_null()) << bar;
  EXPECT_EQ(line["state"], "timed");
  EXPECT_NEAR(line["median_s"].get<double>(), 0.0012345678, 1e-8);
}

TEST(bench_record, is_one_line) { EXPECT_EQ(sample().json().dump().find('\n'), std::string::npos); }

TEST(bench_record, the_tightest_bar_decides) {
  Record record = sample();
  record.bars = {{"share of peak", "", 0.5, 0.6, false, true},
                 {"time over full rate", "x", 1.2, 1.3, true, false},
                 {"workspace", "", 1, 0.1, true, true}};
  const auto line = record.json();
  EXPECT_EQ(line["bar"], "time over full rate <= 1.2");
  EXPECT_DOUBLE_EQ(line["bar_value"].get<double>(), 1.3);
  EXPECT_EQ(line["bar_met"], false);
  ASSERT_EQ(line["bars"].size(), 3u);
  EXPECT_EQ(line["bars"][0]["bar"], "share of peak >= 0.5");
  EXPECT_EQ(line["bars"][1]["against"], "x");
  record.bars[1] = {"time over full rate", "x", 1.2, 1.0, true, true};
  EXPECT_EQ(record.json()["bar_met"], true);
  EXPECT_EQ(record.decisive_bar()->what, "share of peak") << "1.2 of its limit in either direction, the first wins";
}

TEST(bench_record, what_was_not_measured_is_null) {
  Record record = sample();
  record.state = Record::State::skipped;
  record.reason = "no such kernel";
  record.median_s = record.gflops = record.share = 0;
  record.peak_gflops = std::numeric_limits<double>::infinity();
  record.error_ratio = std::numeric_limits<double>::quiet_NaN();
  const auto line = record.json();
  EXPECT_EQ(line["state"], "skipped");
  EXPECT_EQ(line["reason"], "no such kernel");
  for (const char* name : {"median_s", "gflops", "share", "peak_gflops", "workspace_bytes", "error_ratio"})
    EXPECT_TRUE(line[name].is_null()) << name;
}

TEST(bench_record, an_exact_answer_has_error_ratio_zero) {
  Record record = sample();
  record.error_ratio = 0;
  EXPECT_EQ(record.json()["error_ratio"], 0.0);
}

TEST(bench_record, provenance_is_never_empty) {
  const Provenance provenance = Provenance::of_this_process();
  EXPECT_FALSE(provenance.machine.empty());
  EXPECT_FALSE(provenance.commit.empty());
  EXPECT_TRUE(std::regex_match(utc_now(), std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")));
}

}  // namespace
}  // namespace attend::bench
