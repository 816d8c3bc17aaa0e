// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>

#include "bench/case.hpp"
#include "bench/contender.hpp"
#include "bench/driver.hpp"
#include "bench/peers.hpp"
#include "bench/report.hpp"
#include "command.hpp"
#include "progress.hpp"

namespace attend::cli {
namespace {

struct BenchOptions : CommonOptions {
  std::string what = "quick";  ///< suite or Problem line
  std::string json_file;       ///< empty: stdout
  bool json_asked = false;
  std::string filter;
  std::string baseline = "openblas";
  double min_time = 0.5;
  bool list = false, peers = false;
};

bool is_problem(const std::string& text) {
  return text.find(' ') != std::string::npos || text.find('=') != std::string::npos;
}

std::vector<bench::Case> asked_cases(const BenchOptions& options) {
  if (is_problem(options.what)) {
    (void)take(bench::cost_of(options.what));  // says what is wrong with the line
    return {{"given", {options.what, options.threads, options.kernel, bench::Contender::attend}, {}}};
  }
  const bench::Suite* suite = bench::find_suite(options.what);
  if (!suite) {
    std::string names;
    for (const bench::Suite& each : bench::suites()) names += std::string(names.empty() ? "" : ", ") + each.name;
    throw CommandError(fmt::format("suite is '{}', expected one of {} or a Problem line", options.what, names),
                       kExitUsage);
  }
  std::vector<bench::Case> cases = suite->cases();
  std::erase_if(cases, [&](const bench::Case& line) {
    return line.group.find(options.filter) == std::string::npos &&
           line.subject.problem.find(options.filter) == std::string::npos;
  });
  if (cases.empty())
    throw CommandError(
        fmt::format("--filter is '{}', expected part of a case of {} (see --list)", options.filter, options.what),
        kExitUsage);
  return cases;
}

void list_suites(const BenchOptions& options, bool one) {
  if (!one) {
    for (const bench::Suite& suite : bench::suites())
      fmt::print("{:<12} {:>4} cases  {}\n", suite.name, suite.cases().size(), suite.about);
    return;
  }
  for (const bench::Case& line : asked_cases(options)) {
    fmt::print("{:<22} threads {}  {}{}\n", line.group, line.subject.threads, line.subject.problem,
               line.subject.kernel.empty() ? "" : "  kernel " + line.subject.kernel);
    for (const bench::Bar& bar : line.bars)
      fmt::print("{:<22}   {} {} {:.3g}\n", "", bar.what, bar.at_most() ? "<=" : ">=", bar.limit);
  }
}

/// Appends whole lines, each written at once, so that what an interrupted run leaves is still JSON lines.
class JsonLines {
 public:
  explicit JsonLines(const BenchOptions& options) : on_(options.json_asked) {
    if (!on_ || options.json_file.empty()) return;
    file_.open(options.json_file, std::ios::app);
    if (!file_)
      throw CommandError(fmt::format("--json: cannot write '{}': {}", options.json_file, std::strerror(errno)));
    to_file_ = true;
  }
  bool on_stdout() const { return on_ && !to_file_; }
  void write(const bench::Record& record) {
    if (!on_) return;
    const std::string line = record.json().dump() + '\n';
    if (!to_file_) {
      std::fputs(line.c_str(), stdout);
      std::fflush(stdout);
      return;
    }
    file_ << line << std::flush;
    if (!file_) throw CommandError("--json: the file could not be written (disk full?)");
  }

 private:
  bool on_ = false, to_file_ = false;
  std::ofstream file_;
};

void run_bench(const BenchOptions& options, CommandContext& context) {
  const std::vector<bench::Case> cases = asked_cases(options);
  bench::DriverOptions driver_options;
  driver_options.min_time = options.min_time;
  driver_options.suite = is_problem(options.what) ? "given" : options.what;
  driver_options.kernel = options.kernel;
  driver_options.baseline = options.baseline == "openblas";
  if (options.threads > 0) driver_options.threads = options.threads;

  JsonLines json(options);
  // What a person reads makes way for what a program reads.
  std::FILE* text = json.on_stdout() ? stderr : stdout;
  if (driver_options.baseline && !bench::openblas_built())
    fmt::print(stderr, "attend bench: built without OpenBLAS (libopenblas-dev), its bars are not judged\n");

  std::optional<bench::Peers> peers;
  if (options.peers) peers = take(bench::Peers::start());

  bench::Driver driver(driver_options);
  const bench::Report report(cases);
  bench::Tally tally;
  std::vector<int64_t> weights;
  int64_t total = 0;
  for (const bench::Case& line : cases) {
    weights.push_back(1 + std::llround(1e3 * driver.expected_seconds(bench::with_options(line, driver_options))));
    total += weights.back();
  }
  const bool table = !json.on_stdout();
  if (table) {
    fmt::print("{} on {}, commit {}\n", driver_options.suite, driver.provenance().machine, driver.provenance().commit);
    if (peers)
      for (const std::string& name : peers->names()) fmt::print("peer {}\n", name);
    fmt::print("{}\n", report.header());
    std::fflush(stdout);
  }
  {
    Progress progress("bench", total, options.quiet);
    const auto emit = [&](const bench::Record& record) {
      tally.add(record);
      json.write(record);
      if (!table) return;
      progress.clear();
      fmt::print("{}\n", report.row(record));
      std::fflush(stdout);
    };
    for (size_t i = 0; i < cases.size(); ++i) {
      progress.advance(0, bench::short_problem(cases[i].subject.problem, 60));
      for (const bench::Record& record : driver.measure(cases[i])) {
        emit(record);
        const bool first = record.kernel != "openblas_unfused";
        if (peers && first && record.state == bench::Record::State::timed)
          for (const bench::Record& other : take(peers->measure(record, options.min_time))) emit(other);
      }
      progress.advance(weights[i]);
    }
  }
  fmt::print(text, "{}", tally.summary());
  // A missed bar is a finding; a wrong answer is a failure.
  if (tally.failed() > 0) context.exit_code = kExitFailure;
}

}  // namespace

void add_bench_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = new_command(app, "bench", "Check, then time: a suite of problems, or one",
                                  {"attend bench \"attention_fwd b=1 hq=8 hk=8 sq=256 sk=256 d=64\" --min-time 0.05",
                                   "attend bench quick --filter small --min-time 0.05 --json", "attend bench --list"});
  CLI::Option* what =
      command->add_option("what", options->what, "Suite (see --list) or one Problem line")->capture_default_str();
  CLI::Option* json = command
                          ->add_option("--json", options->json_file,
                                       "Append one JSON object per case to this file; without a file, to stdout")
                          ->expected(0, 1);
  command->add_option("--filter", options->filter, "Only cases whose group or Problem contains this text");
  command->add_option("--min-time", options->min_time, "Seconds that each contender computes, at least")
      ->check(CLI::Range(1e-3, 600.0))
      ->capture_default_str();
  command->add_option("--baseline", options->baseline, "Time it beside the cases that name it")
      ->check(CLI::IsMember({"openblas", "none"}))
      ->capture_default_str();
  command->add_flag("--peers", options->peers, "Also time the other libraries that bench/peers.py finds");
  command->add_flag("--list", options->list, "List the suites, or the cases and bars of one");
  add_threads_option(*command, *options);
  add_kernel_option(*command, *options);
  add_quiet_option(*command, *options);
  command->callback([options, what, json, &context] {
    options->json_asked = json->count() > 0;
    if (options->list)
      list_suites(*options, what->count() > 0);
    else
      run_bench(*options, context);
  });
}

}  // namespace attend::cli
