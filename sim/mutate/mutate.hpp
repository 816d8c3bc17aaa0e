// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "sim/ptxsim.hpp"

/// Breaks a kernel's synchronisation, one instruction at a time, and asks whether anyone notices:
///
///   Device device; device.set_trace({.coverage = true}); ... launch ...
///   const auto mutants = mutants_of(module, text, "kernel", executed_lines(*report));
///   const MutationScore score = judge(run_mutants(text, mutants, 2, trial), kEquivalent);
///   EXPECT_GE(score.percent(), 95) << score.text();
namespace ptxsim {

/// One way to break one instruction.
struct Mutant {
  int32_t line = 0;    ///< of the PTX text
  std::string source;  ///< "a.cuh:5, inlined at b.cu:17" where the module has line information
  std::string kind;    ///< "delete", "pass" (a wait that is always true), "relax", "arrive only", "wait for less", ...
  std::string original;       ///< the statement with its guard, blanks of its lines made one
  std::string mutated;        ///< what stands in its place
  size_t begin = 0, end = 0;  ///< the statement's place in the text
};

/// All mutants of the synchronisation instructions (IsaFlag kSync, kWait; ld and st that acquire or release) of `entry`
/// whose lines are in `executed`. Each of them is PTX.
std::vector<Mutant> mutants_of(const Module& module, const std::string& text, std::string_view entry,
                               const std::set<int32_t>& executed);
/// The lines that a run with TraceOptions::coverage ran.
std::set<int32_t> executed_lines(const RunReport& report);

/// The text with the mutant in it.
std::string mutate(const std::string& text, const Mutant& mutant);

/// What became of a mutant.
struct MutantResult {
  Mutant mutant;
  bool caught = false;
  std::string how;     ///< of the first schedule that caught it: "H08 under seed=3 async=latest"
  uint32_t tried = 0;  ///< schedules
};

/// Runs the kernel of `module` under the schedule and says what is wrong: hazard ids, "wrong result", "deadlock"; empty
/// when all is well. A mutant may loop for ever: the trial sets LaunchOptions::instruction_budget to a few times what
/// the kernel itself needs.
using MutationTrial = std::function<std::string(const Module& module, const Schedule& schedule)>;

/// Tries each mutant under every asynchronous policy times `seeds` seeds, until one catches it; the policies take
/// turns, so that most mutants need one or two runs. `progress` is told after each.
std::vector<MutantResult> run_mutants(const std::string& text, const std::vector<Mutant>& mutants, int seeds,
                                      const MutationTrial& trial,
                                      const std::function<void(const MutantResult&)>& progress = {});

/// A survivor that means the same as the original, and why. It stands for the mutants of that kind whose statement, or
/// place in the source, contains `where`.
struct Equivalent {
  std::string kind, where, reason;
};

struct MutationScore {
  size_t caught = 0;
  struct Excused {
    MutantResult result;
    std::string reason;
  };
  std::vector<Excused> equivalent;
  std::vector<MutantResult> survivors;  ///< for which nothing speaks
  std::vector<Equivalent> unused;       ///< that stand for no survivor: out of date

  /// Of the mutants that are not equivalent.
  double percent() const;
  /// "57 of 60 caught (95.0 %), 4 equivalent" and a line per survivor and reason.
  std::string text() const;
};
MutationScore judge(const std::vector<MutantResult>& results, const std::vector<Equivalent>& equivalent = {});

/// When a surviving mutant of this kind means the same as the original: what to look for.
std::string equivalent_when(const Mutant& mutant);

/// Ids of the report's hazards, "H08 deadlock"; empty when it is clean.
std::string hazard_ids(const RunReport& report);

}  // namespace ptxsim
