// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "cli/io/file.hpp"
#include "cli/progress.hpp"
#include "sim/isa/program.hpp"
#include "sim/tool/print.hpp"
#include "sim/tool/session.hpp"

namespace ptxsim::tool {
namespace {

struct CoverageOptions {
  LaunchWords launch;
  ScheduleWords schedule;
  int seeds = 1;
  bool listing = false;
  std::string out;
};

/// What ran of the kernel and the functions of its module, over all runs.
struct Covered {
  std::map<int32_t, Trace::Coverage> lines;
  std::set<int32_t> code_lines, branch_lines, sync_lines;
  size_t run_lines = 0, whole_branches = 0;
  std::vector<int32_t> idle_sync;

  bool is_branch(int32_t line) const { return branch_lines.count(line) != 0; }
  const Trace::Coverage& at(int32_t line) const {
    static const Trace::Coverage none;
    const auto found = lines.find(line);
    return found == lines.end() ? none : found->second;
  }
};

/// Instructions of the entry, and of every .func (which entry calls which is not followed).
void collect_code(const Session& session, Covered& covered) {
  const Program& program = session.module.program();
  for (const Function& function : program.functions) {
    if (function.is_entry && function.name != session.entry.name) continue;
    for (int32_t pc = function.first_pc; pc < function.end_pc; ++pc) {
      const Inst& inst = program.code[static_cast<size_t>(pc)];
      if (inst.row == nullptr || inst.line == 0) continue;
      covered.code_lines.insert(inst.line);
      if (inst.guard >= 0 && std::string_view(inst.row->name) == "bra") covered.branch_lines.insert(inst.line);
      if ((inst.row->flags & kSync) != 0) covered.sync_lines.insert(inst.line);
    }
  }
}

Covered cover(const Session& session, const CoverageOptions& options, bool& finished) {
  Covered covered;
  collect_code(session, covered);
  TraceOptions trace;
  trace.coverage = true;
  attend::cli::Progress progress("coverage", options.seeds, options.launch.quiet || options.launch.json);
  for (int i = 0; i < options.seeds; ++i) {
    Schedule schedule = schedule_of(options.schedule);
    schedule.seed += static_cast<uint64_t>(i);
    const SessionRun run = simulate(session, schedule, trace);
    finished = finished && run.report.finished;
    progress.advance();
    if (!run.report.trace) continue;
    for (const auto& [line, counts] : run.report.trace->lines) {
      Trace::Coverage& sum = covered.lines[line];
      sum.runs += counts.runs;
      sum.taken += counts.taken;
      sum.not_taken += counts.not_taken;
    }
  }
  for (const int32_t line : covered.code_lines) covered.run_lines += covered.at(line).runs > 0;
  for (const int32_t line : covered.branch_lines)
    covered.whole_branches += covered.at(line).taken > 0 && covered.at(line).not_taken > 0;
  for (const int32_t line : covered.sync_lines)
    if (covered.at(line).runs == 0) covered.idle_sync.push_back(line);
  return covered;
}

double percent(size_t part, size_t whole) {
  return whole == 0 ? 100 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

/// The text with counts in front of the lines that hold code: `#####` never ran, `!` a branch that always went one way.
std::string listing(const Session& session, const Covered& covered) {
  std::string out;
  const auto& lines = session.module.program().lines;
  for (size_t i = 0; i < lines.size(); ++i) {
    const int32_t number = static_cast<int32_t>(i) + 1;
    std::string count = "        -";
    if (covered.code_lines.count(number) != 0) {
      const Trace::Coverage& at = covered.at(number);
      const bool one_way = covered.is_branch(number) && at.runs > 0 && (at.taken == 0 || at.not_taken == 0);
      count = at.runs == 0 ? "    #####" : fmt::format("{:>8}{}", at.runs, one_way ? '!' : ' ');
    }
    out += fmt::format("{}:{:>6}: {}\n", count, number, lines[i]);
  }
  return out;
}

void print_as_json(const Session& session, const Covered& covered, bool finished) {
  Json out = json_of(session);
  out["finished"] = finished;
  out["lines"] = covered.code_lines.size();
  out["lines_run"] = covered.run_lines;
  out["branches"] = covered.branch_lines.size();
  out["branches_both_ways"] = covered.whole_branches;
  out["sync_lines"] = covered.sync_lines.size();
  out["sync_lines_never_run"] = covered.idle_sync;
  out["counts"] = Json::array();
  for (const int32_t line : covered.code_lines) {
    const Trace::Coverage& at = covered.at(line);
    Json each{{"line", line}, {"runs", at.runs}};
    if (covered.is_branch(line)) each["taken"] = at.taken, each["not_taken"] = at.not_taken;
    out["counts"].push_back(std::move(each));
  }
  print_json(out);
}

void run(const CoverageOptions& options, CommandContext& context) {
  require_folder_of(options.out);
  const Session session = open_session(options.launch);
  bool finished = true;
  const Covered covered = cover(session, options, finished);
  if (!finished) context.exit_code = kExitFailure;
  if (!options.out.empty()) require(attend::io::write_file_atomically(options.out, listing(session, covered)));
  if (options.launch.json) {
    print_as_json(session, covered, finished);
    return;
  }
  fmt::print("{}\n", launch_line(session));
  if (options.listing) fmt::print("{}\n", listing(session, covered));
  if (!finished) fmt::print("a run did not finish; coverage up to there\n");
  fmt::print("lines with instructions {:>7}, run {:>7} ({:.1f} %)\n", covered.code_lines.size(), covered.run_lines,
             percent(covered.run_lines, covered.code_lines.size()));
  fmt::print("conditional branches    {:>7}, both ways {:>1} ({:.1f} %)\n", covered.branch_lines.size(),
             covered.whole_branches, percent(covered.whole_branches, covered.branch_lines.size()));
  fmt::print("synchronisation lines   {:>7}, never run {:>1}\n", covered.sync_lines.size(), covered.idle_sync.size());
  for (const int32_t line : covered.idle_sync)
    fmt::print("  {:>6}: {}\n", line, session.module.program().lines[static_cast<size_t>(line) - 1]);
  if (!options.out.empty()) fmt::print("wrote {}\n", options.out);
}

}  // namespace

void add_coverage_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<CoverageOptions>();
  CLI::App* command = new_command(
      app, "coverage", "Which PTX lines and branches a launch runs; which synchronisation never does",
      {"ptxsim coverage sim/tool/examples/saxpy.ptx --grid 4 --block 256 --args zeros:f32:1000 random:f32:1000 f32:2 "
       "i32:1000 --listing"});
  add_launch_options(*command, options->launch);
  add_schedule_options(*command, options->schedule);
  command->add_option("--seeds", options->seeds, "Runs, with seeds from --seed on; their coverage is added up")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command->add_flag("--listing", options->listing, "Print the PTX with counts: ##### never ran, ! always one way");
  command->add_option("--out", options->out, "Write that listing to a file");
  command->callback([options, &context] { run(*options, context); });
}

}  // namespace ptxsim::tool
