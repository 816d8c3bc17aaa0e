// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/kernels/kernels.hpp"

namespace ptxsim::test {
namespace {

using reduce = Compiled;

Outcome row_sums(const std::string& entry, const Schedule& schedule) {
  constexpr int kRows = 5, kColumns = 301;
  const std::vector<float> in = random_floats(kRows * kColumns, 1);
  Device device(schedule);
  const uint64_t at = device.upload_new(in), out_at = device.alloc(kRows * sizeof(float));
  Outcome outcome{launched(device, kernels("reduce"), entry, grid_of(1, 128), arguments(out_at, at, kRows, kColumns)),
                  true};
  const std::vector<float> out = device.download_all<float>(out_at, kRows);
  for (size_t row = 0; row < kRows; ++row) {
    double sum = 0, size = 0;
    for (size_t i = row * kColumns; i < (row + 1) * kColumns; ++i) {
      sum += in[i];
      size += std::fabs(in[i]);
    }
    // Each element goes through at most ceil(301 / 128) + 10 additions.
    outcome.right = outcome.right && std::fabs(out[row] - sum) <= 13 * size * 0x1p-24;
  }
  return outcome;
}

TEST_F(reduce, sums_of_rows) { expect_right("row_sums_none", row_sums); }

TEST_F(reduce, broken_twins_are_reported) {
  const Twin twins[] = {{"row_sums_no_sync_before_read", {HazardId::H08, HazardId::H11}},
                        {"row_sums_no_sync_before_reuse", {HazardId::H09}},
                        {"row_sums_diverged_shuffle", {HazardId::H20}}};
  for (const Twin& twin : twins) expect_reported(twin, row_sums);
}

TEST_F(reduce, instructions_of_their_own) {
  std::vector<uint32_t> in(64);
  for (uint32_t i = 0; i < 64; ++i) in[i] = i * 2654435761u | 1;
  const auto run = [&](const std::string& entry, const Schedule& schedule) {
    Device device(schedule);
    const uint64_t out_at = device.alloc(8 * 64 * 4), at = device.upload_new(in);
    Outcome outcome{launched(device, kernels("reduce"), entry, grid_of(1, 64), arguments(out_at, at)), true};
    const std::vector<uint32_t> out = device.download_all<uint32_t>(out_at, 8 * 64);
    for (uint32_t thread = 0; thread < 64; ++thread) {
      uint32_t expected[8] = {0, ~0u, 0, ~0u, 0, 0, 0, 0};
      for (uint32_t lane = 0; lane < 32; ++lane) {
        const uint32_t v = in[thread / 32 * 32 + lane];
        expected[0] += v;
        expected[1] = std::min(expected[1], v);
        expected[2] = std::max(expected[2], v);
        expected[3] &= v;
        expected[4] |= v;
        expected[5] ^= v;
        expected[6] |= (v % 3 == 0 ? 1u : 0u) << lane;
        expected[7] |= (v % 4 == in[thread] % 4 ? 1u : 0u) << lane;
      }
      for (uint32_t i = 0; i < 8; ++i) outcome.right = outcome.right && out[i * 64 + thread] == expected[i];
    }
    return outcome;
  };
  expect_right("warp_reductions", run);
}

}  // namespace
}  // namespace ptxsim::test
