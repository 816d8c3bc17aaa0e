// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "sim/isa/program.hpp"
#include "sim/tool/print.hpp"
#include "sim/tool/session.hpp"

namespace ptxsim::tool {
namespace {

struct Line {
  int32_t number;
  Trace::Conflicts conflicts;
  double per_access() const {
    return static_cast<double>(conflicts.wavefronts) / static_cast<double>(std::max<uint64_t>(1, conflicts.accesses));
  }
};

/// Lines with accesses to shared memory, the most extra wavefronts first.
std::vector<Line> lines_of(const SessionRun& run) {
  std::vector<Line> lines;
  if (run.report.trace)
    for (const auto& [number, conflicts] : run.report.trace->banks) lines.push_back({number, conflicts});
  std::stable_sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) {
    return a.conflicts.wavefronts - a.conflicts.accesses > b.conflicts.wavefronts - b.conflicts.accesses;
  });
  return lines;
}

std::string source_line(const Session& session, int32_t number) {
  const auto& lines = session.module.program().lines;
  if (number < 1 || static_cast<size_t>(number) > lines.size()) return {};
  const std::string& text = lines[static_cast<size_t>(number) - 1];
  const size_t begin = text.find_first_not_of(" \t");
  return begin == std::string::npos ? std::string() : text.substr(begin, 80);
}

void run(const LaunchWords& words, const Schedule& schedule, CommandContext& context) {
  const Session session = open_session(words);
  TraceOptions trace;
  trace.bank_conflicts = true;
  const SessionRun run = simulate(session, schedule, trace);
  const std::vector<Line> lines = lines_of(run);
  if (!run.report.finished) context.exit_code = kExitFailure;
  if (words.json) {
    Json out = json_of(session);
    out["finished"] = run.report.finished;
    out["counts"] = json_of(run.report.counts);
    out["shared_lines"] = Json::array();
    for (const Line& line : lines)
      out["shared_lines"].push_back(Json{{"line", line.number},
                                         {"text", source_line(session, line.number)},
                                         {"accesses", line.conflicts.accesses},
                                         {"wavefronts", line.conflicts.wavefronts}});
    print_json(out);
    return;
  }
  fmt::print("{}\n", launch_line(session));
  if (!run.report.finished) fmt::print("did not finish; counts up to there:\n{}\n", run.report.text());
  fmt::print("{}", counts_text(run.report.counts));
  if (lines.empty()) return;
  fmt::print(
      "\nshared memory by line, the most conflicts first (wavefronts per access: how many passes over the banks)\n");
  fmt::print("{:>7}{:>12}{:>12}{:>8}  {}\n", "line", "accesses", "wavefronts", "each", "PTX");
  for (const Line& line : lines)
    fmt::print("{:>7}{:>12}{:>12}{:>8.2f}  {}\n", line.number, line.conflicts.accesses, line.conflicts.wavefronts,
               line.per_access(), source_line(session, line.number));
}

}  // namespace

void add_count_command(CLI::App& app, CommandContext& context) {
  struct Options {
    LaunchWords launch;
    ScheduleWords schedule;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      new_command(app, "count", "Instructions, multiply-adds, bytes by memory space, bank conflicts by line",
                  {"ptxsim count sim/tool/examples/reverse.ptx --block 128 --args zeros:u32:128 random:u32:128"});
  add_launch_options(*command, options->launch);
  add_schedule_options(*command, options->schedule);
  command->callback([options, &context] { run(options->launch, schedule_of(options->schedule), context); });
}

}  // namespace ptxsim::tool
