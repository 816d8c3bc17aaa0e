// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>

#include "bench/record.hpp"
#include "cli/progress.hpp"
#include "sim/tool/bench_kernels.hpp"
#include "sim/tool/print.hpp"
#include "sim/tool/session.hpp"

namespace ptxsim::tool {
namespace {

struct BenchOptions {
  std::string filter, json_file;
  bool json = false, quiet = false;
  double min_time = 0.5;
};

/// A launch that is timed, and the figure that it gives.
struct Case {
  std::string name, what, unit;
  std::function<Session()> open;
  double (*figure)(const RunCounts& counts, double seconds);
};

Session made_session(const std::string& text, uint32_t grid, uint32_t block) {
  Session session{take(Module::parse(text, "bench.ptx")), {}, {}, {}, {}};
  session.entry = session.module.entries().at(0);
  session.options.grid.x = grid;
  session.options.block.x = block;
  session.arguments = take(parse_arguments({}, {fmt::format("scratch:u32:{}", grid * block)}));
  return session;
}

double million_warp_instructions(const RunCounts& counts, double seconds) {
  return static_cast<double>(counts.warp_instructions) / seconds * 1e-6;
}
double giga_multiply_adds(const RunCounts& counts, double seconds) {
  return static_cast<double>(counts.multiply_adds) / seconds * 1e-9;
}

std::vector<Case> cases() {
  return {
      {"scalar", "integer and f32 instructions, 8 warps", "M warp instructions/s",
       [] { return made_session(scalar_kernel(20000), 1, 256); }, million_warp_instructions},
      {"scalar-unchecked", "the same without register checks", "M warp instructions/s",
       [] {
         Session session = made_session(scalar_kernel(20000), 1, 256);
         session.checks.registers = false;
         return session;
       },
       million_warp_instructions},
      {"wgmma", "m64n128k16 bf16 from shared memory, one warpgroup", "G multiply-adds/s",
       [] { return made_session(matrix_kernel(2000), 1, 128); }, giga_multiply_adds},
  };
}

struct Measured {
  double figure, median_s, p10_s, p90_s;
  size_t runs;
  uint64_t warp_instructions;
};

Measured measure(const Case& each, double min_time) {
  const Session session = each.open();
  std::vector<double> seconds;
  double sum = 0;
  SessionRun run;
  while (sum < min_time || seconds.size() < 3) {
    run = simulate(session, {});
    if (!run.report.clean()) throw CommandError("case " + each.name + " is not clean:\n" + run.report.text());
    seconds.push_back(run.seconds);
    sum += run.seconds;
  }
  std::sort(seconds.begin(), seconds.end());
  const auto quantile = [&](double q) {
    return seconds[static_cast<size_t>(q * static_cast<double>(seconds.size() - 1))];
  };
  return {each.figure(run.report.counts, quantile(0.5)),
          quantile(0.5),
          quantile(0.1),
          quantile(0.9),
          seconds.size(),
          run.report.counts.warp_instructions};
}

double peak_memory_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

void run(const BenchOptions& options) {
  std::ofstream file;
  if (!options.json_file.empty()) {
    file.open(options.json_file, std::ios::app);
    if (!file)
      throw CommandError(fmt::format("--json: cannot write '{}': {}", options.json_file, std::strerror(errno)));
  }
  const attend::bench::Provenance provenance = attend::bench::Provenance::of_this_process();
  std::vector<Case> chosen = cases();
  std::erase_if(chosen, [&](const Case& each) { return each.name.find(options.filter) == std::string::npos; });
  if (chosen.empty()) throw CommandError("--filter is '" + options.filter + "', which no case contains", kExitUsage);
  const bool table = !options.json || file.is_open();
  if (table)
    fmt::print("{}, commit {}\n{:<18}{:>10} {:<24}{:>12}{:>7}{:>12}\n", provenance.machine, provenance.commit, "case",
               "", "", "median", "runs", "peak memory");
  attend::cli::Progress progress("bench", static_cast<int64_t>(chosen.size()), options.quiet || !table);
  for (const Case& each : chosen) {
    const Measured found = measure(each, options.min_time);
    const double memory = peak_memory_mib();
    progress.advance(1, each.name);
    progress.clear();
    const Json line{{"suite", "ptxsim"},
                    {"case", each.name},
                    {"what", each.what},
                    {"value", found.figure},
                    {"unit", each.unit},
                    {"median_s", found.median_s},
                    {"p10_s", found.p10_s},
                    {"p90_s", found.p90_s},
                    {"runs", found.runs},
                    {"warp_instructions", found.warp_instructions},
                    {"peak_memory_mib", memory},
                    {"machine", provenance.machine},
                    {"date", attend::bench::utc_now()},
                    {"commit", provenance.commit}};
    if (file.is_open())
      file << line.dump() << '\n' << std::flush;
    else if (options.json)
      print_json(line);
    if (table)
      fmt::print("{:<18}{:>10.2f} {:<24}{:>9.2f} ms{:>7}{:>8.0f} MiB\n", each.name, found.figure, each.unit,
                 1e3 * found.median_s, found.runs, memory);
    std::fflush(stdout);
  }
  if (file.is_open() && !file) throw CommandError("--json: the file could not be written (disk full?)");
}

}  // namespace

void add_bench_command(CLI::App& app, CommandContext&) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command =
      new_command(app, "bench", "How fast the simulator is: instructions and multiply-adds per second",
                  {"ptxsim bench --min-time 0.01 --json", "ptxsim bench --filter scalar --min-time 0.01"});
  command->add_option("--filter", options->filter, "Only cases whose name contains this text");
  command->add_option("--min-time", options->min_time, "Seconds that each case runs, at least")
      ->check(CLI::Range(1e-3, 600.0))
      ->capture_default_str();
  CLI::Option* json = command
                          ->add_option("--json", options->json_file,
                                       "Append one JSON object per case to this file; without a file, to stdout")
                          ->expected(0, 1);
  command->add_flag("--quiet", options->quiet, "No progress on stderr");
  command->callback([options, json] {
    options->json = json->count() > 0;
    run(*options);
  });
}

}  // namespace ptxsim::tool
