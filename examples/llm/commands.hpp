// SPDX-License-Identifier: Apache-2.0
// The subcommands of attend-llm, each in a file of its own; shaped as those of the tool (cli/command.hpp).
#pragma once
#include "cli/command.hpp"

namespace llm {

using attend::cli::CommandContext;

void add_generate_command(CLI::App& app, CommandContext& context);
void add_chat_command(CLI::App& app, CommandContext& context);
void add_perplexity_command(CLI::App& app, CommandContext& context);
void add_bench_command(CLI::App& app, CommandContext& context);
void add_quality_command(CLI::App& app, CommandContext& context);
void add_serve_sim_command(CLI::App& app, CommandContext& context);
void add_embed_command(CLI::App& app, CommandContext& context);
void add_info_command(CLI::App& app, CommandContext& context);
void add_tokenize_command(CLI::App& app, CommandContext& context);

}  // namespace llm
