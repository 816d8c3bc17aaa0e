// SPDX-License-Identifier: Apache-2.0
#include "sim/hazard/report.hpp"

#include <gtest/gtest.h>

#include "sim/hazard/checker.hpp"

namespace ptxsim {
namespace {

Hazard hazard(HazardId id, int32_t line, int32_t other_line = 0) {
  Hazard out;
  out.id = id;
  out.kernel = "k";
  out.site.line = line;
  out.other.line = other_line;
  out.what = "what happened";
  return out;
}

TEST(checker, keeps_the_same_pair_of_lines_once_with_its_count) {
  Checker checker({}, "seed=7");
  for (int i = 0; i < 3; ++i) checker.note(hazard(HazardId::H08, 10, 20));
  checker.note(hazard(HazardId::H08, 10, 21));
  checker.note(hazard(HazardId::H09, 10, 20));
  ASSERT_EQ(checker.hazards().size(), 3u);
  EXPECT_EQ(checker.hazards()[0].count, 3u);
  EXPECT_EQ(checker.hazards()[1].count, 1u);
  EXPECT_EQ(checker.hazards()[0].schedule, "seed=7");
  EXPECT_EQ(checker.take().size(), 3u);
  checker.note(hazard(HazardId::H08, 10, 20));
  EXPECT_EQ(checker.hazards().size(), 1u);
}

TEST(checker, leaves_out_what_is_suppressed) {
  Checks checks;
  checks.suppressed = {HazardId::H09};
  Checker checker(checks, "");
  checker.note(hazard(HazardId::H09, 1));
  checker.note(hazard(HazardId::H08, 1));
  ASSERT_EQ(checker.hazards().size(), 1u);
  EXPECT_EQ(checker.hazards()[0].id, HazardId::H08);
}

TEST(hazard, text_names_both_parties_the_rule_and_the_schedule) {
  Hazard found = hazard(HazardId::H09, 41, 17);
  found.site.source = "kernel.cu:9";
  found.site.cta = 2;
  found.site.warp = 3;
  found.site.lane = 4;
  found.other.warp = 5;
  found.schedule = "seed=11 async=latest";
  found.count = 6;
  const std::string text = found.text();
  for (const char* part : {"H09", "shared_war_race", "what happened", "line 41 (kernel.cu:9), CTA 2, warp 3, lane 4",
                           "line 17, CTA 0, warp 5", "6 times", "seed=11 async=latest", hazard_text(HazardId::H09)})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
}

TEST(hazard, ids_and_names_are_those_of_the_table) {
  EXPECT_STREQ(hazard_id(HazardId::H22), "H22");
  EXPECT_STREQ(hazard_name(HazardId::H22), "address");
  EXPECT_STREQ(hazard_id(HazardId::deadlock), "deadlock");
}

}  // namespace
}  // namespace ptxsim
