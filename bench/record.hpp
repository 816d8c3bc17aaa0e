// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace attend::bench {

/// How a bar came out.
struct BarResult {
  std::string what;     ///< `share of peak`
  std::string against;  ///< the problem text (or contender) it was compared with; empty for share and workspace
  double limit = 0, value = 0;
  bool at_most = false, met = false;

  /// `share of peak >= 0.87`
  std::string text() const;
  /// How far on the good side: 1 is just met, below 1 missed.
  double margin() const;
};

/// What was measured for one case: one line of JSON. bench/README.md says what each field means.
struct Record {
  enum class State { timed, skipped, failed };

  std::string suite, group, problem, kernel, isa, arithmetic;
  int threads = 0;
  double median_s = 0, p10_s = 0, p90_s = 0;
  int64_t runs = 0, rounds = 0;
  double gflops = 0, peak_gflops = 0, share = 0;
  double peak_alone_gflops = 0, share_alone = 0;  ///< against the loop running alone, without attention's clock
  double peak_fma_f32_gflops = 0, peak_dot_bf16_gflops = 0;
  double gbps = 0, peak_gbps = 0;
  int64_t visible_pairs = 0;
  double flops = 0, bytes = 0;
  int64_t workspace_bytes = 0, tile_rows = 0, tile_keys = 0;
  double error_ratio = 0;
  std::string machine, date, commit;
  std::vector<BarResult> bars;
  std::vector<std::string> not_judged;  ///< bars whose other side could not be measured, and why
  State state = State::timed;
  std::string reason;  ///< why it was skipped or failed

  /// The bar with the smallest margin, the one that decides; nullptr without bars.
  const BarResult* decisive_bar() const;
  bool all_met() const;
  /// Numbers that were not measured are null.
  nlohmann::ordered_json json() const;
};

/// Where and on what the figures were measured: the same for all records of a process.
struct Provenance {
  std::string machine;  ///< CPU model and cores
  std::string commit;   ///< `git describe` of the checkout, else the version it was built as

  static Provenance of_this_process();
};

/// `2026-01-31T12:00:00Z`
std::string utc_now();
/// Folders in which to look for the checkout: the running binary's, and the one that this file was compiled in.
std::vector<std::string> likely_folders();

}  // namespace attend::bench
