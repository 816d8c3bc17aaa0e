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
  std::vector<std::string> equivalent;
};

/// A run that must be clean: the lines that the kernel runs, and its right results.
SessionRun reference_run(const Session& session, const Schedule& schedule) {
  TraceOptions trace;
  trace.coverage = true;
  SessionRun run = simulate(session, schedule, trace);
  if (!run.report.clean())
    throw CommandError("the kernel itself is not clean, so mutants would say nothing:\n" + run.report.text());
  return run;
}

/// KIND@WHERE=REASON
Equivalent parse_equivalent(const std::string& word) {
  const size_t at = word.find('@'), equals = word.find('=', at == std::string::npos ? 0 : at);
  if (at == std::string::npos || equals == std::string::npos || at == 0 || equals == at + 1 ||
      equals + 1 == word.size())
    throw CommandError(
        fmt::format("--equivalent is '{}', expected KIND@WHERE=REASON, as in 'delete@kernel.cu:17=a second fence'",
                    word),
        kExitUsage);
  return {word.substr(0, at), word.substr(at + 1, equals - at - 1), word.substr(equals + 1)};
}

bool same_results(const std::vector<Output>& found, const std::vector<Output>& expected, double tolerance) {
  for (size_t i = 0; i < found.size(); ++i) {
    const Comparison comparison = compare(found[i].argument->element, found[i].content, expected[i].content, tolerance);
    if (tolerance > 0 ? comparison.different > 0 : !comparison.same_bits) return false;
  }
  return true;
}

Json json_of(const MutantResult& result) {
  return Json{{"line", result.mutant.line},
              {"source", result.mutant.source},
              {"kind", result.mutant.kind},
              {"original", result.mutant.original},
              {"mutated", result.mutant.mutated},
              {"caught", result.caught},
              {"how", result.how},
              {"schedules", result.tried}};
}

void print_as_json(const Session& session, const std::vector<MutantResult>& results, const MutationScore& score) {
  Json out = json_of(session);
  out["mutants"] = results.size();
  out["caught"] = score.caught;
  out["percent"] = score.percent();
  out["results"] = Json::array();
  for (const MutantResult& result : results) out["results"].push_back(json_of(result));
  out["equivalent"] = Json::array();
  for (const MutationScore::Excused& each : score.equivalent) {
    Json line = json_of(each.result);
    line["reason"] = each.reason;
    out["equivalent"].push_back(std::move(line));
  }
  print_json(out);
}

void print(const MutateOptions& options, const Session& session, const std::vector<MutantResult>& results,
           const MutationScore& score) {
  fmt::print("{}\n{} mutants, each under up to {} policies x {} seeds\n\n", launch_line(session), results.size(),
             kAsyncPolicies.size(), options.seeds);
  if (options.all) {
    fmt::print("{:>7}  {:<18}{:<62}  {}\n", "line", "mutation", "instruction", "caught by");
    for (const MutantResult& result : results)
      fmt::print("{:>7}  {:<18}{:<62}  {}\n", result.mutant.line, result.mutant.kind,
                 result.mutant.original.substr(0, 61), result.caught ? result.how : "survives");
    fmt::print("\n");
  }
  fmt::print("{}", score.text());
}

void run(const MutateOptions& options, CommandContext& context) {
  std::vector<Equivalent> equivalent;
  for (const std::string& word : options.equivalent) equivalent.push_back(parse_equivalent(word));
  Session session = open_session(options.launch);
  const std::vector<std::byte> bytes = take(attend::io::read_file(options.launch.file));
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const SessionRun right = reference_run(session, schedule_of(options.schedule));
  const std::vector<Mutant> mutants =
      mutants_of(session.module, text, session.entry.name, executed_lines(right.report));
  // A mutant that runs much longer than the kernel hangs.
  session.options.instruction_budget =
      std::min(session.options.instruction_budget, 10000 + 10 * right.report.counts.warp_instructions);
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
  const MutationScore score = judge(results, equivalent);
  if (options.launch.json)
    print_as_json(session, results, score);
  else
    print(options, session, results, score);
  if (!score.survivors.empty() || !score.unused.empty()) context.exit_code = kExitFailure;
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
      ->check(CLI::Range(0.0, 1e30))
      ->capture_default_str();
  command->add_flag("--all", options->all, "Print the mutants that were caught too");
  command
      ->add_option(
          "--equivalent", options->equivalent,
          "KIND@WHERE=REASON: survivors of that kind whose statement or source line contains WHERE mean the same")
      ->take_all();
  command->callback([options, &context] { run(*options, context); });
}

}  // namespace ptxsim::tool
