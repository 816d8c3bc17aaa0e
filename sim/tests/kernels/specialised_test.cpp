// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>

#include "sim/tests/kernels/kernels.hpp"

namespace ptxsim::test {
namespace {

using specialised = Compiled;

struct Problem {
  uint32_t m, n, k, blocks;
};

/// Every result within the error of a sum of k products in f32 and of rounding it to bf16.
bool close(const std::vector<uint16_t>& c, const std::vector<uint16_t>& a, const std::vector<uint16_t>& b,
           const Problem& p) {
  for (size_t row = 0; row < p.m; ++row) {
    for (size_t column = 0; column < p.n; ++column) {
      double sum = 0, size = 0;
      for (size_t i = 0; i < p.k; ++i) {
        const double term = double{from_bf16(a[row * p.k + i])} * from_bf16(b[column * p.k + i]);
        sum += term;
        size += std::fabs(term);
      }
      const double f32_error = p.k * size * 0x1p-24;
      if (!(std::fabs(from_bf16(c[row * p.n + column]) - sum) <= f32_error + (std::fabs(sum) + f32_error) * 0x1p-8))
        return false;
    }
  }
  return true;
}

Outcome multiply(const Problem& p, const std::string& entry, const Trial& trial) {
  std::vector<uint16_t> a, b;
  for (const float v : random_floats(p.m * p.k, 5)) a.push_back(to_bf16(v));
  for (const float v : random_floats(p.n * p.k, 6)) b.push_back(to_bf16(v));
  const auto stages = static_cast<uint32_t>(entry[sizeof("specialised_") - 1] - '0');
  Device device(trial.schedule);
  device.set_trace(trial.trace);
  const uint64_t a_at = device.upload_new(a), b_at = device.upload_new(b), c_at = device.alloc(p.m * p.n * 2);
  const Arguments args =
      arguments(matrix_map(device, TensorType::bf16, 2, a_at, p.m, p.k, 128, 64, TensorSwizzle::b128),
                matrix_map(device, TensorType::bf16, 2, b_at, p.n, p.k, 128, 64, TensorSwizzle::b128),
                matrix_map(device, TensorType::bf16, 2, c_at, p.m, p.n, 64, 64, TensorSwizzle::b128), p.m, p.n, p.k);
  LaunchOptions options = grid_of(p.blocks, 384, stages * 32768 + 32768);
  options.instruction_budget = trial.instruction_budget;
  Outcome outcome{launched(device, *trial.module, entry, options, args)};
  outcome.right = close(device.download_all<uint16_t>(c_at, p.m * p.n), a, b, p);
  return outcome;
}

Outcome multiply(const Problem& p, const std::string& entry, const Schedule& schedule) {
  return multiply(p, entry, Trial{&kernels("specialised"), schedule});
}

TEST_F(specialised, two_tiles_by_one_block) {
  const auto run = [](const std::string& entry, const Schedule& schedule) {
    return multiply({128, 256, 192, 1}, entry, schedule);
  };
  expect_right("specialised_2_none", run);
}

TEST_F(specialised, tiles_slices_blocks_and_ragged_edges) {
  const Problem problems[] = {{256, 256, 128, 1}, {256, 256, 128, 4}, {128, 128, 64, 1}, {128, 128, 512, 1},
                              {72, 200, 136, 1},  {200, 72, 72, 2},   {8, 8, 8, 1}};
  for (const Problem& p : problems) {
    for (const char* entry : {"specialised_2_none", "specialised_4_none"}) {
      const Outcome outcome = multiply(p, entry, Schedule{.seed = p.m + p.k});
      EXPECT_TRUE(outcome.report.clean()) << entry << " " << p.m << " " << p.n << " " << p.k << "\n"
                                          << outcome.report.text();
      EXPECT_TRUE(outcome.right) << entry << " " << p.m << " " << p.n << " " << p.k;
    }
  }
}

TEST_F(specialised, broken_twins_are_reported) {
  const auto run = [](const std::string& entry, const Schedule& schedule) {
    return multiply({128, 256, 192, 1}, entry, schedule);
  };
  const Twin twins[] = {
      {"specialised_2_no_full_wait", {HazardId::H07}},
      {"specialised_2_no_empty_wait", {HazardId::H08, HazardId::H09}},
      {"specialised_2_no_release", {HazardId::deadlock}},
      {"specialised_2_no_expect", {HazardId::H07, HazardId::H14, HazardId::H18}},
      {"specialised_2_short_expect", {HazardId::H18}},
      {"specialised_2_wrong_phase", {HazardId::H07, HazardId::H11, HazardId::deadlock}},
      {"specialised_2_wrong_count", {HazardId::H08, HazardId::H09, HazardId::H14, HazardId::H15}},
      {"specialised_2_no_wgmma_fence", {HazardId::H03}},
      {"specialised_2_no_wgmma_wait", {HazardId::H09}},
      {"specialised_2_no_proxy_fence", {HazardId::H04}},
      {"specialised_2_no_read_wait", {HazardId::H05}},
      {"specialised_2_no_final_read_wait", {HazardId::H06}},
      {"specialised_2_no_turn", {HazardId::deadlock}},
      {"specialised_2_no_registers", {HazardId::H23, HazardId::deadlock}},
  };
  for (const Twin& twin : twins) expect_reported(twin, run);
}

TEST_F(specialised, runs_in_200_megabytes) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer's own memory would be counted";
#endif
  const Outcome outcome = multiply({256, 256, 128, 1}, "specialised_4_none", Schedule{});
  EXPECT_TRUE(outcome.report.clean()) << outcome.report.text();
  rusage usage{};
  ASSERT_EQ(getrusage(RUSAGE_SELF, &usage), 0);
  EXPECT_LE(usage.ru_maxrss, 200 * 1024) << "kilobytes";
}

TEST_F(specialised, mutants_are_noticed) {
  const auto run = [](const std::string& entry, const Trial& trial) {
    return multiply({128, 256, 192, 1}, entry, trial);
  };
  expect_mutants_noticed(
      "specialised", "specialised_2_none", run,
      {{"delete", "fence.mbarrier_init", "no other CTA uses the barriers; __syncthreads orders the rest"},
       {"delete", "setmaxnreg.inc", "the assembler counts registers, the simulator has as many as are named"}});
}

}  // namespace
}  // namespace ptxsim::test
