// SPDX-License-Identifier: Apache-2.0
// attend-llm info and tokenize: what a model's file says.
#include "commands.hpp"
#include "info_command.hpp"
#include "session.hpp"

namespace llm {
namespace {

struct FileOptions {
  std::string model;
  bool json = false;
};

void add_model_option(CLI::App& command, FileOptions& options) {
  command.add_option("--model", options.model,
                     "smollm2 (the default) or gemma3, as scripts/get-model fetches them, or a GGUF file");
}

}  // namespace

void add_info_command(CLI::App& app, CommandContext&) {
  auto options = std::make_shared<FileOptions>();
  CLI::App* command = attend::cli::new_command(app, "info", "Metadata and tensors of a GGUF file",
                                               {"attend-llm info", "attend-llm info --json"});
  add_model_option(*command, *options);
  command->add_flag("--json", options->json, "Print one JSON object instead of text");
  command->callback([options] { print_info(find_model(options->model), options->json); });
}

void add_tokenize_command(CLI::App& app, CommandContext&) {
  auto options = std::make_shared<FileOptions>();
  CLI::App* command = attend::cli::new_command(
      app, "tokenize", "Print the tokens of each line of standard input, as JSON lists", {"attend-llm tokenize"});
  add_model_option(*command, *options);
  command->callback([options] { print_tokens(find_model(options->model)); });
}

}  // namespace llm
