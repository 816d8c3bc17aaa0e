// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "command.hpp"

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
  add_check_command(app, context);
  add_bench_command(app, context);
  add_explain_command(app, context);
  add_list_command(app, context);
  add_show_command(app, context);

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& answered) {  // --help and --version
    return app.exit(answered);
  } catch (const CLI::RequiredError& error) {
    // CLI11 misses the subcommand before it looks at the word that stands in its place.
    const std::vector<std::string> words = app.remaining();
    if (app.get_subcommands().empty() && !words.empty())
      return fail(app, "there is no command `" + words.front() + "` (see `attend --help`)", kExitUsage);
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
