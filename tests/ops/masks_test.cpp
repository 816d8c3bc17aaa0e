// SPDX-License-Identifier: Apache-2.0
// Every row of masks.def, and intersections of them, against keep(), pair by pair.
#include <algorithm>
#include <functional>

#include "ops/mask/terms.hpp"
#include "support/parsed.hpp"

namespace attend {
namespace {

struct Row {
  const char* name;
  std::function<std::string(Rng&, const AttentionFwd&)> draw;
};

const std::vector<Row>& rows() {
  static const std::vector<Row> all{
#define ATTEND_MASK(Type, name, doc) \
  {#name, [](Rng& rng, const AttentionFwd& problem) { return #name + draw_term(Type(), rng, problem); }},
#include <attend/mask/masks.def>
#undef ATTEND_MASK
  };
  return all;
}

std::string problem_text(const AttentionFwd& p) {
  return "attention_fwd b=2 hq=2 sq=" + std::to_string(p.sq) + " sk=" + std::to_string(p.sk) + " d=1";
}

AttentionFwd sized(int64_t sq, int64_t sk) { return AttentionFwd::dense(Layout::bshd, DType::f32, 2, 2, 2, sq, sk, 1); }

/// Calls `check(problem)` with masks of each row alone and of up to three random rows together.
void for_drawn_masks(int64_t sq, int64_t sk, int draws, uint64_t seed,
                     const std::function<void(const AttentionFwd&)>& check) {
  const AttentionFwd plain = sized(sq, sk);
  Rng rng(seed);
  const auto run = [&](const std::string& mask) {
    const std::string text = problem_text(plain) + " mask=" + mask;
    SCOPED_TRACE(text);
    check(test::parsed(text));
  };
  for (const Row& row : rows()) {
    for (int i = 0; i < draws; ++i) run(row.draw(rng, plain));
  }
  for (int i = 0; i < 2 * draws; ++i) {
    std::string mask;
    for (int64_t terms = 2 + rng.below(2); terms > 0; --terms) {
      const Row& row = rows()[static_cast<size_t>(rng.below(static_cast<int64_t>(rows().size())))];
      mask += (mask.empty() ? "" : "&") + row.draw(rng, plain);
    }
    run(mask);
  }
}

/// Pairs kept in each prefix rectangle, so that any rectangle is counted in four look-ups.
struct Counts {
  Counts(const Mask& mask, const Frame& frame)
      : width(frame.sk + 1), sums(static_cast<size_t>((frame.sq + 1) * width)) {
    for (int64_t q = 0; q < frame.sq; ++q) {
      int64_t row = 0;
      for (int64_t k = 0; k < frame.sk; ++k) {
        row += mask.keep(frame, q, k);
        sums[(q + 1) * width + k + 1] = sums[q * width + k + 1] + row;
      }
    }
  }
  int64_t kept(Range q, Range k) const {
    return sums[q.end * width + k.end] - sums[q.begin * width + k.end] - sums[q.end * width + k.begin] +
           sums[q.begin * width + k.begin];
  }
  int64_t width;
  std::vector<int64_t> sums;
};

/// `skip` and `full` are promises; single rows of interval masks must not answer less than is known.
TEST(masks, classify_agrees_with_keep_on_every_small_tile) {
  for (const auto& [sq, sk] : {std::pair<int64_t, int64_t>{1, 1}, {5, 5}, {3, 8}, {8, 3}, {7, 6}, {4, 0}, {0, 4}}) {
    for_drawn_masks(sq, sk, 12, static_cast<uint64_t>(sq * 100 + sk), [](const AttentionFwd& p) {
      for (int64_t member = 0; member < p.b * p.hq; ++member) {
        const Frame frame = p.frame(member / p.hq, member % p.hq);
        const Counts counts(p.mask, frame);
        for (Range q{0, 0}; q.begin < p.sq; ++q.begin) {
          for (q.end = q.begin; q.end <= p.sq; ++q.end) {
            for (Range k{0, 0}; k.begin <= p.sk; ++k.begin) {
              for (k.end = k.begin; k.end <= p.sk; ++k.end) {
                const TileClass found = p.mask.classify(frame, q, k);
                const int64_t kept = counts.kept(q, k);
                if (found == TileClass::skip) {
                  ASSERT_EQ(kept, 0) << "queries " << q.begin << " to " << q.end << ", keys " << k.begin << " to "
                                     << k.end;
                }
                if (found == TileClass::full) {
                  ASSERT_EQ(kept, q.size() * k.size())
                      << "queries " << q.begin << " to " << q.end << ", keys " << k.begin << " to " << k.end;
                }
                if (kept == q.size() * k.size() && kept > 0) {
                  ASSERT_EQ(found, TileClass::full) << "a tile with every pair runs without mask code";
                }
                // One row of one term is an exact question; several terms answer together at least for single pairs.
                if (kept == 0 && ((q.size() == 1 && p.mask.terms().size() == 1) || (q.size() == 1 && k.size() == 1))) {
                  ASSERT_EQ(found, TileClass::skip) << "row " << q.begin << ", keys " << k.begin << " to " << k.end;
                }
              }
            }
          }
        }
      }
    });
  }
}

/// Lengths around the 64 keys of a word.
TEST(masks, row_bits_are_keep) {
  for (const auto& [sq, sk] : {std::pair<int64_t, int64_t>{6, 5}, {3, 64}, {4, 65}, {2, 131}, {9, 200}}) {
    for_drawn_masks(sq, sk, 6, static_cast<uint64_t>(sq * 1000 + sk), [](const AttentionFwd& p) {
      Rng rng(static_cast<uint64_t>(p.sk));
      for (int64_t member = 0; member < p.b * p.hq; ++member) {
        const Frame frame = p.frame(member / p.hq, member % p.hq);
        for (int64_t q = 0; q < p.sq; ++q) {
          for (int trial = 0; trial < 12; ++trial) {
            Range k{rng.below(p.sk + 1), 0};
            k.end = trial == 0 ? p.sk + 70 : k.begin + rng.below(p.sk - k.begin + 1);  // once past the end, too
            if (trial < 2) k.begin = 0;
            const size_t words = static_cast<size_t>((k.size() + 63) / 64);
            std::vector<uint64_t> bits(words + 1, 0xdeadbeefdeadbeef);
            p.mask.row_bits(frame, q, k, bits.data());
            ASSERT_EQ(bits[words], 0xdeadbeefdeadbeef) << "written past the range";
            for (int64_t i = 0; i < static_cast<int64_t>(words) * 64; ++i) {
              const bool expected = i < k.size() && p.mask.keep(frame, q, k.begin + i);
              ASSERT_EQ((bits[static_cast<size_t>(i / 64)] >> (i % 64) & 1) != 0, expected)
                  << "row " << q << ", keys " << k.begin << " to " << k.end << ", key " << k.begin + i;
            }
          }
        }
      }
    });
  }
}

TEST(masks, key_span_holds_every_kept_key) {
  for (const auto& [sq, sk] : {std::pair<int64_t, int64_t>{6, 5}, {5, 9}, {9, 5}, {0, 3}, {3, 0}}) {
    for_drawn_masks(sq, sk, 20, static_cast<uint64_t>(sq * 10 + sk), [](const AttentionFwd& p) {
      for (int64_t member = 0; member < p.b * p.hq; ++member) {
        const Frame frame = p.frame(member / p.hq, member % p.hq);
        for (Range q{0, 0}; q.begin < p.sq; ++q.begin) {
          for (q.end = q.begin + 1; q.end <= p.sq; ++q.end) {
            const Range span = p.mask.key_span(frame, q);
            ASSERT_TRUE(span.begin >= 0 && span.begin <= span.end && span.end <= p.sk);
            for (int64_t row = q.begin; row < q.end; ++row) {
              for (int64_t k = 0; k < p.sk; ++k) {
                if (p.mask.keep(frame, row, k)) {
                  ASSERT_TRUE(span.contains(k)) << "query " << row << ", key " << k;
                }
              }
            }
          }
        }
      }
    });
  }
}

/// IntervalMask's own condition, which classify and key_span stand on.
template <class Term>
void expect_rising_ends(const Term& term, const Frame& frame) {
  if constexpr (IntervalMask<Term>) {
    for (int64_t q = 0; q < frame.sq; ++q) {
      const Range now = term.keys(frame, q);
      EXPECT_TRUE(now.empty() || (now.begin >= 0 && now.end <= frame.sk)) << "row " << q;
      if (q == 0) continue;
      const Range before = term.keys(frame, q - 1);
      EXPECT_LE(before.begin, now.begin) << "row " << q;
      EXPECT_LE(before.end, now.end) << "row " << q;
    }
  }
}

TEST(masks, interval_ends_never_fall) {
  for (const auto& [sq, sk] : {std::pair<int64_t, int64_t>{6, 5}, {5, 9}, {12, 5}}) {
    for_drawn_masks(sq, sk, 30, static_cast<uint64_t>(sq + sk), [](const AttentionFwd& p) {
      for (const MaskTerm& each : p.mask.terms()) {
        std::visit(
            [&]<class Term>(const Term& term) {
              for (int64_t n = 0; n < p.b; ++n) expect_rising_ends(term, p.frame(n, 0));
            },
            each);
      }
    });
  }
}

TEST(masks, text_parses_back_to_the_same_pairs) {
  for (const auto& [sq, sk] : {std::pair<int64_t, int64_t>{6, 5}, {3, 70}, {1, 1}, {0, 3}}) {
    for_drawn_masks(sq, sk, 10, static_cast<uint64_t>(sq * 7 + sk), [](const AttentionFwd& p) {
      const AttentionFwd again = test::parsed(p.text());
      EXPECT_EQ(again.text(), p.text());
      ASSERT_EQ(again.mask.terms().size(), p.mask.terms().size());
      for (int64_t member = 0; member < p.b * p.hq; ++member) {
        const Frame frame = p.frame(member / p.hq, member % p.hq);
        for (int64_t q = 0; q < p.sq; ++q) {
          for (int64_t k = 0; k < p.sk; ++k) ASSERT_EQ(again.mask.keep(frame, q, k), p.mask.keep(frame, q, k));
        }
      }
    });
  }
}

TEST(masks, cost_counts_the_kept_pairs) {
  for (const auto& [sq, sk] : {std::pair<int64_t, int64_t>{6, 5}, {3, 170}, {17, 9}, {0, 3}, {3, 0}}) {
    for_drawn_masks(sq, sk, 10, static_cast<uint64_t>(sq * 9 + sk), [](const AttentionFwd& p) {
      int64_t pairs = 0;
      for (int64_t member = 0; member < p.b * p.hq; ++member) {
        const Frame frame = p.frame(member / p.hq, member % p.hq);
        for (int64_t q = 0; q < p.sq; ++q) {
          for (int64_t k = 0; k < p.sk; ++k) pairs += p.mask.keep(frame, q, k);
        }
      }
      EXPECT_EQ(p.cost().visible_pairs, pairs);
      EXPECT_EQ(p.cost().flops, 4.0 * static_cast<double>(pairs));
    });
  }
}

TEST(masks, per_head_and_per_batch_tell_the_truth) {
  for_drawn_masks(5, 6, 40, 3, [](const AttentionFwd& p) {
    bool head = false, batch = false;
    for (int64_t q = 0; q < p.sq; ++q) {
      for (int64_t k = 0; k < p.sk; ++k) {
        for (int64_t n = 0; n < 2; ++n) head |= p.mask.keep(p.frame(n, 0), q, k) != p.mask.keep(p.frame(n, 1), q, k);
        for (int64_t h = 0; h < 2; ++h) batch |= p.mask.keep(p.frame(0, h), q, k) != p.mask.keep(p.frame(1, h), q, k);
      }
    }
    if (head) {
      EXPECT_TRUE(p.mask.per_head());
    }
    if (batch) {
      EXPECT_TRUE(differs_by_batch(p.mask));
    }
  });
  EXPECT_FALSE(Mask::causal().per_head());
  EXPECT_FALSE(differs_by_batch(Mask::window(3, 0)));
}

TEST(masks, none_keeps_every_pair_and_no_key_past_the_end) {
  const Frame frame{4, 6, 0, 0};
  EXPECT_EQ(Mask().classify(frame, {0, 4}, {0, 6}), TileClass::full);
  EXPECT_EQ(Mask().classify(frame, {0, 4}, {0, 7}), TileClass::partial);
  EXPECT_EQ(Mask().classify(frame, {0, 4}, {6, 9}), TileClass::skip);
  EXPECT_EQ(Mask().classify(frame, {2, 2}, {0, 6}), TileClass::skip);
  EXPECT_FALSE(Mask().keep(frame, 0, 6));
  EXPECT_EQ(Mask().key_span(frame, {0, 4}), (Range{0, 6}));
}

}  // namespace
}  // namespace attend
