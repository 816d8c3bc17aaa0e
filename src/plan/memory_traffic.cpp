// SPDX-License-Identifier: Apache-2.0
#include "plan/memory_traffic.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "base/saturate.hpp"
#include "ops/argument.hpp"
#include "ops/distinct_frames.hpp"
#include "ops/row_bytes.hpp"

namespace attend {
namespace plan_detail {
namespace {

/// A running maximum and a sum, f32 each.
constexpr int64_t kStateBytes = 8;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// The largest n with fits(n), which holds up to some n; no length is larger than where the search begins.
template <class Fits>
int64_t largest(const Fits& fits) {
  int64_t low = 0, high = kMaxExtent;
  while (low < high) {
    const int64_t middle = low + (high - low + 1) / 2;
    if (fits(middle)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

/// Adds bytes of `count` rows, scores or keys, `times` over.
void add(int64_t& sum, int64_t times, int64_t count, int64_t bytes) {
  sum = saturating_add(sum, saturating_product({times, count, bytes}));
}

Result<MemoryTraffic> naive_traffic(const AttentionFwd& problem, int64_t level_bytes) {
  const Result<NaiveTiles> tiles = naive_tiles(problem, level_bytes);
  if (!tiles.ok()) return tiles.status();
  const RowBytes row(problem);
  const int64_t score = dtype_bytes(problem.q_type), prob = dtype_bytes(problem.v_type);
  MemoryTraffic moved;
  for_distinct_frames(problem, [&](const Frame& frame, int64_t times) {
    const int64_t pairs = frame.sq * frame.sk;
    add(moved.read, times, frame.sq, row.q);
    add(moved.read, times, ceil_div(frame.sq, tiles->score_rows) * frame.sk, row.k);
    add(moved.written, times, pairs, score);
    add(moved.read, times, pairs, tiles->score_row_fits ? score : 2 * score);
    add(moved.written, times, pairs, prob);
    add(moved.written, times, frame.sq, row.lse);
    add(moved.read, times, pairs, prob);
    add(moved.read, times, ceil_div(frame.sq, tiles->output_rows) * frame.sk, row.v);
    add(moved.written, times, frame.sq, row.o);
  });
  return moved;
}

/// What the two loops of FlashAttention-1 visit: rows of Q summed over live tiles, and keys of blocks with a live tile.
struct Visits {
  int64_t rows = 0, keys = 0;
};

Visits visits_of(const Mask& mask, const Frame& frame, const FlashTiles& tile) {
  const int64_t blocks = ceil_div(frame.sk, tile.keys);
  if (mask.none()) return {frame.sq * blocks, frame.sq > 0 ? frame.sk : 0};
  Visits visits;
  std::vector<bool> live(static_cast<size_t>(blocks));
  for (int64_t row = 0; row < frame.sq; row += tile.rows) {
    const Range rows{row, std::min(row + tile.rows, frame.sq)}, span = mask.key_span(frame, rows);
    for (int64_t key = span.begin / tile.keys * tile.keys; key < span.end; key += tile.keys) {
      const Range keys{key, std::min(key + tile.keys, frame.sk)};
      if (mask.classify(frame, rows, keys) == TileClass::skip) continue;
      visits.rows += rows.size();
      if (!live[static_cast<size_t>(key / tile.keys)]) visits.keys += keys.size();
      live[static_cast<size_t>(key / tile.keys)] = true;
    }
  }
  return visits;
}

Result<MemoryTraffic> flash_attention_1_traffic(const AttentionFwd& problem, int64_t level_bytes) {
  const Result<FlashTiles> tile = flash_attention_1_tiles(problem, level_bytes);
  if (!tile.ok()) return tile.status();
  const RowBytes row(problem);
  MemoryTraffic moved;
  for_distinct_frames(problem, [&](const Frame& frame, int64_t times) {
    const Visits visits = visits_of(problem.mask, frame, *tile);
    add(moved.written, times, frame.sq, row.o + kStateBytes);  // O = 0, l = 0, m = -inf
    add(moved.read, times, visits.keys, row.k + row.v);
    add(moved.read, times, visits.rows, row.q + row.o + kStateBytes);
    add(moved.written, times, visits.rows, row.o + kStateBytes);
    if (!problem.lse) return;
    add(moved.read, times, frame.sq, kStateBytes);  // log-sum-exp = m + log(l)
    add(moved.written, times, frame.sq, row.lse);
  });
  return moved;
}

}  // namespace

Status small_level(int64_t level_bytes, int64_t least, const char* what) {
  return invalid_argument("memory_traffic: level_bytes is " + std::to_string(level_bytes) + ", expected at least " +
                          std::to_string(least) + ": " + what);
}

Result<NaiveTiles> naive_tiles(const AttentionFwd& problem, int64_t level_bytes) {
  const RowBytes row(problem);
  const int64_t score = dtype_bytes(problem.q_type), prob = dtype_bytes(problem.v_type);
  // Q rows and a score of each, one key; a score, a probability and the state of a row; sums of O rows and a
  // probability of each, one value row.
  const auto scores = [&](int64_t rows) { return rows * (row.q + score) + row.k; };
  const auto softmax = [&](int64_t keys) { return keys * score + prob + kStateBytes; };
  const auto output = [&](int64_t rows) { return rows * (4 * problem.dv + prob) + row.v; };
  const int64_t least = std::max({scores(1), softmax(1), output(1)});
  if (level_bytes < least) return small_level(level_bytes, least, "a row and a key of the naive schedule");
  return NaiveTiles{largest([&](int64_t rows) { return scores(rows) <= level_bytes; }),
                    softmax(problem.sk) <= level_bytes,
                    largest([&](int64_t rows) { return output(rows) <= level_bytes; })};
}

Result<FlashTiles> flash_attention_1_tiles(const AttentionFwd& problem, int64_t level_bytes) {
  const RowBytes row(problem);
  const auto rows_of = [&](int64_t keys) { return std::min(keys, problem.d); };
  const auto bytes = [&](int64_t keys) {
    return keys * (row.k + row.v) + rows_of(keys) * (row.q + row.o + kStateBytes + 4 * keys);
  };
  if (level_bytes < bytes(1)) return small_level(level_bytes, bytes(1), "a row and a key of FlashAttention-1");
  const int64_t keys = largest([&](int64_t n) { return bytes(n) <= level_bytes; });
  return FlashTiles{rows_of(keys), keys};
}

}  // namespace plan_detail

Result<MemoryTraffic> AttentionFwd::memory_traffic(Schedule schedule, int64_t level_bytes) const {
  switch (schedule) {
    case Schedule::naive: return plan_detail::naive_traffic(*this, level_bytes);
    case Schedule::flash_attention_1: return plan_detail::flash_attention_1_traffic(*this, level_bytes);
  }
  return invalid_argument("memory_traffic: schedule is " + std::to_string(static_cast<int32_t>(schedule)) +
                          ", expected 0 (naive) or 1 (flash_attention_1)");
}

}  // namespace attend
