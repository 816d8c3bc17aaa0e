// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "commands.hpp"

int main(int argc, char** argv) {
  CLI::App app("Language models on attend (SmolLM2, Gemma 3 and others of their architectures) and embeddings of texts",
               "attend-llm");
  app.set_version_flag("--version", std::string("attend-llm ") + ATTEND_VERSION);
  app.require_subcommand(1);
  app.footer(
      "`attend-llm COMMAND --help` has examples. Exit codes: 0 fine, 1 something is wrong, 2 the call makes no sense.");
  llm::CommandContext context;
  llm::add_generate_command(app, context);
  llm::add_chat_command(app, context);
  llm::add_perplexity_command(app, context);
  llm::add_bench_command(app, context);
  llm::add_quality_command(app, context);
  llm::add_serve_sim_command(app, context);
  llm::add_embed_command(app, context);
  llm::add_info_command(app, context);
  llm::add_tokenize_command(app, context);
  return attend::cli::run_app(app, argc, argv, context);
}
