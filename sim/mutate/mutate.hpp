// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "sim/ptxsim.hpp"

/// Breaks a kernel's synchronisation, one instruction at a time, and asks whether anyone notices.
namespace ptxsim {

/// One way to break one instruction.
struct Mutant {
  int32_t line = 0;  ///< of the PTX text
  std::string kind;  ///< "delete", "pass" (a wait that is always true), "relax", "arrive only", "wait for less", ...
  std::string original;       ///< the statement
  std::string mutated;        ///< what stands in its place; empty: nothing
  size_t begin = 0, end = 0;  ///< the statement's place in the text
};

/// All mutants of the synchronisation instructions (IsaFlag kSync, kWait) of `entry` whose lines are in `executed`.
std::vector<Mutant> mutants_of(const Module& module, const std::string& text, std::string_view entry,
                               const std::set<int32_t>& executed);

/// The text with the mutant in it.
std::string mutate(const std::string& text, const Mutant& mutant);

/// What became of a mutant.
struct MutantResult {
  Mutant mutant;
  bool caught = false;
  std::string how;  ///< of the first schedule that caught it: "H08 under seed=3 async=latest"
};

/// Runs the kernel of `module` under the schedule and says what is wrong: hazard ids, "wrong result", "deadlock"; empty
/// when all is well.
using MutationTrial = std::function<std::string(const Module& module, const Schedule& schedule)>;

/// Tries each mutant under every asynchronous policy times `seeds` seeds, until one catches it. `progress` is told
/// after each.
std::vector<MutantResult> run_mutants(const std::string& text, const std::vector<Mutant>& mutants, int seeds,
                                      const MutationTrial& trial,
                                      const std::function<void(const MutantResult&)>& progress = {});

/// Ids of the report's hazards, "H08 deadlock"; empty when it is clean.
std::string hazard_ids(const RunReport& report);

}  // namespace ptxsim
