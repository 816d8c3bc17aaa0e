// SPDX-License-Identifier: Apache-2.0
// The shape that all subcommands share. A subcommand is one file with one function
//
//   void add_NAME_command(CLI::App& app, CommandContext& context);
//
// which calls new_command(), adds its options to what that returns, and sets a callback that does the work and stores
// context.exit_code when it is not 0. main.cpp calls each of them once.
#pragma once
#include <CLI/CLI.hpp>
#include <attend/attend.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace attend::cli {

constexpr int kExitOk = 0;       ///< did what was asked and found nothing wrong
constexpr int kExitFailure = 1;  ///< a wrong answer was found, or the work could not be done
constexpr int kExitUsage = 2;    ///< the command line or the file it names makes no sense

/// Ends a subcommand; main prints `attend <subcommand>: <what>` on stderr and returns the code.
class CommandError : public std::runtime_error {
 public:
  explicit CommandError(const std::string& what, int exit_code = kExitFailure)
      : std::runtime_error(what), exit_code_(exit_code) {}
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

/// Throws CommandError for a Status that is not ok: invalid_argument and unsupported are usage errors, the rest
/// failures.
void require(const Status& status);

/// The value of a Result, or what require() throws.
template <class T>
T take(Result<T> result) {
  if (!result.ok()) require(result.status());
  return std::move(result).value();
}

/// What one run of the tool shares between main and its subcommand.
struct CommandContext {
  int exit_code = kExitOk;
};

/// Parses the words and runs the subcommand that they name; prints what goes wrong on stderr, as
/// `attend <subcommand>: <what>`. The exit code of the process.
int run_app(CLI::App& app, int argc, char** argv, const CommandContext& context);

/// Options that several subcommands have. Each subcommand owns one (in the shared_ptr that its callback captures) and
/// adds the groups it wants.
struct CommonOptions {
  int threads = 0;     ///< 0: what the library chooses
  std::string kernel;  ///< empty: the fastest that takes the Problem
  std::string guarantee = guarantee_name(Guarantee::deterministic);
  bool flat = false;           ///< no cascade
  std::string device = "cpu";  ///< as device_named() takes it
  bool json = false;
  bool quiet = false;

  PlanOptions plan_options() const {
    PlanOptions options;
    options.threads = threads;
    options.kernel = kernel;
    options.guarantee = parse_guarantee(guarantee).value();  // the option takes nothing else
    options.cascade = !flat;
    return options;
  }
};

/// A subcommand with a one-line description. The footer of its --help lists `examples`, complete command lines that
/// work from the repository's root (`attend explain "attention_fwd sq=8 sk=8 d=8"`); tests run every one of them, so
/// keep them quick.
CLI::App* new_command(CLI::App& app, const std::string& name, const std::string& description,
                      const std::vector<std::string>& examples);

void add_threads_option(CLI::App& command, CommonOptions& options);
void add_kernel_option(CLI::App& command, CommonOptions& options);
void add_json_option(CLI::App& command, CommonOptions& options);
void add_quiet_option(CLI::App& command, CommonOptions& options);

void add_bench_command(CLI::App& app, CommandContext& context);
void add_check_command(CLI::App& app, CommandContext& context);
void add_explain_command(CLI::App& app, CommandContext& context);
void add_info_command(CLI::App& app, CommandContext& context);
void add_list_command(CLI::App& app, CommandContext& context);
void add_merge_command(CLI::App& app, CommandContext& context);
void add_run_command(CLI::App& app, CommandContext& context);
void add_show_command(CLI::App& app, CommandContext& context);
void add_trace_command(CLI::App& app, CommandContext& context);

}  // namespace attend::cli
