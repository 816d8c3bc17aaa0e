// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

namespace attend::cli {

void add_bench_command(CLI::App& app, CommandContext&) {
  CLI::App* command = app.add_subcommand("bench", "Not in this build (ATTEND_BUILD_BENCH=OFF)");
  command->allow_extras();
  command->callback(
      [] { throw CommandError("this build has no benchmark suites: configure with -DATTEND_BUILD_BENCH=ON"); });
}

}  // namespace attend::cli
