// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

namespace attend::cli {

void add_trace_command(CLI::App& app, CommandContext&) {
  CLI::App* command = app.add_subcommand("trace", "Not in this build (ATTEND_BUILD_SIM=OFF)");
  command->allow_extras();
  command->callback(
      [] { throw CommandError("this tool has no simulator: configure with -DATTEND_BUILD_SIM=ON", kExitUsage); });
}

}  // namespace attend::cli
