// SPDX-License-Identifier: Apache-2.0
// Rows of the quality table: those that are exact say what f32 says, wherever a text is cut; the others say it roughly.
#include "examples/llm/quality.hpp"

#include <gtest/gtest.h>

#include "examples/llm/elementwise.hpp"
#include "tiny_llama.hpp"

namespace llm::test {
namespace {

const QualityRow& row_of(const std::string& name) {
  for (const QualityRow& row : quality_rows())
    if (row.name == name) return row;
  throw Error("no row " + name);
}

std::vector<float> prefilled(const QualityRow& row, const std::vector<int32_t>& tokens,
                             const char* attention = "attend") {
  const auto count = static_cast<int64_t>(tokens.size());
  RowRunner runner(tiny_llama(), row, count, count, attention, 1);
  std::vector<float> all;
  runner.prefill(tokens, [&](int64_t first, std::span<const float> logits) {
    EXPECT_EQ(static_cast<size_t>(first * kVocabulary), all.size()) << "pieces follow one another";
    all.insert(all.end(), logits.begin(), logits.end());
  });
  EXPECT_EQ(all.size(), tokens.size() * kVocabulary);
  return all;
}

double mean_divergence(const std::vector<float>& found, const std::vector<float>& expected) {
  double sum = 0;
  for (size_t at = 0; at < found.size(); at += kVocabulary)
    sum += compare(std::span(found).subspan(at, kVocabulary), std::span(expected).subspan(at, kVocabulary)).divergence;
  return sum * kVocabulary / static_cast<double>(found.size());
}

TEST(Quality, rows_cost_what_they_round_or_leave_out) {
  const struct {
    const char* row;
    double least, most;  // mean divergence from fp64 attention
  } expected[] = {{"f32", 0, 1e-9},
                  {"bf16", 1e-8, 1e-2},
                  {"f16", 1e-10, 1e-4},
                  {"int8", 1e-8, 1e-2},
                  {"int8_smooth", 1e-8, 1e-2},
                  {"int4_32", 1e-5, 1},
                  {"int4_32_smooth", 1e-5, 1},
                  {"e4m3", 1e-6, 0.1},
                  {"e4m3_smooth", 1e-6, 0.1},
                  {"window", 1e-3, 10},
                  {"window_first", 1e-3, 10},
                  {"paged", 0, 1e-9},
                  {"cascade", 0, 1e-9},
                  {"batch_invariant", 0, 1e-9}};
  ASSERT_EQ(std::size(expected), quality_rows().size());
  const std::vector<int32_t> tokens = some_tokens(512);  // the second half of a cascade: 8 sequences of 2 pages
  const std::vector<float> exact = prefilled(row_of("f32"), tokens, "reference");
  for (const auto& each : expected) {
    const double found = mean_divergence(prefilled(row_of(each.row), tokens), exact);
    EXPECT_GE(found, each.least - 1e-9) << each.row;
    EXPECT_LE(found, each.most) << each.row;
  }
}

TEST(Quality, first_keys_beside_a_window_are_read_as_fp64_reads_them) {
  const std::vector<int32_t> tokens = some_tokens(200);
  for (const char* name : {"window", "window_first"}) {
    const std::vector<float> exact = prefilled(row_of(name), tokens, "reference");
    EXPECT_LT(mean_divergence(prefilled(row_of(name), tokens), exact), 1e-9) << name;
    EXPECT_LT(mean_divergence(prefilled(row_of(name), tokens, "naive"), exact), 1e-9) << name;
  }
  EXPECT_GT(mean_divergence(prefilled(row_of("window"), tokens), prefilled(row_of("window_first"), tokens)), 1e-3);
}

TEST(Quality, short_texts_are_too_short_for_a_cascade_and_run_as_pages) {
  for (const size_t count : {1, 15, 16, 17, 300})
    EXPECT_EQ(prefilled(row_of("cascade"), some_tokens(count)).size(), count * kVocabulary);
}

TEST(Quality, what_follows_a_text_is_as_if_it_were_part_of_it) {
  const std::vector<int32_t> tokens = some_tokens(272), before(tokens.begin(), tokens.begin() + 256);
  const std::vector<float> whole = prefilled(row_of("f32"), tokens);
  for (const char* name : {"f32", "paged", "cascade", "batch_invariant"}) {
    RowRunner runner(tiny_llama(), row_of(name), 256, 272, "attend", 1);
    runner.prefill(before, [](int64_t, std::span<const float>) {});
    for (int64_t t = 256; t < 272; ++t) {
      const std::span<const float> logits = runner.decode(tokens[static_cast<size_t>(t)], t);
      ASSERT_EQ(logits.size(), static_cast<size_t>(runner.sequences() * kVocabulary));
      const std::vector<float> at(whole.begin() + t * kVocabulary, whole.begin() + (t + 1) * kVocabulary);
      for (int64_t i = 0; i < runner.sequences(); ++i) {
        const auto one = logits.subspan(static_cast<size_t>(i * kVocabulary), kVocabulary);
        EXPECT_LT(mean_divergence({one.begin(), one.end()}, at), 5e-8)
            << name << " " << t << " " << i;  // one token, not a mean
      }
    }
    const std::span<const float> logits = runner.follow(std::span(tokens).subspan(256), 256);
    const std::vector<float> found(logits.begin(), logits.end()), last(whole.begin() + 256 * kVocabulary, whole.end());
    EXPECT_LT(mean_divergence(found, last), 1e-8) << name;
  }
}

}  // namespace
}  // namespace llm::test
