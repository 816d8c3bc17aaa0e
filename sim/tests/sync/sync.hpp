// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <initializer_list>
#include <string>

#include "sim/tests/support/run.hpp"

// What the tests of protocols share: text of waits and stores, and broken kernels that must be caught.
namespace ptxsim::test {

/// Clusters of two CTAs.
inline LaunchOptions pair_of(uint32_t threads, uint32_t clusters = 1) {
  LaunchOptions options;
  options.grid = {2 * clusters, 1, 1};
  options.cluster = {2, 1, 1};
  options.block = {threads, 1, 1};
  return options;
}

/// Every schedule reports one of the hazards.
inline void expect_caught(std::initializer_list<HazardId> ids, const Module& module, const LaunchOptions& options,
                          size_t words, int seeds = 5) {
  for_each_schedule(seeds, [&](const Schedule& schedule) {
    const Ran ran = run(module, schedule, options, words);
    const bool caught = std::any_of(ids.begin(), ids.end(), [&](HazardId id) { return ran.report.has(id); });
    EXPECT_TRUE(caught) << schedule.text() << "\n" << ran.report.text();
    return caught;
  });
}

/// Replaces the one occurrence of `from`.
inline std::string with(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  EXPECT_EQ(text.find(from, at + from.size()), std::string::npos) << "more than one: " << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

/// Waits for a parity of the mbarrier at a register's address; a scope of its own, so that it may stand anywhere.
inline std::string wait(const std::string& address, const std::string& parity,
                        const std::string& form = "try_wait.parity.shared::cta.b64") {
  return "{ .reg .pred %done;\nAGAIN:\n mbarrier." + form + " %done, [" + address + "], " + parity +
         ";\n @!%done bra AGAIN; }\n";
}

/// out[%i] = %v for registers of those names.
inline const std::string kStoreResult = R"(
  { .reg .b64 %at64;
  mul.wide.u32 %at64, %i, 4;
  add.u64 %at64, %at64, %rd_out;
  st.global.u32 [%at64], %v; }
  ret;
)";

}  // namespace ptxsim::test
