// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cli/io/file.hpp"
#include "cli/progress.hpp"
#include "sim/mutate/mutate.hpp"
#include "sim/tool/compare.hpp"
#include "sim/tool/print.hpp"
#include "sim/tool/session.hpp"

namespace ptxsim::tool {
namespace {

struct MutateOptions {
  LaunchWords launch;
  ScheduleWords schedule;
  int seeds = 3;
  double between = 0;
  bool all = false;
};

/// Lines that the kernel ran, and its right results: one run that must be clean.
SessionRun reference_run(const Session& session, const Schedule& schedule, std::set<int32_t>& executed) {
  TraceOptions trace;
  trace.coverage = true;
  SessionRun run = simulate(session, schedule, trace);
  if (!run.report.clean())
    throw CommandError("the kernel itself is not clean, so mutants would say nothing:\n" + run.report.text());
  for (const auto& [line, counts] : run.report.trace->lines)
    if (counts.runs > 0) executed.insert(line);
  return run;
}

bool same_results(const std::vector<Output>& found, const std::vector<Output>& expected, double tolerance) {
  for (size_t i = 0; i < found.size(); ++i) {
    const Comparison comparison = compare(found[i].argument->element, found[i].content, expected[i].content, tolerance);
    if (tolerance > 0 ? comparison.different > 0 : !comparison.same_bits) return false;
  }
  return true;
}

Json json_of(const MutantResult& result) {
  return Json{{"line", result.mutant.line},       {"kind", result.mutant.kind}, {"original", result.mutant.original},
              {"mutated", result.mutant.mutated}, {"caught", result.caught},    {"how", result.how}};
}

void print_row(const MutantResult& result) {
  fmt::print("{:>7}  {:<14}{:<58}  {}\n", result.mutant.line, result.mutant.kind, result.mutant.original.substr(0, 57),
             result.caught ? result.how : "SURVIVES");
}

void run(const MutateOptions& options, CommandContext& context) {
  Session session = open_session(options.launch);
  const std::vector<std::byte> bytes = take(attend::io::read_file(options.launch.file));
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::set<int32_t> executed;
  const SessionRun right = reference_run(session, schedule_of(options.schedule), executed);
  const std::vector<Mutant> mutants = mutants_of(session.module, text, session.entry.name, executed);
  // A mutant that runs much longer than the kernel hangs.
  session.options.instruction_budget =
      std::min(session.options.instruction_budget, 100000 + 50 * right.report.counts.warp_instructions);
  const MutationTrial trial = [&](const Module& module, const Schedule& schedule) -> std::string {
    Session mutated = session;
    mutated.module = module;
    const SessionRun run = simulate(mutated, schedule);
    if (!run.report.clean()) return hazard_ids(run.report);
    return same_results(run.outputs, right.outputs, options.between) ? "" : "wrong result";
  };
  std::vector<MutantResult> results;
  {
    attend::cli::Progress progress("mutate", static_cast<int64_t>(mutants.size()),
                                   options.launch.quiet || options.launch.json);
    results = run_mutants(text, mutants, options.seeds, trial, [&](const MutantResult& result) {
      progress.advance(1, fmt::format("line {} {}", result.mutant.line, result.mutant.kind));
    });
  }
  const auto caught = static_cast<size_t>(
      std::count_if(results.begin(), results.end(), [](const MutantResult& result) { return result.caught; }));
  const double share =
      results.empty() ? 100 : 100.0 * static_cast<double>(caught) / static_cast<double>(results.size());
  if (options.launch.json) {
    Json out = json_of(session);
    out["mutants"] = results.size();
    out["caught"] = caught;
    out["percent"] = share;
    out["results"] = Json::array();
    for (const MutantResult& result : results) out["results"].push_back(json_of(result));
    print_json(out);
  } else {
    fmt::print("{}\n{} policies x {} seeds, until a mutant is caught\n\n{:>7}  {:<14}{:<58}  {}\n",
               launch_line(session), kAsyncPolicies.size(), options.seeds, "line", "mutation", "instruction",
               "caught by");
    for (const MutantResult& result : results)
      if (options.all || !result.caught) print_row(result);
    fmt::print("\n{} of {} mutants caught ({:.1f} %), {} survive{}\n", caught, results.size(), share,
               results.size() - caught, options.all ? "" : " (--all shows the others too)");
  }
  if (caught != results.size()) context.exit_code = kExitFailure;
}

}  // namespace

void add_mutate_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<MutateOptions>();
  CLI::App* command = new_command(
      app, "mutate", "Break each synchronisation instruction that ran, one at a time; who is not noticed survives",
      {"ptxsim mutate sim/tool/examples/reverse.ptx --block 128 --args out=zeros:u32:128 in=random:u32:128 --all"});
  add_launch_options(*command, options->launch);
  add_schedule_options(*command, options->schedule);
  command->add_option("--seeds", options->seeds, "Seeds of each policy that a mutant must survive")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command->add_option("--between", options->between, "How far results may differ, relative to max(1, |right|)")
      ->check(CLI::Range(0.0, 1e30));
  command->add_flag("--all", options->all, "Print the mutants that were caught too");
  command->callback([options, &context] { run(*options, context); });
}

}  // namespace ptxsim::tool
