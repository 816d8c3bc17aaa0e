// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

namespace attend::bench::cuda {

/// What is hoped for; a missed one is reported, not an error.
struct Target {
  enum class Kind { over, share, tflops, order };
  Kind kind = Kind::tflops;
  std::string against;
  double limit = 0;

  std::string what() const;  ///< `rate over cudnn`
};

struct Case {
  int rank = 1;
  std::string group;
  std::string problem;  ///< one line, as AttentionFwd::parse takes it
  std::vector<Target> targets;

  bool ablation() const { return group.starts_with("ablation"); }  ///< rows for comparison are timed too
  bool error() const { return group.starts_with("error"); }        ///< inputs with outliers, not timed
};

/// All of cases.def, in the order in which they are measured.
std::vector<Case> all_cases();

/// The same Problem, of a size for the simulator: at most two sequences (unless their lengths are listed) of 16 + n /
/// 128 tokens instead of n, two query heads at most; grouped heads stay grouped.
std::string shortened(const std::string& problem);

}  // namespace attend::bench::cuda
