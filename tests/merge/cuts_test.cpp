// SPDX-License-Identifier: Apache-2.0
// However the keys are cut, and in whatever tree the parts are merged, the result is that over all keys.
#include <gtest/gtest.h>

#include <algorithm>
#include <attend/attend.hpp>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "verify/verify.hpp"

namespace attend {
namespace {

/// A result and how far it may be from the exact one. Dense rows and columns, one sequence, f32.
struct State {
  std::vector<float> o, lse;
  std::vector<double> o_bound, lse_bound;
};

class Cuts {
 public:
  explicit Cuts(AttentionFwd problem, uint64_t seed) : problem_(std::move(problem)) {
    problem_.lse = true;
    problem_.set_layout(Layout::bshd);
    verify::FillOptions fill;
    fill.seed = seed;
    fill.poison = false;
    inputs_.push_back(verify::Inputs::make(problem_, fill));
  }
  const AttentionFwd& problem() const { return problem_; }

  /// Attention over keys [begin, end), whatever else the mask says.
  State part(int64_t begin, int64_t end) const {
    AttentionFwd p = problem_;
    const auto one = [](int64_t x) { return Array<int64_t>(std::vector<int64_t>{x}); };
    p.mask = p.mask & Mask(Padding{one(begin), one(end)});
    State state = empty();
    AttentionFwdArgs args = inputs_[0].args();
    args.o = state.o.data();
    args.lse = state.lse.data();
    const auto ready = plan(p);
    EXPECT_TRUE(ready.ok()) << ready.status().message();
    const Status status = ready->run(args);
    EXPECT_TRUE(status.ok()) << status.message();
    for (int64_t head = 0; head < p.hq; ++head) {
      for (int64_t row = 0; row < p.sq; ++row) {
        const ReferenceRow exact = reference_row(p, args, ready->arithmetic(), 0, head, row);
        std::copy(exact.o_bound.begin(), exact.o_bound.end(), state.o_bound.begin() + at(row, head));
        state.lse_bound[head * p.sq + row] = exact.lse_bound;
      }
    }
    return state;
  }

  /// Joined, with the bound that follows to first order: weights err with the parts' lse, sums and their results are
  /// rounded to f32.
  State join(const std::vector<const State*>& parts, int threads = 1) const {
    constexpr double kRoundoff = 0x1p-24;
    State state = empty();
    std::vector<PartialResult> given;
    for (const State* part : parts) given.push_back({tensor(part->o), part->lse.data()});
    MergeOptions options;
    options.threads = threads;
    const Status status =
        merge(given, Tensor(state.o.data(), DType::f32, Layout::bshd, 1, problem_.sq, problem_.hq, problem_.dv),
              state.lse.data(), options);
    EXPECT_TRUE(status.ok()) << status.message();
    for (int64_t head = 0; head < problem_.hq; ++head) {
      for (int64_t row = 0; row < problem_.sq; ++row) {
        const int64_t slot = head * problem_.sq + row;
        double lse_error = 0, largest_lse = 0;
        for (const State* part : parts) {
          if (part->lse[slot] == -INFINITY) continue;
          lse_error = std::max(lse_error, part->lse_bound[slot]);
          largest_lse = std::max(largest_lse, std::fabs(double{part->lse[slot]}));
        }
        state.lse_bound[slot] = lse_error + kRoundoff * (largest_lse + 10);
        for (int64_t i = at(row, head); i < at(row, head) + problem_.dv; ++i) {
          double largest = 0, inherited = 0;
          for (const State* part : parts) {
            if (part->lse[slot] == -INFINITY) continue;
            largest = std::max(largest, std::fabs(double{part->o[i]}));
            inherited = std::max(inherited, part->o_bound[i]);
          }
          state.o_bound[i] =
              inherited + 2 * lse_error * largest + kRoundoff * (static_cast<double>(parts.size()) + 3) * largest;
        }
      }
    }
    return state;
  }

  void expect_whole(const State& joined, const std::string& how) const {
    const State whole = part(0, problem_.sk);
    for (size_t i = 0; i < whole.o.size(); ++i)
      ASSERT_LE(std::fabs(whole.o[i] - joined.o[i]), whole.o_bound[i] + joined.o_bound[i])
          << how << ", element " << i << " of " << problem_.text();
    for (size_t i = 0; i < whole.lse.size(); ++i) {
      if (whole.lse[i] == joined.lse[i]) continue;  // -inf among them
      ASSERT_LE(std::fabs(whole.lse[i] - joined.lse[i]), whole.lse_bound[i] + joined.lse_bound[i])
          << how << ", lse " << i << " of " << problem_.text();
    }
  }

 private:
  int64_t at(int64_t row, int64_t head) const { return (row * problem_.hq + head) * problem_.dv; }
  ConstTensor tensor(const std::vector<float>& o) const {
    return {o.data(), DType::f32, Layout::bshd, 1, problem_.sq, problem_.hq, problem_.dv};
  }
  State empty() const {
    State state;
    state.o.resize(static_cast<size_t>(at(problem_.sq, 0)));
    state.lse.resize(static_cast<size_t>(problem_.sq * problem_.hq));
    state.o_bound.resize(state.o.size());
    state.lse_bound.resize(state.lse.size());
    return state;
  }

  AttentionFwd problem_;
  std::vector<verify::Inputs> inputs_;  // one; a vector, since there are no inputs without a Problem
};

std::vector<Cuts> experiments() {
  std::vector<Cuts> all;
  AttentionFwd plain = AttentionFwd::dense(Layout::bshd, DType::f32, 1, 4, 2, 6, 150, 20);
  all.emplace_back(plain, 1);
  for (int kind = 0; kind < static_cast<int>(std::variant_size_v<MaskTerm>) - 1; ++kind)
    all.emplace_back(verify::with_mask(plain, static_cast<MaskKind>(kind), 7), static_cast<uint64_t>(kind));
  plain.softcap = 3;
  plain.alibi = true;
  plain.bias = BiasShape{false, true, true};
  all.emplace_back(plain, 20);
  return all;
}

TEST(Cuts, any_cut_merged_in_any_tree_is_the_whole) {
  std::mt19937_64 random(5);
  for (const Cuts& cuts : experiments()) {
    const int64_t sk = cuts.problem().sk;
    for (int trial = 0; trial < 3; ++trial) {
      std::vector<int64_t> ends = {0, sk};
      for (int i = 0; i < 2 + trial * 3; ++i)
        ends.push_back(static_cast<int64_t>(random() % static_cast<uint64_t>(sk + 1)));
      std::sort(ends.begin(), ends.end());  // equal neighbours: parts without keys
      std::vector<State> parts;
      for (size_t i = 0; i + 1 < ends.size(); ++i) parts.push_back(cuts.part(ends[i], ends[i + 1]));
      std::vector<const State*> all;
      for (const State& part : parts) all.push_back(&part);
      cuts.expect_whole(cuts.join(all), "at once");
      // A tree: any two or three, not only neighbours, until one is left.
      while (parts.size() > 1) {
        std::shuffle(parts.begin(), parts.end(), random);
        const size_t take = std::min<size_t>(parts.size(), 2 + random() % 2);
        std::vector<const State*> some;
        for (size_t i = 0; i < take; ++i) some.push_back(&parts[parts.size() - 1 - i]);
        State joined = cuts.join(some);
        parts.resize(parts.size() - take);
        parts.push_back(std::move(joined));
      }
      cuts.expect_whole(parts[0], "in a tree");
    }
  }
}

TEST(Cuts, a_part_left_out_is_noticed) {
  const Cuts cuts = std::move(experiments().front());
  const State first = cuts.part(0, 100), second = cuts.part(100, 149), whole = cuts.part(0, 150);
  const State joined = cuts.join({&first, &second});  // key 149 is missing
  int outside = 0;
  for (size_t i = 0; i < whole.o.size(); ++i)
    outside += std::fabs(whole.o[i] - joined.o[i]) > whole.o_bound[i] + joined.o_bound[i];
  EXPECT_GT(outside, static_cast<int>(whole.o.size() / 2));
}

TEST(Cuts, threads_do_not_matter) {
  const Cuts cuts = std::move(experiments().front());
  const State parts[] = {cuts.part(0, 40), cuts.part(40, 41), cuts.part(41, 150)};
  const State expected = cuts.join({&parts[0], &parts[1], &parts[2]});
  for (const int threads : {2, 3, 7}) {
    const State again = cuts.join({&parts[0], &parts[1], &parts[2]}, threads);
    EXPECT_EQ(again.o, expected.o);
    EXPECT_EQ(again.lse, expected.lse);
  }
}

}  // namespace
}  // namespace attend
