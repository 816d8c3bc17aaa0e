// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "support/kernel_test.hpp"
#include "verify/element.hpp"

namespace attend::test {
namespace {

class MaskProperty : public KernelTest {};
ATTEND_FOR_EVERY_KERNEL(MaskProperty);

verify::FillOptions plain_values(uint64_t seed) {
  verify::FillOptions fill;
  fill.seed = seed;
  fill.poison = false;
  return fill;
}

TEST_P(MaskProperty, future_keys_do_not_matter) {
  for (const auto& [sq, sk] : {std::pair<int64_t, int64_t>{70, 70}, {50, 131}, {131, 100}}) {
    AttentionFwd problem = dense(1, 2, 1, sq, sk, 64);
    problem.mask = Mask::causal();
    problem.lse = true;
    Evaluation run(problem, options(), plain_values(1));
    for (const int64_t from : {int64_t{1}, sk / 2, sk - 1}) {  // keys from here on change
      std::vector<std::string> before;
      const int64_t rows = std::clamp<int64_t>(from + sq - sk, 0, sq);  // rows that see none of them
      for (int64_t row = 0; row < rows; ++row) before.push_back(run.row_bytes(0, 1, row));
      for (int64_t key = from; key < sk; ++key) {
        const double value = key % 3 == 0 ? std::nan("") : key % 3 == 1 ? 1e4 : -HUGE_VAL;
        for (int64_t c = 0; c < problem.d; ++c) {
          verify::store_element(type(), run.inputs.data(1), problem.k_offset(0, key, 0) + c, value);
          verify::store_element(type(), run.inputs.data(2), problem.v_offset(0, key, 0) + c, value);
        }
      }
      run.again();
      for (int64_t row = 0; row < rows; ++row) {
        EXPECT_TRUE(same_bytes(run.row_bytes(0, 1, row), before[row], type()))
            << "row " << row << " of " << sq << ", keys changed from " << from;
      }
      run = Evaluation(problem, options(), plain_values(1));
    }
  }
}

/// Masks of every row that lets a whole row through, written so that it keeps all pairs.
std::vector<std::pair<const char*, Mask>> full_masks(int64_t sq, int64_t sk) {
  BlockSparse tiles;
  tiles.q_tile = 24;
  tiles.k_tile = 40;
  tiles.tile_rows = (sq + 23) / 24;
  std::vector<int64_t> row_ptr{0};
  std::vector<int32_t> columns;
  for (int64_t i = 0; i < tiles.tile_rows; ++i) {
    for (int32_t j = 0; j < (sk + 39) / 40; ++j) columns.push_back(j);
    row_ptr.push_back(static_cast<int64_t>(columns.size()));
  }
  tiles.row_ptr = row_ptr;
  tiles.columns = columns;
  Dense pairs;
  pairs.allow = std::vector<uint8_t>(static_cast<size_t>(sq * sk), 1);
  pairs.sq = sq;
  pairs.sk = sk;
  Tree tree;
  tree.size = std::min<int64_t>(sk, 70);
  tree.rows = sq;
  std::vector<uint64_t> bits;
  for (int64_t row = 0; row < sq; ++row) {
    for (int64_t bit = 0; bit < tree.size; bit += 64) {
      bits.push_back(tree.size - bit >= 64 ? ~uint64_t{0} : (uint64_t{1} << (tree.size - bit)) - 1);
    }
  }
  tree.bits = bits;
  return {{"window", Mask::window(-1, -1)},
          {"window of the whole length", Mask::window(sk, sk)},
          {"chunk", Chunk{sk}},
          {"prefix_lm", PrefixLm{std::vector<int64_t>{sk}}},
          {"documents", Documents{std::vector<int64_t>{0, sk}}},
          {"block_sparse", tiles},
          {"padding", Padding{{}, std::vector<int64_t>{sk}}},
          {"tree", tree},
          {"dense", pairs},
          {"streaming", Streaming{3, sk}}};
}

TEST_P(MaskProperty, full_mask_is_no_mask) {
  const int64_t sq = 67, sk = 113;
  AttentionFwd problem = dense(1, 2, 2, sq, sk, 40);
  problem.lse = true;
  const Evaluation bare(problem, options());
  for (const auto& [name, mask] : full_masks(sq, sk)) {
    AttentionFwd masked = problem;
    masked.mask = mask;
    if (!takes(masked)) continue;
    const Evaluation run(masked, options());
    for (int64_t head = 0; head < problem.hq; ++head) {
      for (int64_t row = 0; row < sq; ++row) {
        const ReferenceRow exact = reference_row(problem, bare.inputs.args(), bare.planned.arithmetic(), 0, head, row);
        EXPECT_LE(std::fabs(run.lse(0, head, row) - exact.lse), exact.lse_bound) << name << ", row " << row;
        for (int64_t c = 0; c < problem.dv; ++c) {
          EXPECT_LE(std::fabs(run.o(0, head, row, c) - exact.o[c]), exact.o_bound[c])
              << name << ", row " << row << ", column " << c;
        }
      }
    }
  }
}

TEST_P(MaskProperty, causal_of_one_query_is_no_mask) {
  AttentionFwd problem = dense(2, 4, 2, 1, 200, 64);
  const Evaluation bare(problem, options());
  problem.mask = Mask::causal();
  const Evaluation causal(problem, options());
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t head = 0; head < 4; ++head) {
      const ReferenceRow exact = reference_row(bare.problem, bare.inputs.args(), bare.planned.arithmetic(), n, head, 0);
      for (int64_t c = 0; c < 64; ++c) EXPECT_LE(std::fabs(causal.o(n, head, 0, c) - exact.o[c]), exact.o_bound[c]);
    }
  }
}

/// A part of the keys, by a padding mask, which moves no position: so this holds for every other mask beside it.
Evaluation part_of(AttentionFwd problem, const PlanOptions& options, const verify::FillOptions& fill, int64_t begin,
                   int64_t end) {
  problem.mask = problem.mask & Padding{std::vector<int64_t>(problem.b, begin), std::vector<int64_t>(problem.b, end)};
  return Evaluation(problem, options, fill);
}

TEST_P(MaskProperty, split_and_merged_keys_equal_the_whole) {
  const int64_t sq = 45, sk = 150;
  AttentionFwd bare = dense(1, 2, 1, sq, sk, 64);
  bare.lse = true;
  bare.o_type = DType::f32;
  if (!takes(bare)) bare.o_type = type();
  for (size_t kind = 0; kind < mask_kinds().size(); ++kind) {
    const AttentionFwd problem = verify::with_mask(bare, mask_kinds()[kind], 11);
    if (!takes(part_of(problem, PlanOptions{}, plain_values(2), 0, 1).problem)) continue;
    for (const int64_t cut : {int64_t{1}, int64_t{64}, int64_t{97}}) {
      const Evaluation low = part_of(problem, options(), plain_values(2), 0, cut);
      const Evaluation high = part_of(problem, options(), plain_values(2), cut, sk);
      for (int64_t row = 0; row < sq; ++row) {
        const auto& args = low.inputs.args();
        const ReferenceRow whole = reference_row(problem, args, low.planned.arithmetic(), 0, 1, row);
        const double lses[] = {low.lse(0, 1, row), high.lse(0, 1, row)};
        const double largest = std::max(lses[0], lses[1]);
        const double sum = std::isinf(largest) ? 0 : std::exp(lses[0] - largest) + std::exp(lses[1] - largest);
        if (sum == 0) {
          EXPECT_EQ(whole.lse, -HUGE_VAL) << problem.text() << ", row " << row;
          continue;
        }
        EXPECT_LE(std::fabs(largest + std::log(sum) - whole.lse), 2 * whole.lse_bound)
            << problem.text() << ", row " << row;
        std::vector<double> merged(problem.dv, 0.0), bound = whole.o_bound;
        for (const Evaluation* part : {&low, &high}) {
          const ReferenceRow exact = reference_row(part->problem, args, part->planned.arithmetic(), 0, 1, row);
          if (std::isinf(exact.lse)) continue;
          const double weight = std::exp(part->lse(0, 1, row) - largest) / sum;
          for (int64_t c = 0; c < problem.dv; ++c) {
            merged[c] += weight * part->o(0, 1, row, c);
            // First order: the part's own error, and that of its weight.
            bound[c] += weight * (exact.o_bound[c] + exact.lse_bound * std::fabs(exact.o[c] - whole.o[c]));
          }
        }
        for (int64_t c = 0; c < problem.dv; ++c) {
          EXPECT_LE(std::fabs(merged[c] - whole.o[c]), bound[c])
              << problem.text() << ", row " << row << ", column " << c;
        }
      }
    }
  }
}

TEST_P(MaskProperty, output_stays_within_the_kept_values) {
  for (size_t kind = 0; kind < mask_kinds().size(); ++kind) {
    const AttentionFwd problem = verify::with_mask(dense(2, 2, 1, 61, 97, 33), mask_kinds()[kind], 5);
    if (!takes(problem)) continue;
    const Evaluation run(problem, options(), plain_values(3));
    for (int64_t n = 0; n < problem.b; ++n) {
      for (int64_t head = 0; head < problem.hq; ++head) {
        for (int64_t row = 0; row < problem.sq; ++row) {
          const ReferenceRow exact = reference_row(problem, run.inputs.args(), run.planned.arithmetic(), n, head, row);
          for (int64_t c = 0; c < problem.dv; ++c) {
            double low = HUGE_VAL, high = -HUGE_VAL;
            for (int64_t key = 0; key < problem.sk; ++key) {
              if (!problem.mask.keep(problem.frame(n, head), row, key)) continue;
              const double v =
                  verify::load_element(type(), run.inputs.args().v, problem.v_offset(n, key, head / 2) + c);
              low = std::min(low, v);
              high = std::max(high, v);
            }
            const double o = run.o(n, head, row, c);
            if (low > high) {
              EXPECT_EQ(o, 0) << problem.text() << ", row " << row << " sees no key";
            } else {
              EXPECT_GE(o, low - exact.o_bound[c]) << problem.text() << ", row " << row << ", column " << c;
              EXPECT_LE(o, high + exact.o_bound[c]) << problem.text() << ", row " << row << ", column " << c;
            }
          }
        }
      }
    }
  }
}

TEST_P(MaskProperty, each_head_of_a_group_sees_its_own_tiles) {
  // Tile columns of three heads over one key head: the first sees none, the others see different ends.
  const auto problem =
      AttentionFwd::parse(dense(1, 3, 1, 40, 300, 32).text() + " lse=1 mask=block_sparse:40x30:|9|0,4");
  ASSERT_TRUE(problem.ok()) << problem.status().message();
  const Evaluation run(*problem, options());
  EXPECT_EQ(run.compare().first_failure, "");
  for (int64_t row = 0; row < 40; ++row) {
    EXPECT_EQ(run.o(0, 0, row, 0), 0);
    EXPECT_NE(run.o(0, 1, row, 0), 0);
    EXPECT_NE(run.o(0, 2, row, 0), 0);
  }
}

TEST_P(MaskProperty, skipped_values_do_not_contaminate_their_tile) {
  // One NaN key and value in the middle of tiles that other rows see in part.
  for (size_t kind = 0; kind < mask_kinds().size(); ++kind) {
    AttentionFwd problem = verify::with_mask(dense(1, 2, 1, 90, 100, 48), mask_kinds()[kind], 9);
    problem.lse = true;
    if (!takes(problem)) continue;
    Evaluation run(problem, options(), plain_values(4));
    const Evaluation clean(problem, options(), plain_values(4));
    for (const int64_t key : {0, 37, 63, 99}) {
      for (int64_t c = 0; c < 48; ++c) {
        verify::store_element(type(), run.inputs.data(1), problem.k_offset(0, key, 0) + c, std::nan(""));
        verify::store_element(type(), run.inputs.data(2), problem.v_offset(0, key, 0) + c, std::nan(""));
      }
    }
    run.again();
    for (int64_t head = 0; head < 2; ++head) {
      for (int64_t row = 0; row < 90; ++row) {
        bool sees = false;
        for (const int64_t key : {0, 37, 63, 99}) sees = sees || problem.mask.keep(problem.frame(0, head), row, key);
        if (sees) {
          EXPECT_TRUE(std::isnan(run.o(0, head, row, 7))) << problem.text() << ", row " << row;
          EXPECT_TRUE(std::isnan(run.lse(0, head, row))) << problem.text() << ", row " << row;
        } else {
          EXPECT_TRUE(same_bytes(run.row_bytes(0, head, row), clean.row_bytes(0, head, row), type()))
              << problem.text() << ", row " << row;
        }
      }
    }
  }
}

}  // namespace
}  // namespace attend::test
