// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "command.hpp"

int main(int argc, char** argv) {
  using namespace attend::cli;
  CLI::App app("Exact attention on CPUs", "attend");
  app.set_version_flag("--version", std::string("attend ") + ATTEND_VERSION);
  app.require_subcommand(1);
  app.footer(
      "`attend COMMAND --help` has examples. Exit codes: 0 fine, 1 something is wrong, 2 the call makes no sense.");
  CommandContext context;
  add_info_command(app, context);
  add_run_command(app, context);
  add_merge_command(app, context);
  add_check_command(app, context);
  add_bench_command(app, context);
  add_explain_command(app, context);
  add_list_command(app, context);
  add_show_command(app, context);
  add_trace_command(app, context);
  return run_app(app, argc, argv, context);
}
