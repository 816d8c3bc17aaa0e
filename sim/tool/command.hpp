// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cli/command.hpp"
#include "sim/ptxsim.hpp"

// Subcommands of ptxsim; each is a file with one function, as those of attend (cli/command.hpp).
namespace ptxsim::tool {

using attend::cli::CommandContext;
using attend::cli::CommandError;
using attend::cli::kExitFailure;
using attend::cli::kExitOk;
using attend::cli::kExitUsage;
using attend::cli::new_command;
using attend::cli::require;
using attend::cli::take;

void add_run_command(CLI::App& app, CommandContext& context);
void add_check_command(CLI::App& app, CommandContext& context);
void add_list_command(CLI::App& app, CommandContext& context);
void add_count_command(CLI::App& app, CommandContext& context);
void add_coverage_command(CLI::App& app, CommandContext& context);
void add_trace_command(CLI::App& app, CommandContext& context);
void add_mutate_command(CLI::App& app, CommandContext& context);
void add_fuzz_command(CLI::App& app, CommandContext& context);
void add_record_command(CLI::App& app, CommandContext& context);
void add_replay_command(CLI::App& app, CommandContext& context);
void add_bench_command(CLI::App& app, CommandContext& context);

}  // namespace ptxsim::tool
