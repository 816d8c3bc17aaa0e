// SPDX-License-Identifier: Apache-2.0
#include "quality.hpp"

#include <algorithm>
#include <numeric>

namespace llm {

namespace {

CacheOptions cache_of(const QualityRow& row, int64_t context) {
  CacheOptions options = row.cache;
  options.window = row.window_part > 0 ? std::max<int64_t>(1, context / row.window_part) : 0;
  return options;
}

attend::PlanOptions plan_of(const QualityRow& row, int threads) {
  attend::PlanOptions options;
  options.guarantee = row.guarantee;
  options.threads = threads;
  return options;
}

void ask_all(Step& step) {
  step.asked.resize(step.tokens.size());
  std::iota(step.asked.begin(), step.asked.end(), 0);
}

/// Pages from `first` on.
std::vector<int32_t> pages_from(int64_t first, int64_t count) {
  std::vector<int32_t> pages(static_cast<size_t>(count));
  std::iota(pages.begin(), pages.end(), static_cast<int32_t>(first));
  return pages;
}

}  // namespace

const std::vector<QualityRow>& quality_rows() {
  static const std::vector<QualityRow> rows = {
      {.name = "f32", .what = "f32 in one piece"},
      {.name = "bf16", .cache = {.format = "bf16"}, .what = "bf16"},
      {.name = "f16", .cache = {.format = "f16"}, .what = "f16"},
      {.name = "int8", .cache = {.format = "int8"}, .what = "int8, a scale for each token and head"},
      {.name = "int8_smooth", .cache = {.format = "int8", .smooth_keys = true}, .what = "int8, keys smoothed"},
      {.name = "int4_32", .cache = {.format = "int4_32"}, .what = "int4 in groups of 32"},
      {.name = "int4_32_smooth",
       .cache = {.format = "int4_32", .smooth_keys = true},
       .what = "int4 in groups of 32, keys smoothed"},
      {.name = "e4m3", .cache = {.format = "e4m3"}, .what = "e4m3"},
      {.name = "e4m3_smooth", .cache = {.format = "e4m3", .smooth_keys = true}, .what = "e4m3, keys smoothed"},
      {.name = "window", .window_part = 4, .what = "a window of a quarter of the context"},
      {.name = "window_first", .cache = {.first = 4}, .window_part = 4, .what = "the same window and the first 4 keys"},
      {.name = "paged", .cache = {.page_size = 16}, .what = "pages of 16"},
      {.name = "cascade",
       .cache = {.page_size = 16},
       .cascade = true,
       .what = "pages of 16, the second half as 8 sequences that share pages"},
      {.name = "batch_invariant", .guarantee = attend::Guarantee::batch_invariant, .what = "batch-invariant"},
  };
  return rows;
}

RowRunner::RowRunner(LanguageModel& model, const QualityRow& row, int64_t context, int64_t room,
                     const std::string& attention, int threads)
    : model_(model),
      row_(row),
      room_(room),
      cache_(model.shape().attention(), cache_of(row, context),
             room + (row.cascade ? (kSequences + 1) * row.cache.page_size : 0)),
      attention_(make_attention(attention, plan_of(row, threads))) {}

void RowRunner::prefill(std::span<const int32_t> tokens, const Take& take) {
  const auto run = [&](Step step, int64_t first) {
    ask_all(step);
    take(first, model_.run(step, cache_, *attention_));
  };
  const auto count = static_cast<int64_t>(tokens.size()), page = row_.cache.page_size;
  // A cascade: the second half is cut into sequences of whole pages, each of which shares the pages of all before it.
  const int64_t each = row_.cascade ? count / 2 / kSequences / page * page : 0;
  const int64_t alone = count - each * kSequences;
  if (each == 0 || alone % page != 0) {
    run(cache_.step(tokens, 0), 0);
    return;
  }
  run(cache_.step(tokens.first(static_cast<size_t>(alone)), 0), 0);
  const std::vector<int32_t> pages = pages_from(0, count / page);
  std::vector<StepPart> parts;
  for (int64_t i = 0; i < kSequences; ++i) {
    const int64_t before = alone + i * each;
    parts.push_back({tokens.subspan(static_cast<size_t>(before), static_cast<size_t>(each)), before,
                     std::span(pages).first(static_cast<size_t>((before + each) / page))});
  }
  run(cache_.step(parts), alone);
}

std::span<const float> RowRunner::follow(std::span<const int32_t> tokens, int64_t before) {
  Step step = cache_.step(tokens, before);
  ask_all(step);
  return model_.run(step, cache_, *attention_);
}

std::span<const float> RowRunner::decode(int32_t token, int64_t before) {
  if (!row_.cascade) return model_.run(cache_.step({&token, 1}, before), cache_, *attention_);
  // Whole pages of the text are shared; what is behind them is the sequence's own.
  const int64_t page = row_.cache.page_size, shared = before / page;
  std::vector<std::vector<int32_t>> pages;
  std::vector<StepPart> parts;
  for (int64_t i = 0; i < kSequences; ++i) {
    pages.push_back(pages_from(0, shared));
    pages.back().push_back(static_cast<int32_t>((room_ + page - 1) / page + i));
  }
  for (const std::vector<int32_t>& own : pages) parts.push_back({{&token, 1}, before, own});
  return model_.run(cache_.step(parts), cache_, *attention_);
}

}  // namespace llm
