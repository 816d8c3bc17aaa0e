// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace attend::cli {
namespace {

TEST(Progress, line_holds_title_share_and_what_is_left) {
  const std::string line = format_progress("checking", 25, 100, 10, "worst 0.5", 100);
  EXPECT_NE(line.find("checking"), std::string::npos) << line;
  EXPECT_NE(line.find("25"), std::string::npos) << line;
  EXPECT_NE(line.find(format_duration(30)), std::string::npos) << "10 s for a quarter leave 30 s: " << line;
  EXPECT_NE(line.find("worst 0.5"), std::string::npos) << line;
}

TEST(Progress, line_fits_the_terminal) {
  for (const int columns : {20, 40, 80, 200})
    EXPECT_LE(format_progress("a rather long title of a task", 3, 7, 1, "and a note that is long, too", columns).size(),
              static_cast<size_t>(columns) + 8)  // bars may hold characters of three bytes
        << columns;
}

TEST(Progress, durations_read_like_clocks) {
  EXPECT_NE(format_duration(0), format_duration(59));
  EXPECT_NE(format_duration(3599), format_duration(7200));
  EXPECT_FALSE(format_duration(1e9).empty());
}

TEST(Progress, a_file_is_no_terminal) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(progress_style(file, false), ProgressStyle::lines);
  EXPECT_EQ(progress_style(file, true), ProgressStyle::quiet);
  {
    Progress quiet("task", 10, true, file);
    quiet.advance(10);
  }
  EXPECT_EQ(std::ftell(file), 0) << "a quiet progress wrote";
  std::fclose(file);
}

}  // namespace
}  // namespace attend::cli
