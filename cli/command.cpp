// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

#include <fmt/format.h>
#include <cstdio>
#include <exception>
#include <new>

namespace attend::cli {
namespace {

/// The subcommand that was being parsed or run, for messages: `attend run`.
std::string where(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app.get_name() : app.get_name() + " " + chosen.front()->get_name();
}

int fail(const CLI::App& app, const std::string& what, int exit_code) {
  std::fflush(stdout);
  fmt::print(stderr, "{}: {}\n", where(app), what);
  return exit_code;
}

}  // namespace

int run_app(CLI::App& app, int argc, char** argv, const CommandContext& context) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& answered) {  // --help and --version
    return app.exit(answered);
  } catch (const CLI::RequiredError& error) {
    // CLI11 misses the subcommand before it looks at the word that stands in its place.
    const std::vector<std::string> words = app.remaining();
    if (app.get_subcommands().empty() && !words.empty())
      return fail(app, "there is no command `" + words.front() + "` (see `" + app.get_name() + " --help`)", kExitUsage);
    return fail(app, std::string(error.what()) + " (see `" + where(app) + " --help`)", kExitUsage);
  } catch (const CLI::ParseError& error) {
    return fail(app, std::string(error.what()) + " (see `" + where(app) + " --help`)", kExitUsage);
  } catch (const CommandError& error) {
    return fail(app, error.what(), error.exit_code());
  } catch (const std::bad_alloc&) {
    return fail(app, "out of memory", kExitFailure);
  } catch (const std::exception& error) {
    return fail(app, error.what(), kExitFailure);
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) return fail(app, "cannot write to stdout", kExitFailure);
  return context.exit_code;
}

void require(const Status& status) {
  switch (status.code()) {
    case StatusCode::ok: return;
    case StatusCode::invalid_argument:
    case StatusCode::unsupported: throw CommandError(status.message(), kExitUsage);
    case StatusCode::out_of_memory:
    case StatusCode::device:
    case StatusCode::internal: break;
  }
  throw CommandError(status.message().empty() ? status_code_name(status.code()) : status.message(), kExitFailure);
}

CLI::App* new_command(CLI::App& app, const std::string& name, const std::string& description,
                      const std::vector<std::string>& examples) {
  CLI::App* command = app.add_subcommand(name, description);
  std::string footer = examples.size() == 1 ? "Example:" : "Examples:";
  for (const std::string& example : examples) footer += "\n  " + example;
  command->footer(footer);
  return command;
}

void add_threads_option(CLI::App& command, CommonOptions& options) {
  command.add_option("--threads", options.threads, "Threads; 0 leaves it to ATTEND_NUM_THREADS and OpenMP")
      ->check(CLI::Range(0, 4096));
}

void add_kernel_option(CLI::App& command, CommonOptions& options) {
  command.add_option("--kernel", options.kernel, "Ask for this kernel by its id (see `attend list`)");
  command.add_option("--guarantee", options.guarantee, "What the bits of a row may depend on (docs/determinism.md)")
      ->check(CLI::IsMember({"deterministic", "fast", "batch_invariant"}))
      ->capture_default_str();
  command.add_flag("--flat", options.flat, "Compute pages that sequences share for each of them (docs/decode.md)");
}

void add_json_option(CLI::App& command, CommonOptions& options) {
  command.add_flag("--json", options.json, "Print one JSON object per line instead of text");
}

void add_quiet_option(CLI::App& command, CommonOptions& options) {
  command.add_flag("--quiet", options.quiet, "No progress on stderr");
}

}  // namespace attend::cli
