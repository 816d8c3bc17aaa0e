// SPDX-License-Identifier: Apache-2.0
// FlashAttention-2 (kernels/attention_fwd/sm80.cuh): what it shares with no other family.
#include <memory>
#include <string>
#include <vector>

#include "cuda/attention_fwd_lists.hpp"
#include "sim/launch/simulator_backend.hpp"
#include "simulated.hpp"

namespace attend::cuda {
namespace {

using Sm80 = CudaTest;
using plan_detail::KernelRow;

std::vector<KernelRow> rows_on(int major, int minor, size_t shared_bytes) {
  return sm80_rows({.name = "a device", .major = major, .minor = minor, .shared_bytes_per_block = shared_bytes});
}
const KernelRow& row_named(const std::vector<KernelRow>& rows, const std::string& id) {
  for (const KernelRow& row : rows)
    if (row.id == id) return row;
  ADD_FAILURE() << "no row " << id;
  return rows.front();
}

TEST_F(Sm80, widest_heads_have_a_row_for_devices_with_less_shared_memory) {
  const auto small = rows_on(8, 6, 99 * 1024), large = rows_on(8, 0, 163 * 1024);
  const std::string wide = "attention_fwd.sm80.bf16.d256", narrow = wide + ".64x64";
  EXPECT_EQ(row_named(small, wide).unavailable,
            "a device has 101376 bytes of shared memory for a block, the kernel needs 131072");
  EXPECT_EQ(row_named(small, narrow).unavailable, "");
  EXPECT_EQ(row_named(small, narrow).slower, "");
  EXPECT_EQ(row_named(large, wide).unavailable, "");
  EXPECT_EQ(row_named(large, wide).slower, "");
  EXPECT_NE(row_named(large, narrow).slower, "");
  for (const KernelRow& row : small)
    EXPECT_TRUE(row.id == wide || row.id == "attention_fwd.sm80.f16.d256" || row.unavailable.empty()) << row.id;
}

TEST_F(Sm80, devices_before_8_0_have_no_row) {
  for (const KernelRow& row : rows_on(7, 5, 64 * 1024))
    EXPECT_EQ(row.unavailable, "a device has compute capability 7.5, the kernel needs 8.0") << row.id;
}

TEST_F(Sm80, is_before_the_simple_kernel_and_behind_hoppers) {
  PlanOptions options;
  options.device = test_device();
  const auto ready = plan(problem_of("attention_fwd sq=64 sk=64 d=128 dtype=bf16"), options);
  ASSERT_TRUE(ready.ok()) << ready.status().message();
  std::vector<std::string> order;
  for (const Candidate& candidate : ready->candidates())
    for (const char* id : {"attention_fwd.sm90.bf16.d128", "attention_fwd.sm80.bf16.d128", "attention_fwd.cuda.simple"})
      if (candidate.kernel == id) order.emplace_back(id);
  EXPECT_EQ(order, (std::vector<std::string>{"attention_fwd.sm90.bf16.d128", "attention_fwd.sm80.bf16.d128",
                                             "attention_fwd.cuda.simple"}));
}

TEST_F(Sm80, a_head_that_is_read_by_all_serves_where_tensor_maps_do_not) {
  AttentionFwd problem = problem_of("attention_fwd b=2 hq=4 hk=4 sq=70 sk=130 d=64 dtype=f16 mask=causal lse=1");
  problem.k_strides.head = problem.v_strides.head = 0;
  PlanOptions options;
  options.device = test_device();
  const auto ready = plan(problem, options);
  ASSERT_TRUE(ready.ok()) << ready.status().message();
  EXPECT_EQ(ready->kernel(), "attention_fwd.sm80.f16.d64") << ready->explain();
  expect_right(problem, 3);
}

TEST_F(Sm80, shared_memory_has_no_bank_conflicts) {
  if (on_cuda_device()) GTEST_SKIP() << kSimulatorOnly;
  PlanOptions any;
  any.device = test_device();
  const auto all = plan(problem_of("attention_fwd sq=8 sk=8 d=64"), any);
  ASSERT_TRUE(all.ok());
  int rows = 0;
  for (const Candidate& candidate : all->candidates()) {
    const std::string prefix = "attention_fwd.sm80.";
    if (!candidate.kernel.starts_with(prefix)) continue;
    const size_t type = prefix.size(), columns = candidate.kernel.find(".d") + 2;
    const AttentionFwd problem = problem_of(
        "attention_fwd sq=140 sk=200 mask=causal lse=1 dtype=" + candidate.kernel.substr(type, columns - 2 - type) +
        " d=" + std::to_string(std::stoi(candidate.kernel.substr(columns))));
    auto backend = std::make_unique<ptxsim::SimulatorBackend>();
    const ptxsim::SimulatorBackend& simulator = *backend;
    PlanOptions options;
    options.device = make_device(std::move(backend));
    options.kernel = candidate.kernel;
    const auto ready = plan(problem, options);
    ASSERT_TRUE(ready.ok()) << ready.status().message();
    verify::FillOptions fill;
    fill.poison = false;
    ASSERT_TRUE(verify::run_on_device(*ready, options.device, verify::Inputs::make(problem, fill)).ok());
    for (const ptxsim::RunReport& report : simulator.reports()) {
      if (report.counts.matrix_instructions == 0) continue;
      ++rows;
      EXPECT_GT(report.counts.shared_accesses, 0u) << candidate.kernel;
      EXPECT_EQ(report.counts.shared_wavefronts, report.counts.shared_accesses) << candidate.kernel;
    }
  }
  EXPECT_EQ(rows, 15);
}

}  // namespace
}  // namespace attend::cuda
