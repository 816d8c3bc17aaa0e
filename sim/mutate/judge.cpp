// SPDX-License-Identifier: Apache-2.0
// Mutants are run, and those that nobody notices are judged.
#include <algorithm>
#include <cstdio>
#include <map>

#include "sim/mutate/mutate.hpp"
#include "sim/trace/trace.hpp"

namespace ptxsim {
namespace {

/// Policies in turn, those first that notice most.
std::vector<Schedule> schedules(int seeds) {
  std::vector<Schedule> all;
  (void)for_each_schedule(seeds, [&](const Schedule& schedule) {
    all.push_back(schedule);
    return true;
  });
  const auto turn = [](const Schedule& schedule) {
    switch (schedule.async) {
      case AsyncPolicy::latest: return 0;
      case AsyncPolicy::split: return 1;
      case AsyncPolicy::random: return 2;
      case AsyncPolicy::eager: break;
    }
    return 3;
  };
  std::stable_sort(all.begin(), all.end(), [&](const Schedule& a, const Schedule& b) {
    return std::pair(a.seed, turn(a)) < std::pair(b.seed, turn(b));
  });
  return all;
}

bool stands_for(const Equivalent& equivalent, const Mutant& mutant) {
  return equivalent.kind == mutant.kind && (mutant.original.find(equivalent.where) != std::string::npos ||
                                            mutant.source.find(equivalent.where) != std::string::npos);
}

std::string place_text(const Mutant& mutant) {
  return "line " + std::to_string(mutant.line) + (mutant.source.empty() ? "" : " (" + mutant.source + ")") + ", " +
         mutant.kind + ": " + mutant.original;
}

}  // namespace

std::set<int32_t> executed_lines(const RunReport& report) {
  std::set<int32_t> lines;
  if (report.trace)
    for (const auto& [line, counts] : report.trace->lines)
      if (counts.runs > 0) lines.insert(line);
  return lines;
}

std::string mutate(const std::string& text, const Mutant& mutant) {
  return text.substr(0, mutant.begin) + mutant.mutated + text.substr(mutant.end);
}

std::vector<MutantResult> run_mutants(const std::string& text, const std::vector<Mutant>& mutants, int seeds,
                                      const MutationTrial& trial,
                                      const std::function<void(const MutantResult&)>& progress) {
  const std::vector<Schedule> all = schedules(seeds);
  std::vector<MutantResult> results;
  for (const Mutant& mutant : mutants) {
    MutantResult result{mutant, false, {}, 0};
    const Result<Module> module = Module::parse(mutate(text, mutant), "mutant");
    if (!module.ok()) {
      // An operand out of range, which the simulator sees before the kernel runs.
      result.caught = true;
      result.how = "refused: " + module.status().message();
    }
    for (const Schedule& schedule : all) {
      if (result.caught) break;
      ++result.tried;
      const std::string wrong = trial(*module, schedule);
      if (wrong.empty()) continue;
      result.caught = true;
      result.how = wrong + " under " + schedule.text();
    }
    if (progress) progress(result);
    results.push_back(std::move(result));
  }
  return results;
}

MutationScore judge(const std::vector<MutantResult>& results, const std::vector<Equivalent>& equivalent) {
  MutationScore score;
  std::vector<bool> used(equivalent.size());
  for (const MutantResult& result : results) {
    if (result.caught) {
      ++score.caught;
      continue;
    }
    const auto found = std::find_if(equivalent.begin(), equivalent.end(),
                                    [&](const Equivalent& each) { return stands_for(each, result.mutant); });
    if (found == equivalent.end()) {
      score.survivors.push_back(result);
    } else {
      score.equivalent.push_back({result, found->reason});
      used[static_cast<size_t>(found - equivalent.begin())] = true;
    }
  }
  for (size_t i = 0; i < equivalent.size(); ++i)
    if (!used[i]) score.unused.push_back(equivalent[i]);
  return score;
}

double MutationScore::percent() const {
  const size_t counted = caught + survivors.size();
  return counted == 0 ? 100 : 100.0 * static_cast<double>(caught) / static_cast<double>(counted);
}

std::string MutationScore::text() const {
  char share[16];
  std::snprintf(share, sizeof share, "%.1f %%", percent());
  std::string text = std::to_string(caught) + " of " + std::to_string(caught + survivors.size()) + " caught (" + share +
                     "), " + std::to_string(equivalent.size()) + " equivalent\n";
  for (const MutantResult& each : survivors) {
    const std::string when = equivalent_when(each.mutant);
    text += "survives: " + place_text(each.mutant) + (when.empty() ? "" : "\n  equivalent when " + when) + "\n";
  }
  for (const Excused& each : equivalent)
    text += "equivalent: " + place_text(each.result.mutant) + "\n  " + each.reason + "\n";
  for (const Equivalent& each : unused)
    text += "no survivor is \"" + each.kind + "\" at \"" + each.where + "\", said to be equivalent\n";
  return text;
}

std::string equivalent_when(const Mutant& mutant) {
  struct Row {
    const char *kind, *where, *when;
  };
  // The first row that fits.
  constexpr Row kRows[] = {
      {"delete", "fence.mbarrier_init",
       "no other CTA uses the mbarriers: a barrier of the CTA orders the init for its own"},
      {"delete", "fence.proxy", "another fence stands between the writes and the asynchronous reads"},
      {"delete", "mbarrier.inval", "nothing uses the mbarrier's bytes again"},
      {"delete", "bar.warp.sync", "no data goes from one lane to another there"},
      {"delete", "wgmma.fence", "only wgmmas of one shape touched the registers since the last one"},
      {"delete", "wait_group", "a later wait covers the same groups before anything depends on them"},
      {"wait for less", "", "the groups that are waited for now include all that matter here"},
      {"delete", "commit_group", "a later commit takes the same operations into a group that is waited for"},
      {"delete", "setmaxnreg", "registers suffice anyway: counts are the assembler's to check"},
      {"delete", "griddepcontrol", "the launch depends on no other grid"},
      {"delete", "bar", "another barrier orders the same accesses"},
      {"delete", "fence", "what it orders is ordered by another fence or barrier, or read by nobody else"},
      {"relax", "expect_tx", "the arriving thread wrote nothing that those who wait read"},
      {"relax", "", "nothing written before it is read behind its counterpart"},
      {"narrow scope", "", "the threads that synchronise are of one CTA"},
      {"one arrival less", "", "the other arrivals say as much: a wgmma is done for all four warps at once"},
      {"one arrival more", "", "nobody waits for the mbarrier"},
      {"expect more", "", "nobody waits for that phase"},
      {"pass", "", "another wait covers the same phase"},
  };
  for (const Row& row : kRows)
    if (mutant.kind.starts_with(row.kind) && mutant.original.find(row.where) != std::string::npos) return row.when;
  return {};
}

std::string hazard_ids(const RunReport& report) {
  std::string ids;
  for (const Hazard& hazard : report.hazards) {
    const std::string id = hazard_id(hazard.id);
    if (ids.find(id) == std::string::npos) ids += (ids.empty() ? "" : " ") + id;
  }
  if (ids.empty() && !report.finished) ids = "not finished";
  return ids;
}

}  // namespace ptxsim
