// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <tuple>

#include "bench/case.hpp"
#include "bench/driver.hpp"

namespace attend::bench {
namespace {

TEST(bench_suites, every_line_is_a_problem) {
  for (const Suite& suite : suites()) {
    const auto cases = suite.cases();
    EXPECT_FALSE(cases.empty()) << suite.name;
    for (const Case& line : cases) {
      const auto cost = cost_of(line.subject.problem);
      ASSERT_TRUE(cost.ok()) << suite.name << ": " << cost.status().message();
      EXPECT_GT(cost->visible_pairs, 0) << line.subject.problem;
      for (const Bar& bar : line.bars) {
        EXPECT_GT(bar.limit, 0) << bar.what;
        EXPECT_FALSE(bar.what.empty());
        EXPECT_EQ(bar.against.has_value(),
                  bar.kind == Bar::Kind::rate || bar.kind == Bar::Kind::time || bar.kind == Bar::Kind::elapsed)
            << bar.what;
        if (bar.against) {
          EXPECT_TRUE(cost_of(bar.against->problem).ok()) << bar.against->problem;
        }
      }
    }
  }
}

TEST(bench_suites, no_line_twice) {
  for (const Suite& suite : suites()) {
    std::set<std::tuple<std::string, std::string, int, std::string>> seen;
    for (const Case& line : suite.cases())
      EXPECT_TRUE(seen.emplace(line.group, line.subject.problem, line.subject.threads, line.subject.kernel).second)
          << suite.name << ": " << line.subject.problem;
  }
}

TEST(bench_suites, are_found_by_name) {
  for (const Suite& suite : suites()) EXPECT_EQ(find_suite(suite.name), &suite);
  EXPECT_EQ(find_suite("no such suite"), nullptr);
}

TEST(bench_suites, sparse_lines_leave_out_what_they_say) {
  for (const Case& line : find_suite("cpu-prefill")->cases()) {
    const auto problem = AttentionFwd::parse(line.subject.problem);
    ASSERT_TRUE(problem.ok());
    const double pairs = static_cast<double>(problem->b * problem->hq * problem->sq * problem->sk);
    const double visible = static_cast<double>(problem->cost().visible_pairs) / pairs;
    if (line.group.find("block-sparse 75") != std::string::npos) {
      EXPECT_NEAR(visible, 0.25, 0.03) << line.subject.problem;
    }
    if (line.group.find("block-sparse 90") != std::string::npos) {
      EXPECT_NEAR(visible, 0.10, 0.03) << line.subject.problem;
    }
    if (line.group.ends_with(" causal")) {
      EXPECT_NEAR(visible, 0.5, 0.01) << line.subject.problem;
    }
  }
}

TEST(bench_suites, bars_met_in_their_own_direction) {
  const Bar share{Bar::Kind::share, 0.8, std::nullopt, "share"}, time{Bar::Kind::time, 1.2, Subject{}, "time"};
  EXPECT_TRUE(share.met(0.8));
  EXPECT_FALSE(share.met(0.79));
  EXPECT_TRUE(time.met(1.2));
  EXPECT_FALSE(time.met(1.21));
}

TEST(bench_suites, overrides_drop_bars_against_oneself) {
  const Subject one{"attention_fwd sq=8 sk=8 d=8", 1, "", Contender::attend};
  Subject two = one;
  two.threads = 2;
  Subject blas = one;
  blas.contender = Contender::openblas;
  const Case line{"g", two, {{Bar::Kind::rate, 1.9, one, "scaling"}, {Bar::Kind::rate, 1, blas, "baseline"}}};
  DriverOptions options;
  EXPECT_EQ(with_options(line, options).bars.size(), 2u);
  options.threads = 1;
  options.kernel = "k";
  const Case changed = with_options(line, options);
  ASSERT_EQ(changed.bars.size(), 1u);
  EXPECT_EQ(changed.bars[0].what, "baseline");
  EXPECT_TRUE(changed.bars[0].against->kernel.empty()) << "OpenBLAS has no rows";
  EXPECT_EQ(changed.subject.threads, 1);
  EXPECT_EQ(changed.subject.kernel, "k");
  options.baseline = false;
  EXPECT_TRUE(with_options(line, options).bars.empty());
}

}  // namespace
}  // namespace attend::bench
