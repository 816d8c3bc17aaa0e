// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "sim/ptxsim.hpp"
#include "sim/tool/argument.hpp"
#include "sim/tool/command.hpp"
#include "sim/trace/trace.hpp"

namespace ptxsim::tool {

/// What all commands that launch a kernel are told.
struct LaunchWords {
  std::string file, entry;
  std::string grid = "1", block, cluster;
  uint64_t smem = 0;
  uint32_t registers = 0;
  uint64_t budget = LaunchOptions{}.instruction_budget;
  std::vector<std::string> args, buffers;
  std::vector<std::string> suppressed;
  bool json = false, quiet = false;
};
void add_launch_options(CLI::App& command, LaunchWords& words);

/// One schedule, as words.
struct ScheduleWords {
  Schedule schedule;
  std::string async = "random", lanes = "reconverge", accumulate = "f32";
};
/// Without `one_schedule` only what a command that walks through schedules leaves to be chosen.
void add_schedule_options(CLI::App& command, ScheduleWords& words, bool one_schedule = true);
Schedule schedule_of(const ScheduleWords& words);

/// A kernel with its arguments, ready to be run again and again.
struct Session {
  Module module;
  EntryInfo entry;
  LaunchOptions options;
  Checks checks;
  std::vector<Argument> arguments;
};
/// Reads the files. Throws CommandError for what makes no sense.
Session open_session(const LaunchWords& words);
/// Reads the module alone; the message of an error begins with the file.
Module open_module(const std::string& file);

/// What a buffer holds after a run.
struct Output {
  const Argument* argument;
  std::vector<std::byte> content;
  bool shown = true;  ///< it is a result, or the kernel has changed it
};
struct SessionRun {
  RunReport report;
  std::vector<Output> outputs;
  double seconds = 0;  ///< of the launch alone
};
/// Runs it once, on a device of its own.
SessionRun simulate(const Session& session, const Schedule& schedule, const TraceOptions& trace = {});

}  // namespace ptxsim::tool
