// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/io/file.hpp"
#include "command.hpp"
#include "device.hpp"
#include "sim/isa/program.hpp"
#include "sim/launch/simulated_device.hpp"
#include "sim/trace/timeline.hpp"
#include "verify/device_run.hpp"

namespace attend::cli {
namespace {

struct TraceWords {
  CommonOptions common;
  std::string problem, output;
  bool count = false, apart = false;
  ptxsim::Schedule schedule;
  std::string async = "random";
  uint32_t cta = 0;
  int multiprocessors = 1;
  ptxsim::TimelinePicture view;
};

/// What is kept of the launch that does the Problem's work: the one of most instructions.
struct Recorded {
  std::string kernel;
  ptxsim::LaunchOptions options;
  ptxsim::RunReport report;
  std::map<std::string, uint64_t> opcodes;  ///< warp instructions
};

/// `@%p3 mma.sync... %f1` is `mma.sync...`.
std::string opcode_of(const std::string& line) {
  size_t begin = line.find_first_not_of(" \t{");
  if (begin != std::string::npos && line[begin] == '@') begin = line.find_first_not_of(" \t", line.find(' ', begin));
  if (begin == std::string::npos) return {};
  return line.substr(begin, line.find_first_of(" \t;", begin) - begin);
}

Recorded recorded(const ptxsim::SimulatedLaunch& launch) {
  Recorded out{launch.kernel, launch.options, launch.report, {}};
  const std::vector<std::string>& lines = launch.module.program().lines;
  if (launch.report.trace)
    for (const auto& [number, line] : launch.report.trace->lines)
      if (number >= 1 && static_cast<size_t>(number) <= lines.size())
        out.opcodes[opcode_of(lines[static_cast<size_t>(number) - 1])] += line.runs;
  return out;
}

std::vector<std::pair<std::string, uint64_t>> most_first(const std::map<std::string, uint64_t>& opcodes) {
  std::vector<std::pair<std::string, uint64_t>> sorted(opcodes.begin(), opcodes.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return sorted;
}

void print_counts(const Recorded& run) {
  const ptxsim::RunCounts& counts = run.report.counts;
  const auto row = [](const std::string& what, uint64_t count) { fmt::print("  {:<40}{:>14}\n", what, count); };
  row("warp instructions", counts.warp_instructions);
  for (const auto& [name, count] : counts.by_class)
    if (count > 0) row("  " + name, count);
  row("multiply-adds of matrix products", counts.multiply_adds);
  row("bytes copied asynchronously", counts.async_copied_bytes);
  row("bytes of global memory read", counts.global_read_bytes);
  row("bytes of global memory written", counts.global_written_bytes);
  row("accesses of shared memory", counts.shared_accesses);
  row("  passes over its banks", counts.shared_wavefronts);
  fmt::print("warp instructions by opcode\n");
  for (const auto& [opcode, count] : most_first(run.opcodes)) row(opcode, count);
}

nlohmann::ordered_json json_of(const Recorded& run, const std::string& kernel) {
  const ptxsim::RunCounts& counts = run.report.counts;
  nlohmann::ordered_json out{{"kernel", kernel},
                             {"image", run.kernel},
                             {"blocks", run.options.grid.count()},
                             {"threads", run.options.block.count()},
                             {"shared_bytes", run.options.dynamic_shared_bytes},
                             {"warp_instructions", counts.warp_instructions},
                             {"multiply_adds", counts.multiply_adds},
                             {"async_copied_bytes", counts.async_copied_bytes},
                             {"global_read_bytes", counts.global_read_bytes},
                             {"global_written_bytes", counts.global_written_bytes},
                             {"shared_accesses", counts.shared_accesses},
                             {"shared_wavefronts", counts.shared_wavefronts}};
  for (const auto& [name, count] : counts.by_class) out["classes"][name] = count;
  for (const auto& [opcode, count] : most_first(run.opcodes)) out["opcodes"][opcode] = count;
  return out;
}

void trace(TraceWords words) {
  const bool svg = words.output.ends_with(".svg"), json = words.output.ends_with(".json");
  if (!words.output.empty() && !svg && !json)
    throw CommandError("--output is " + words.output + ", expected a name that ends in .svg or .json", kExitUsage);
  if (words.output.empty() && !words.count)
    throw CommandError("say what for: --output trace.svg, --count, or both", kExitUsage);
  if (words.common.device != "sim")
    throw CommandError("--device is " + words.common.device +
                           ", expected sim: only the simulator sees what each warp does; a device's profiler is not "
                           "part of this tool",
                       kExitUsage);
  if (words.view.first >= words.view.last)
    throw CommandError(fmt::format("--from is {} and --to is {}, expected less", words.view.first, words.view.last),
                       kExitUsage);
  for (const ptxsim::AsyncPolicy policy : ptxsim::kAsyncPolicies)
    if (words.async == ptxsim::async_policy_name(policy)) words.schedule.async = policy;

  ptxsim::TraceOptions what;
  what.timeline = !words.output.empty();
  what.coverage = words.count;
  what.first_cta = what.last_cta = words.cta;
  std::optional<Recorded> run;
  PlanOptions options = words.common.plan_options();
  options.device =
      ptxsim::traced_device(words.schedule, what, words.multiprocessors, [&](const ptxsim::SimulatedLaunch& launch) {
        const uint64_t steps = launch.report.counts.warp_instructions;
        if (!run || steps > run->report.counts.warp_instructions) run = recorded(launch);
      });
  const AttentionFwd problem = take(AttentionFwd::parse(words.problem));
  const AttentionFwdPlan chosen = take(plan(problem, options));
  require(verify::run_on_device(chosen, options.device, verify::Inputs::make(problem)));
  if (!run) throw CommandError("the Problem has nothing to compute: no kernel was launched", kExitUsage);
  if (words.cta >= run->options.grid.count())
    throw CommandError(
        fmt::format("--block is {}, the launch has {}, counted from 0", words.cta, run->options.grid.count()),
        kExitUsage);

  const std::string title = chosen.kernel() + "   " + problem.text() + "   " + words.schedule.text();
  words.view.one_row_each = !words.apart;
  words.view.title = chosen.kernel() + "   " + problem.text();
  const uint64_t steps = run->report.counts.warp_instructions;
  if (words.view.first >= steps)
    throw CommandError(fmt::format("--from is {}, the run has {} steps", words.view.first, steps), kExitUsage);
  if (svg)
    require(
        io::write_file_atomically(words.output, ptxsim::svg(ptxsim::draw_timeline(*run->report.trace, words.view))));
  if (json) require(io::write_file_atomically(words.output, ptxsim::chrome_trace(*run->report.trace, run->kernel)));
  if (words.common.json) {
    nlohmann::ordered_json out = json_of(*run, chosen.kernel());
    out["schedule"] = words.schedule.text();
    fmt::print("{}\n", out.dump());
    return;
  }
  fmt::print("{}\n{} blocks of {} threads, {} bytes of shared memory, {} scheduler steps\n", title,
             run->options.grid.count(), run->options.block.count(), run->options.dynamic_shared_bytes, steps);
  if (words.count) print_counts(*run);
  if (!words.output.empty())
    fmt::print("wrote {}{}\n", words.output, json ? " (open it in ui.perfetto.dev or chrome://tracing)" : "");
}

}  // namespace

void add_trace_command(CLI::App& app, CommandContext&) {
  auto words = std::make_shared<TraceWords>();
  CLI::App* command = new_command(
      app, "trace", "What a kernel's warps do and wait for, over the steps of the simulator: a picture, or counts",
      {"attend trace \"attention_fwd sq=64 sk=128 d=64 dtype=bf16\" --device sim --output trace.svg",
       "attend trace \"attention_fwd sq=64 sk=64 d=64 dtype=bf16\" --device sim --kernel attention_fwd.sm90.bf16.d64 "
       "--count --json"});
  command->add_option("problem", words->problem, "A Problem in quotes (docs/problem-text.md)")->required();
  add_device_option(*command, words->common);
  add_kernel_option(*command, words->common);
  command->add_option("--output", words->output, "A picture, .svg, or trace events for ui.perfetto.dev, .json");
  command->add_flag("--count", words->count, "Instructions by class and by opcode, bytes, passes over the banks");
  add_json_option(*command, words->common);
  command->add_option("--block", words->cta, "The block of threads that is shown")->capture_default_str();
  command->add_option("--multiprocessors", words->multiprocessors, "Of the simulated device")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_option("--seed", words->schedule.seed, "Chooses the schedule; the same seed gives the same picture")
      ->capture_default_str();
  command
      ->add_option("--async", words->async,
                   "When copies and products take effect: eager, random, latest, or split (in pieces)")
      ->check(CLI::IsMember({"eager", "random", "latest", "split"}))
      ->capture_default_str();
  command
      ->add_option("--quantum", words->schedule.quantum, "A warp runs 1 to this many instructions before another does")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command->add_option("--from", words->view.first, "First scheduler step of the picture")->capture_default_str();
  command->add_option("--to", words->view.last, "Last scheduler step of the picture; default: the end");
  command->add_flag("--apart", words->apart, "Rows of their own for copies and products that are in flight together");
  command->add_option("--width", words->view.width, "Of the picture, in pixels")
      ->check(CLI::Range(600, 20000))
      ->capture_default_str();
  command->callback([words] { trace(*words); });
}

}  // namespace attend::cli
