// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attend.hpp>
#include <optional>
#include <string>
#include <vector>

namespace attend::bench {

/// Who computes.
enum class Contender {
  attend,
  openblas,  ///< unfused attention over single-threaded sgemm calls (openblas.hpp)
};

/// Something that can be timed.
struct Subject {
  std::string problem;  ///< one line, as AttentionFwd::parse or AttentionBwd::parse takes it
  int threads = 1;      ///< 0: as many as the machine has cores
  std::string kernel;   ///< ask for this row; empty: the fastest that takes the Problem
  Contender contender = Contender::attend;
  /// Each run finds its K and V in memory and not in a cache, as the next layer of a model does: there are copies.
  bool cold = false;
  bool flat = false;  ///< without a cascade over shared pages
};

/// What is hoped for. A bar is a statement about speed or memory, not a test: a missed one is reported, not an error.
struct Bar {
  enum class Kind {
    share,      ///< GFLOP/s over the peak that was measured beside it
    rate,       ///< GFLOP/s over those of `against`, timed in turn with the subject
    time,       ///< its inverse: the subject's time over that of as many operations at the rate of `against`; at most
                ///< `limit`
    bandwidth,  ///< bytes of Q, K, V and O a second over what the same threads read of memory
    elapsed,    ///< the subject's time over that of `against`, whatever they compute; at most `limit`
    seconds,    ///< at most `limit`
    workspace,  ///< workspace over packed K and V plus 4 MiB; at most `limit`
  };
  Kind kind = Kind::share;
  double limit = 0;
  std::optional<Subject> against;
  std::string what;  ///< for a person: `rate of f32`

  bool at_most() const {
    return kind == Kind::time || kind == Kind::elapsed || kind == Kind::seconds || kind == Kind::workspace;
  }
  bool met(double value) const { return at_most() ? value <= limit : value >= limit; }
};

/// One line of a suite.
struct Case {
  std::string group;  ///< the line of the table that it belongs to: `f32 full`
  Subject subject;
  std::vector<Bar> bars;
};

struct Suite {
  const char* name;
  const char* about;
  std::vector<Case> (*cases)();
};

/// Whether the line asks for a backward pass.
bool is_backward(const std::string& problem);
/// What the line's Problem costs. Error: what parse() says.
Result<Cost> cost_of(const std::string& problem);

/// All suites, in the order in which they are listed.
const std::vector<Suite>& suites();
/// nullptr when there is no such suite.
const Suite* find_suite(const std::string& name);

/// Bytes that a run may take beyond its tensors: K and V of every key head once more in the kernel's arithmetic, padded
/// to whole vectors, and 4 MiB. This is the O(N) bound of the workspace bar.
double workspace_allowance(const AttentionFwd& problem, Arithmetic arithmetic);

}  // namespace attend::bench
