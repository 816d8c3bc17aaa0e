// SPDX-License-Identifier: Apache-2.0
#include "sim/tool/command.hpp"

int main(int argc, char** argv) {
  namespace tool = ptxsim::tool;  // named at each call: attend::cli has commands of the same names
  CLI::App app("Runs PTX for sm_90a on the CPU and says what is wrong with it", "ptxsim");
  app.set_version_flag("--version", std::string("ptxsim ") + ATTEND_VERSION);
  app.require_subcommand(1);
  app.footer(
      "`ptxsim COMMAND --help` has examples. Exit codes: 0 fine, 1 something is wrong, 2 the call makes no sense.");
  tool::CommandContext context;
  tool::add_list_command(app, context);
  tool::add_run_command(app, context);
  tool::add_check_command(app, context);
  tool::add_count_command(app, context);
  tool::add_coverage_command(app, context);
  tool::add_trace_command(app, context);
  tool::add_mutate_command(app, context);
  tool::add_bench_command(app, context);
  tool::add_fuzz_command(app, context);
  tool::add_record_command(app, context);
  tool::add_replay_command(app, context);
  return attend::cli::run_app(app, argc, argv, context);
}
