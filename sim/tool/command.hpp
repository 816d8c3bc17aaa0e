// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

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

/// For options that count or number something: what CLI11 makes of `abc` and -1 says too little.
CLI::Validator whole_number(uint64_t most = UINT64_MAX);
/// Before work begins whose result goes to `file`. Throws CommandError when its folder is not there.
void require_folder_of(const std::string& file);

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
