// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/tests/kernels/kernels.hpp"

namespace ptxsim::test {
namespace {

using split_k = Compiled;
using cluster = Compiled;

Outcome split(const std::string& entry, const Schedule& schedule) {
  constexpr size_t kDepth = 37, kColumns = 128, kBlocks = 4;
  const std::vector<float> a = quarters(kDepth, 1), b = quarters(kDepth * kColumns, 2);
  Schedule together = schedule;
  together.interleave_clusters = true;
  Device device(together);
  const uint64_t c_at = device.alloc(kColumns * 4), a_at = device.upload_new(a), b_at = device.upload_new(b),
                 partials_at = device.alloc(kBlocks * kColumns * 4),
                 zero_at = device.upload_new(std::vector<uint32_t>{0});
  Arguments args = arguments(c_at, a_at, b_at, int{kDepth});
  if (entry.starts_with("last_adds")) args.add(partials_at);
  args.add(zero_at);
  Outcome outcome{launched(device, kernels("split_k"), entry, grid_of(kBlocks, kColumns), args), true};
  const std::vector<float> c = device.download_all<float>(c_at, kColumns);
  for (size_t column = 0; column < kColumns; ++column) {
    float sum = 0;  // exact: quarters
    for (size_t i = 0; i < kDepth; ++i) sum += a[i] * b[i * kColumns + column];
    outcome.right = outcome.right && c[column] == sum;
  }
  return outcome;
}

TEST_F(split_k, blocks_meet_in_global_memory) {
  expect_right("last_adds_none", split);
  expect_right("in_turn_none", split);
}

TEST_F(split_k, broken_twins_are_reported) {
  for (const char* entry : {"last_adds_no_fence", "last_adds_no_acquire", "last_adds_no_sync", "in_turn_no_fence",
                            "in_turn_plain_poll", "in_turn_no_sync"})
    expect_reported({entry, {HazardId::H10}}, split);
}

Outcome exchange(const std::string& entry, const Schedule& schedule) {
  constexpr uint32_t kThreads = 64;
  const std::vector<float> in = random_floats(2 * kThreads, 7);
  Device device(schedule);
  const uint64_t out_at = device.alloc(2 * kThreads * 4), at = device.upload_new(in);
  LaunchOptions options = grid_of(2, kThreads);
  options.cluster.x = 2;
  Outcome outcome{launched(device, kernels("cluster"), entry, options, arguments(out_at, at))};
  outcome.right = device.download_all<float>(out_at, 2 * kThreads) == std::vector<float>(in.rbegin(), in.rend());
  return outcome;
}

TEST_F(cluster, two_blocks_exchange_rows) {
  for (const char* entry : {"push_none", "pull_none", "send_none"}) expect_right(entry, exchange);
}

TEST_F(cluster, broken_exchanges_are_reported) {
  const Twin twins[] = {
      {"push_no_exchange_sync", {HazardId::H08, HazardId::H11}},
      {"pull_no_exchange_sync", {HazardId::H08, HazardId::H11}},
      {"pull_no_final_sync", {HazardId::H19}},
      {"send_no_start_sync", {HazardId::H12, HazardId::H24}},
      {"send_no_init_fence", {HazardId::H24}},
      {"send_no_expect", {HazardId::H07, HazardId::H14, HazardId::H18}},
      {"send_no_wait", {HazardId::H07}},
  };
  for (const Twin& twin : twins) expect_reported(twin, exchange);
}

/// Four blocks add overlapping tiles of 32 x 32 to a matrix of 50 x 36 that starts as ones; what reaches beyond is left
/// out.
Outcome add_tiles(const std::string& entry, const Schedule& schedule) {
  constexpr size_t kRows = 50, kColumns = 28, kBlocks = 4;
  constexpr int kRounds = 3;
  Device device(schedule);
  const uint64_t at = device.upload_new(std::vector<float>(kRows * kColumns, 1));
  Outcome outcome{launched(device, kernels("cluster"), entry, grid_of(kBlocks, 64),
                           arguments(matrix_map(device, TensorType::f32, 4, at, kRows, kColumns, 32, 32), kRounds)),
                  true};
  const std::vector<float> out = device.download_all<float>(at, kRows * kColumns);
  for (size_t row = 0; row < kRows; ++row) {
    for (size_t column = 0; column < kColumns; ++column) {
      float expected = 1;
      for (size_t block = 0; block < kBlocks; ++block)
        if (row >= 8 * block && row < 8 * block + 32) expected += kRounds * (1 + static_cast<float>(column)) + 3;
      outcome.right = outcome.right && out[row * kColumns + column] == expected;
    }
  }
  return outcome;
}

Outcome add_row(const std::string& entry, const Schedule& schedule) {
  constexpr size_t kCount = 100, kBlocks = 3;
  Device device(schedule);
  const uint64_t out_at = device.upload_new(std::vector<float>(kCount, 0)),
                 copies_at = device.alloc(kBlocks * kCount * 4);
  Outcome outcome{
      launched(device, kernels("cluster"), entry, grid_of(kBlocks, 64), arguments(out_at, copies_at, int{kCount})),
      true};
  const std::vector<float> out = device.download_all<float>(out_at, kCount),
                           copies = device.download_all<float>(copies_at, kBlocks * kCount);
  for (size_t i = 0; i < kCount; ++i) {
    outcome.right = outcome.right && out[i] == 3 * static_cast<float>(i) + 3;
    for (size_t block = 0; block < kBlocks; ++block)
      outcome.right = outcome.right && copies[block * kCount + i] == static_cast<float>(i + block);
  }
  return outcome;
}

TEST_F(cluster, reducing_copies) {
  expect_right("add_tiles_none", add_tiles);
  expect_right("add_row_none", add_row);
}

TEST_F(cluster, broken_reducing_copies_are_reported) {
  const Twin tiles[] = {{"add_tiles_no_proxy_fence", {HazardId::H04}},
                        {"add_tiles_no_read_wait", {HazardId::H05}},
                        {"add_tiles_no_final_wait", {HazardId::H06}},
                        {"add_tiles_outside", {HazardId::H22}}};
  for (const Twin& twin : tiles) expect_reported(twin, add_tiles);
  const Twin rows[] = {{"add_row_no_proxy_fence", {HazardId::H04}}, {"add_row_no_final_wait", {HazardId::H06}}};
  for (const Twin& twin : rows) expect_reported(twin, add_row);
}

}  // namespace
}  // namespace ptxsim::test
