// SPDX-License-Identifier: Apache-2.0
#include <attend/status.hpp>
#include <limits>

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "base/saturate.hpp"
#include "base/text.hpp"

namespace attend {
namespace {

TEST(text, numbers_print_and_parse_back) {
  Rng rng(3);
  for (int i = 0; i < 10000; ++i) {
    const double x = (rng.uniform() - 0.5) * 1e6 / (1 + static_cast<double>(rng.below(1000000)));
    EXPECT_EQ(parse_number<double>(print_number(x)), x);
    const auto n = static_cast<int64_t>(rng.next());
    EXPECT_EQ(parse_number<int64_t>(print_number(n)), n);
  }
  EXPECT_EQ(print_number(0.1), "0.1");
}

TEST(text, what_is_no_number_is_refused) {
  for (const char* text : {"", " 1", "1 ", "+1", "1x", "9223372036854775808", "-", "0x10", "1.5"}) {
    EXPECT_FALSE(parse_number<int64_t>(text)) << text;
  }
  for (const char* text : {"", "1,5", "1e", "abc", "1e999"}) EXPECT_FALSE(parse_number<double>(text)) << text;
  EXPECT_FALSE(parse_number<uint64_t>("-1"));
}

TEST(text, quotes_are_short_and_printable) {
  EXPECT_EQ(in_quotes("ab\n\x80"), "\"ab??\"");
  EXPECT_EQ(in_quotes(std::string(100, 'x')), "\"" + std::string(40, 'x') + "...\"");
}

TEST(text, cut_takes_one_piece_at_a_time) {
  std::string_view rest = "a,,b";
  EXPECT_EQ(cut(rest, ','), "a");
  EXPECT_EQ(cut(rest, ','), "");
  EXPECT_EQ(cut(rest, ','), "b");
  EXPECT_EQ(rest, "");
}

TEST(saturate, sizes_stop_at_the_largest) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(saturating_product({3, 4, 5}), 60);
  EXPECT_EQ(saturating_product({kMost, kMost, 0}), 0);
  EXPECT_EQ(saturating_product({int64_t{1} << 40, int64_t{1} << 40, 3}), kMost);
  EXPECT_EQ(saturating_add(kMost, 1), kMost);
  EXPECT_EQ(saturating_add(2, 3), 5);
}

TEST(status, every_code_has_a_name) {
  EXPECT_STREQ(status_code_name(StatusCode::ok), "ok");
  EXPECT_STREQ(status_code_name(StatusCode::internal), "internal");
  EXPECT_STREQ(status_code_name(static_cast<StatusCode>(77)), "unknown");
}

}  // namespace
}  // namespace attend
