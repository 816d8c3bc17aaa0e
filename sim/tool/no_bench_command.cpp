// SPDX-License-Identifier: Apache-2.0
#include "sim/tool/command.hpp"

namespace ptxsim::tool {

void add_bench_command(CLI::App& app, CommandContext&) {
  app.add_subcommand("bench", "Not in this build: configure with ATTEND_BUILD_BENCH=ON")->callback([] {
    throw CommandError("this build has no benchmarks: configure with -DATTEND_BUILD_BENCH=ON");
  });
}

}  // namespace ptxsim::tool
