// SPDX-License-Identifier: Apache-2.0
#include "attention_map.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "io/element.hpp"

namespace attend::cli {
namespace {

/// Scores of one query row: scale * q.k and the score terms, before the mask.
class Scorer {
 public:
  Scorer(const AttentionFwd& problem, const AttentionFwdArgs& args, int64_t n, int64_t head)
      : problem_(problem),
        args_(args),
        n_(n),
        head_(head),
        frame_(problem.frame(n, head)),
        keys_(static_cast<size_t>(problem.d * frame_.sk)) {
    // Columns outermost: the loop over keys in row() then runs along memory.
    const int64_t key_head = head / problem.group();
    for (int64_t k = 0; k < frame_.sk; ++k)
      for (int64_t c = 0; c < problem.d; ++c)
        keys_[static_cast<size_t>(c * frame_.sk + k)] =
            io::element_value(problem.k_type, args.k, problem.k_offset(n, k, key_head) + c);
  }

  void row(int64_t q, std::vector<double>& scores) const {
    std::fill(scores.begin(), scores.end(), 0.0);
    const double scale = problem_.effective_scale();
    const auto sk = static_cast<size_t>(frame_.sk);
    for (int64_t c = 0; c < problem_.d; ++c) {
      const double value = scale * io::element_value(problem_.q_type, args_.q, problem_.q_offset(n_, q, head_) + c);
      const double* keys = keys_.data() + static_cast<size_t>(c) * sk;
      for (size_t k = 0; k < sk; ++k) scores[k] += value * keys[k];
    }
    if (problem_.softcap != 0)
      for (double& score : scores) score = problem_.softcap * std::tanh(score / problem_.softcap);
    if (problem_.alibi) {
      const double slope =
          static_cast<double>(args_.alibi_slopes[problem_.alibi_per_batch ? n_ * problem_.hq + head_ : head_]);
      for (int64_t k = 0; k < frame_.sk; ++k)
        scores[static_cast<size_t>(k)] -= slope * static_cast<double>(std::abs(frame_.key_position(q) - k));
    }
    if (problem_.bias) {
      const float* bias = args_.bias + problem_.bias_offset(n_, head_, q);
      for (size_t k = 0; k < sk; ++k) scores[k] += static_cast<double>(bias[k]);
    }
  }

 private:
  const AttentionFwd& problem_;
  const AttentionFwdArgs& args_;
  int64_t n_, head_;
  Frame frame_;
  std::vector<double> keys_;  ///< [d][sk]
};

}  // namespace

std::vector<PooledMap> attention_maps(const AttentionFwd& problem, const AttentionFwdArgs& args, int64_t n,
                                      int64_t head, const std::vector<CellGrid>& grids) {
  std::vector<PooledMap> maps;
  for (const CellGrid& grid : grids)
    maps.push_back({grid, std::vector<float>(static_cast<size_t>(grid.rows() * grid.columns()), -1.0F)});
  const Frame frame = problem.frame(n, head);
  const Scorer scorer(problem, args, n, head);
  const double sink = problem.sink ? static_cast<double>(args.sink[head]) : -std::numeric_limits<double>::infinity();
  std::vector<double> scores(static_cast<size_t>(frame.sk));
  std::vector<uint64_t> bits(static_cast<size_t>((frame.sk + 63) / 64));
  for (int64_t q = 0; q < frame.sq; ++q) {
    problem.mask.row_bits(frame, q, {0, frame.sk}, bits.data());
    const auto kept = [&](int64_t k) { return (bits[static_cast<size_t>(k / 64)] >> (k % 64) & 1) != 0; };
    scorer.row(q, scores);
    double largest = sink;
    for (int64_t k = 0; k < frame.sk; ++k)
      if (kept(k)) largest = std::max(largest, scores[static_cast<size_t>(k)]);
    double sum = problem.sink ? std::exp(sink - largest) : 0;
    for (int64_t k = 0; k < frame.sk; ++k)
      if (kept(k)) sum += scores[static_cast<size_t>(k)] = std::exp(scores[static_cast<size_t>(k)] - largest);
    for (PooledMap& map : maps) {
      float* cells = map.peak.data() + q / map.grid.cell_rows * map.grid.columns();
      for (int64_t k = 0; k < frame.sk; ++k)
        if (kept(k)) {
          float& cell = cells[k / map.grid.cell_keys];
          cell = std::max(cell, static_cast<float>(scores[static_cast<size_t>(k)] / sum));
        }
    }
  }
  return maps;
}

ClassMap tile_classes(const AttentionFwd& problem, int64_t n, int64_t head, const CellGrid& grid) {
  ClassMap map;
  map.grid = grid;
  const Frame frame = problem.frame(n, head);
  for (int64_t row = 0; row < grid.rows(); ++row) {
    const Range q{row * grid.cell_rows, std::min((row + 1) * grid.cell_rows, frame.sq)};
    for (int64_t column = 0; column < grid.columns(); ++column) {
      const Range k{column * grid.cell_keys, std::min((column + 1) * grid.cell_keys, frame.sk)};
      const TileClass tile = problem.mask.classify(frame, q, k);
      map.classes.push_back(tile);
      ++(tile == TileClass::skip ? map.skipped : tile == TileClass::full ? map.full : map.partial);
    }
  }
  return map;
}

}  // namespace attend::cli
