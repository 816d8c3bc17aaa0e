// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sim/ptxsim.hpp"

// What tests of single instructions and protocols share: a kernel as PTX text, run on buffers.
namespace ptxsim::test {

/// A module with the header that nvcc writes and `body` behind it.
inline Module module_of(const std::string& body) {
  Result<Module> module = Module::parse(".version 8.7\n.target sm_90a\n.address_size 64\n" + body, "test.ptx");
  EXPECT_TRUE(module.ok()) << module.status().message();
  return module.ok() ? std::move(module).value() : Module();
}

/// An entry `k(u64 out, u64 in)` whose pointers are in %rd_out and %rd_in, thread's linear index in %tid1; `body` ends
/// with ret.
inline Module kernel_of(const std::string& body, const std::string& declarations = "") {
  return module_of(declarations + R"(
.visible .entry k(.param .u64 k_out, .param .u64 k_in)
{
  .reg .b64 %rd_out, %rd_in;
  .reg .b32 %tid1;
  ld.param.u64 %rd_out, [k_out];
  ld.param.u64 %rd_in, [k_in];
  mov.u32 %tid1, %tid.x;
)" + body + "\n}\n");
}

/// What came of one launch of kernel_of()'s entry: the report and the words of `out`.
struct Ran {
  RunReport report;
  std::vector<uint32_t> out;
};

/// Launches `k` with `words` words of output, zeroed, and the given input.
inline Ran run(const Module& module, const Schedule& schedule, LaunchOptions options, size_t words,
               const std::vector<uint32_t>& in = {0}, Checks checks = {}) {
  Device device(schedule, std::move(checks));
  const uint64_t out_at = device.upload_new(std::vector<uint32_t>(words, 0), "out");
  const uint64_t in_at = device.upload_new(in, "in");
  Result<RunReport> report = device.launch(module, "k", options, arguments(out_at, in_at));
  EXPECT_TRUE(report.ok()) << report.status().message();
  Ran ran;
  if (report.ok()) ran.report = std::move(report).value();
  ran.out = device.download_all<uint32_t>(out_at, words);
  return ran;
}

inline LaunchOptions block_of(uint32_t threads) {
  LaunchOptions options;
  options.block.x = threads;
  return options;
}

/// The hazard is reported in every one of the schedules.
inline void expect_always(HazardId id, const Module& module, const LaunchOptions& options, size_t words, int seeds = 5,
                          const std::vector<uint32_t>& in = {0}) {
  const int missed = for_each_schedule(seeds, [&](const Schedule& schedule) {
    const Ran ran = run(module, schedule, options, words, in);
    EXPECT_TRUE(ran.report.has(id)) << schedule.text() << "\n" << ran.report.text();
    return ran.report.has(id);
  });
  EXPECT_EQ(missed, 0);
}

/// Nothing is reported in any of the schedules, and the output is `expected`.
inline void expect_clean(const Module& module, const LaunchOptions& options, const std::vector<uint32_t>& expected,
                         int seeds = 5, const std::vector<uint32_t>& in = {0}) {
  for_each_schedule(seeds, [&](const Schedule& schedule) {
    const Ran ran = run(module, schedule, options, expected.size(), in);
    EXPECT_TRUE(ran.report.clean()) << schedule.text() << "\n" << ran.report.text();
    EXPECT_EQ(ran.out, expected) << schedule.text();
    return ran.report.clean();
  });
}

}  // namespace ptxsim::test
