// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/kernels/kernels.hpp"

namespace ptxsim::test {
namespace {

using copy_ring = Compiled;

/// Nine and a bit stages of 64 threads; the last stage is ragged.
Outcome by_threads(const std::string& entry, const Schedule& schedule) {
  constexpr int kCount = 9 * 256 + 37;
  const std::vector<float> in = random_floats(kCount, 2);
  Device device(schedule);
  const uint64_t out_at = device.alloc(kCount * 4), at = device.upload_new(in);
  Outcome outcome{
      launched(device, kernels("copy_ring"), entry, grid_of(1, 64, 4 * 64 * 16), arguments(out_at, at, kCount)), true};
  const std::vector<float> out = device.download_all<float>(out_at, kCount);
  for (size_t i = 0; i < kCount; ++i) outcome.right = outcome.right && out[i] == std::fma(2.f, in[i], 1.f);
  return outcome;
}

constexpr int kRows = 83, kColumns = 64;  // eleven boxes of eight rows, the last one with three

/// Column sums, in the order of rows: exact, as the kernel adds in that order too.
std::vector<float> column_sums(const std::vector<float>& in, float factor) {
  std::vector<float> sums(kColumns, 0);
  for (size_t i = 0; i < in.size(); ++i) sums[i % kColumns] += in[i];
  for (float& sum : sums) sum *= factor;
  return sums;
}

int stages_of(const std::string& entry) { return entry[entry.find('_') - 1] - '0'; }

Outcome try_proxy(const std::string& entry, const Trial& trial) {
  const std::vector<float> in = random_floats(kRows * kColumns, 3);
  Device device(trial.schedule);
  device.set_trace(trial.trace);
  const uint64_t out_at = device.alloc(kColumns * 4), at = device.upload_new(in);
  LaunchOptions options = grid_of(1, 96, static_cast<uint32_t>(stages_of(entry)) * 2048);
  options.instruction_budget = trial.instruction_budget;
  Arguments args;
  if (entry.starts_with("tensor"))
    args.add(matrix_map(device, TensorType::f32, 4, at, kRows, kColumns, 8, 64)).add(out_at).add(kRows);
  else
    args.add(out_at).add(at).add(kRows);
  Outcome outcome{launched(device, *trial.module, entry, options, args)};
  outcome.right = device.download_all<float>(out_at, kColumns) == column_sums(in, 1);
  return outcome;
}

Outcome by_proxy(const std::string& entry, const Schedule& schedule) {
  return try_proxy(entry, Trial{&kernels("copy_ring"), schedule});
}

Outcome try_pair(const std::string& entry, const Trial& trial) {
  const std::vector<float> in = random_floats(kRows * kColumns, 4);
  Device device(trial.schedule);
  device.set_trace(trial.trace);
  const uint64_t out_at = device.alloc(2 * kColumns * 4), at = device.upload_new(in);
  LaunchOptions options = grid_of(2, 96, static_cast<uint32_t>(stages_of(entry)) * 2048);
  options.cluster.x = 2;
  options.instruction_budget = trial.instruction_budget;
  Outcome outcome{
      launched(device, *trial.module, entry, options,
               arguments(matrix_map(device, TensorType::f32, 4, at, kRows, kColumns, 4, 64), out_at, kRows))};
  std::vector<float> expected = column_sums(in, 1);
  const std::vector<float> twice = column_sums(in, 2);
  expected.insert(expected.end(), twice.begin(), twice.end());
  outcome.right = device.download_all<float>(out_at, 2 * kColumns) == expected;
  return outcome;
}

Outcome by_pair(const std::string& entry, const Schedule& schedule) {
  return try_pair(entry, Trial{&kernels("copy_ring"), schedule});
}

TEST_F(copy_ring, copies_by_threads) {
  for (const char* entry : {"threads2_none", "threads3_none", "threads4_none"}) expect_right(entry, by_threads);
}

TEST_F(copy_ring, bulk_and_tensor_copies) {
  for (const char* entry : {"bulk2_none", "bulk3_none", "bulk4_none", "tensor2_none", "tensor3_none", "tensor4_none"})
    expect_right(entry, by_proxy);
}

TEST_F(copy_ring, multicast_in_a_cluster) {
  for (const char* entry : {"pair2_none", "pair3_none", "pair4_none"}) expect_right(entry, by_pair);
}

TEST_F(copy_ring, broken_copies_by_threads_are_reported) {
  const Twin twins[] = {{"threads3_no_wait", {HazardId::H07}},
                        {"threads3_no_sync_after_wait", {HazardId::H07, HazardId::H08}},
                        {"threads3_no_sync_before_copy", {HazardId::H09}}};
  for (const Twin& twin : twins) expect_reported(twin, by_threads);
}

TEST_F(copy_ring, broken_bulk_and_tensor_copies_are_reported) {
  const Twin twins[] = {
      // What is missing shows at whichever comes first: bytes that no copy was issued for yet, or one in flight; a
      // stage
      // that is filled again while it is read, or before.
      {"2_no_wait", {HazardId::H07, HazardId::H11}},
      {"2_no_empty_wait", {HazardId::H08, HazardId::H09}},
      {"2_no_release", {HazardId::deadlock}},
      {"2_no_expect", {HazardId::H18, HazardId::H07, HazardId::H14}},
      {"2_short_expect", {HazardId::H18}},
      {"2_wrong_phase", {HazardId::H07, HazardId::H11, HazardId::deadlock}},
      {"2_wrong_count", {HazardId::H09, HazardId::H14, HazardId::H15}},
      {"2_outside", {HazardId::H22}},
  };
  for (const Twin& twin : twins) {
    for (const std::string kind : {"bulk", "tensor"}) {
      const std::string entry = kind + twin.entry;
      expect_reported({entry.c_str(), twin.expected}, by_proxy);
    }
  }
}

TEST_F(copy_ring, broken_multicast_is_reported) {
  const Twin twins[] = {
      {"pair2_no_wait", {HazardId::H07, HazardId::H11}},
      {"pair2_no_empty_wait", {HazardId::H08, HazardId::H09}},
      {"pair2_no_release", {HazardId::deadlock}},
      {"pair2_no_init_fence", {HazardId::H24}},
      {"pair2_no_start_sync", {HazardId::H24, HazardId::H12}},
      {"pair2_local_release", {HazardId::H07, HazardId::H08, HazardId::H09}},
      {"pair2_early_exit", {HazardId::H19}},
  };
  for (const Twin& twin : twins) expect_reported(twin, by_pair);
}

TEST_F(copy_ring, mutants_are_noticed) {
  expect_mutants_noticed(
      "copy_ring", "tensor2_none", try_proxy,
      {{"delete", "fence.mbarrier_init", "no other CTA uses the barriers; __syncthreads orders the rest"}});
  expect_mutants_noticed(
      "copy_ring", "pair2_none", try_pair,
      {{"relax", "barrier.cluster.arrive", "fence.mbarrier_init publishes all that is written before"},
       // nvcc has made two steps of a loop, and a last one with instructions of its own.
       {"delete", "copy_ring.cu:153", "nobody waits for the arrivals of the last step"},
       {"delete", "mbarrier.arrive", "nobody waits for the arrivals of the last step"},
       {"relax", "mbarrier.arrive", "nobody waits for the arrivals of the last step"},
       {"delete", "copy_ring.cu:161", "what is behind is an aligned barrier of the cluster"}});
}

}  // namespace
}  // namespace ptxsim::test
