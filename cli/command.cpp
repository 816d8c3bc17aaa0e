// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

namespace attend::cli {

void require(const Status& status) {
  switch (status.code()) {
    case StatusCode::ok: return;
    case StatusCode::invalid_argument:
    case StatusCode::unsupported: throw CommandError(status.message(), kExitUsage);
    case StatusCode::out_of_memory:
    case StatusCode::device:
    case StatusCode::internal: break;
  }
  throw CommandError(status.message().empty() ? status_code_name(status.code()) : status.message(), kExitFailure);
}

CLI::App* new_command(CLI::App& app, const std::string& name, const std::string& description,
                      const std::vector<std::string>& examples) {
  CLI::App* command = app.add_subcommand(name, description);
  std::string footer = examples.size() == 1 ? "Example:" : "Examples:";
  for (const std::string& example : examples) footer += "\n  " + example;
  command->footer(footer);
  return command;
}

void add_threads_option(CLI::App& command, CommonOptions& options) {
  command.add_option("--threads", options.threads, "Threads; 0 leaves it to ATTEND_NUM_THREADS and OpenMP")
      ->check(CLI::Range(0, 4096));
}

void add_kernel_option(CLI::App& command, CommonOptions& options) {
  command.add_option("--kernel", options.kernel, "Ask for this kernel by its id (see `attend list`)");
}

void add_json_option(CLI::App& command, CommonOptions& options) {
  command.add_flag("--json", options.json, "Print one JSON object per line instead of text");
}

void add_quiet_option(CLI::App& command, CommonOptions& options) {
  command.add_flag("--quiet", options.quiet, "No progress on stderr");
}

}  // namespace attend::cli
