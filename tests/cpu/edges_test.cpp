// SPDX-License-Identifier: Apache-2.0
// Every kernel row, element type and mask row at the sizes where kernels change their ways.
#include <algorithm>
#include <tuple>

#include "support/kernel_test.hpp"

namespace attend::test {
namespace {

/// A row of masks.def, or -1 for no mask.
using Param = std::tuple<KernelCase, int>;

class Edges : public ::testing::TestWithParam<Param> {
 protected:
  void SetUp() override {
    const KernelCase& each = std::get<0>(GetParam());
    if (!each.missing.empty()) GTEST_SKIP() << each.kernel << ": " << each.missing;
  }
  AttentionFwd masked(const AttentionFwd& problem, uint64_t seed) const {
    const int mask = std::get<1>(GetParam());
    return mask < 0 ? problem : verify::with_mask(problem, static_cast<MaskKind>(mask), seed);
  }
  AttentionFwd dense(int64_t b, int64_t hq, int64_t hk, int64_t sq, int64_t sk, int64_t d) const {
    return AttentionFwd::dense(Layout::bhsd, std::get<0>(GetParam()).type, b, hq, hk, sq, sk, d);
  }
  void check(const AttentionFwd& problem, uint64_t seed, bool ties = false) {
    PlanOptions options;
    options.kernel = std::get<0>(GetParam()).kernel;
    verify::FillOptions fill;
    fill.seed = seed;
    fill.ties = ties;
    if (expect_within_bound(problem, options, fill)) ++checked_;
  }
  void TearDown() override {
    if (std::get<0>(GetParam()).missing.empty() && checked_ == 0) GTEST_SKIP() << "the kernel refuses this mask";
  }

 private:
  int checked_ = 0;
};

struct Sizes {
  int64_t sq, sk, d, dv;
};

TEST_P(Edges, error_stays_within_bound) {
  constexpr Sizes kSizes[] = {{0, 5, 8, 8},       {5, 0, 8, 8},       {1, 1, 1, 1},       {1, 129, 64, 64},
                              {6, 16, 16, 16},    {7, 17, 33, 17},    {13, 61, 40, 40},   {47, 48, 64, 64},
                              {49, 63, 80, 24},   {64, 64, 64, 64},   {65, 95, 96, 128},  {97, 97, 128, 128},
                              {95, 211, 31, 65},  {127, 128, 64, 64}, {129, 127, 7, 129}, {101, 257, 65, 1},
                              {3, 513, 256, 256}, {12, 37, 512, 511}};
  uint64_t seed = 0;
  for (const Sizes& size : kSizes) {
    AttentionFwd problem = dense(1, 2, 1, size.sq, size.sk, size.d);
    problem.dv = size.dv;
    problem.set_layout(Layout::bshd);
    problem.lse = true;
    ++seed;
    check(masked(problem, seed), seed, seed % 3 == 0);
  }
}

TEST_P(Edges, head_groups_and_batch) {
  AttentionFwd problem = dense(2, 6, 2, 65, 97, 64);  // ratio 3
  problem.lse = true;
  check(masked(problem, 1), 1);
  check(masked(dense(1, 4, 1, 97, 49, 40), 2), 2);  // one key head for all
}

INSTANTIATE_TEST_SUITE_P(kernel, Edges,
                         ::testing::Combine(::testing::ValuesIn(kernel_cases()),
                                            ::testing::Range(-1, static_cast<int>(mask_kinds().size()))),
                         [](const auto& tested) {
                           const int mask = std::get<1>(tested.param);
                           return case_name(std::get<0>(tested.param)) + "_" +
                                  (mask < 0 ? "no_mask" : mask_name(static_cast<MaskKind>(mask)));
                         });

}  // namespace
}  // namespace attend::test
