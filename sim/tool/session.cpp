// SPDX-License-Identifier: Apache-2.0
#include "sim/tool/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "sim/hazard/report.hpp"

namespace ptxsim::tool {
namespace {

/// `X`, `X,Y` or `X,Y,Z`; x between the numbers is fine too.
Dim3 parse_dim(const std::string& option, const std::string& text) {
  Dim3 dim;
  uint32_t* const parts[] = {&dim.x, &dim.y, &dim.z};
  size_t at = 0, part = 0;
  while (part < 3) {
    size_t digits = 0;
    unsigned long value = 0;
    try {
      value = std::stoul(text.substr(at), &digits);
    } catch (const std::exception&) {
      break;
    }
    if (value > UINT32_MAX || text[at] == '-') break;
    *parts[part++] = static_cast<uint32_t>(value);
    at += digits;
    if (at == text.size()) return dim;
    if (text[at] != ',' && text[at] != 'x') break;
    ++at;
  }
  throw CommandError(fmt::format("--{} is '{}', expected X, X,Y or X,Y,Z", option, text), kExitUsage);
}

HazardId parse_hazard(const std::string& name) {
#define PTXSIM_HAZARD(id, hazard, text) \
  if (name == #id || name == #hazard) return HazardId::id;
#include "sim/hazard/hazards.def"
#undef PTXSIM_HAZARD
  throw CommandError(fmt::format("--suppress is '{}', expected an id as H09 or a name as shared_war_race", name),
                     kExitUsage);
}

}  // namespace

void add_launch_options(CLI::App& command, LaunchWords& words) {
  command.add_option("file", words.file, "PTX, as nvcc -ptx -arch=sm_90a writes it")->required();
  command.add_option("--entry", words.entry, "The kernel: its mangled name or a part of it that no other entry has");
  command.add_option("--grid", words.grid, "CTAs: X, X,Y or X,Y,Z")->capture_default_str();
  command.add_option("--block", words.block,
                     "Threads of a CTA: X, X,Y or X,Y,Z; default: the kernel's .reqntid, else .maxntid");
  command.add_option("--cluster", words.cluster, "CTAs of a cluster; default: .reqnctapercluster, else 1");
  command.add_option("--smem", words.smem, "Dynamic shared memory in bytes, as in 65536 or 64kb")
      ->transform(CLI::AsSizeValue(false));
  command.add_option("--args", words.args, kArgumentHelp)->expected(1, 1024)->delimiter(',')->type_name("WORD...");
  command.add_option("--buffers", words.buffers, "Memory that no parameter points to, for ptr: and tma: NAME=KIND:...")
      ->expected(1, 1024)
      ->delimiter(',')
      ->type_name("WORD...");
  command.add_option("--registers", words.registers, "Registers per thread at launch, for setmaxnreg; 0: the module's")
      ->check(whole_number(255));
  command.add_option("--budget", words.budget, "Warp instructions after which the launch counts as livelocked")
      ->check(whole_number())
      ->capture_default_str();
  command.add_option("--suppress", words.suppressed, "Hazards that are not reported, as H11,H24")->delimiter(',');
  command.add_flag("--json", words.json, "Print JSON instead of text");
  command.add_flag("--quiet", words.quiet, "No progress on stderr");
}

void add_schedule_options(CLI::App& command, ScheduleWords& words, bool one_schedule) {
  Schedule& schedule = words.schedule;
  command.option_defaults()->group("Schedule");
  if (one_schedule) {
    command.add_option("--seed", schedule.seed, "Chooses the schedule; the same seed gives the same run")
        ->check(whole_number())
        ->capture_default_str();
    command
        .add_option("--async", words.async,
                    "When copies and matrix products take effect: eager (at issue), random, latest (when nothing else "
                    "can run), split (in pieces)")
        ->check(CLI::IsMember({"eager", "random", "latest", "split"}))
        ->capture_default_str();
    command.add_option("--lanes", words.lanes, "Turns of diverged lanes: reconverge (lowest pc first) or any")
        ->check(CLI::IsMember({"reconverge", "any"}))
        ->capture_default_str();
    command.add_option("--quantum", schedule.quantum, "A warp runs 1 to this many instructions before another does")
        ->check(CLI::Range(1u, 1000000000u))
        ->capture_default_str();
    command.add_option("--spurious", schedule.spurious_failure, "Probability that a try_wait fails for no reason")
        ->check(CLI::Range(0.0, 0.99))
        ->capture_default_str();
    command.add_flag("--elect-highest", schedule.elect_highest, "elect.sync picks the highest lane");
  }
  command.add_flag("--perturb", schedule.perturb_approx, "Approximate functions err within their documented bound");
  command.add_flag("--interleave", schedule.interleave_clusters, "Several clusters run at once");
  command.add_option("--resident", schedule.resident_clusters, "How many clusters, with --interleave")
      ->check(CLI::Range(1u, 65536u))
      ->capture_default_str();
  command.add_option("--accumulate", words.accumulate, "Accumulation of matrix products: f32, f64 or trunc")
      ->check(CLI::IsMember({"f32", "f64", "trunc"}))
      ->capture_default_str();
  command.option_defaults()->group("Options");
}

Schedule schedule_of(const ScheduleWords& words) {
  Schedule schedule = words.schedule;
  for (const AsyncPolicy policy : kAsyncPolicies)
    if (words.async == async_policy_name(policy)) schedule.async = policy;
  schedule.lanes = words.lanes == "any" ? LanePolicy::any : LanePolicy::reconverge;
  schedule.accumulate = words.accumulate == "f64"     ? Accumulate::f64
                        : words.accumulate == "trunc" ? Accumulate::trunc
                                                      : Accumulate::f32;
  return schedule;
}

Module open_module(const std::string& file) {
  Result<Module> module = Module::from_file(file);
  if (!module.ok()) {
    const std::string message = module.status().message();
    const bool named = message.find(file) != std::string::npos;
    require(Status(module.status().code(), named ? message : file + ": " + message));
  }
  return std::move(module).value();
}

Session open_session(const LaunchWords& words) {
  Session session{open_module(words.file), {}, {}, {}, {}};
  const std::vector<EntryInfo>& entries = session.module.entries();
  if (entries.empty()) throw CommandError(words.file + " has no entry", kExitUsage);
  if (words.entry.empty() && entries.size() > 1) {
    std::string names;
    for (const EntryInfo& each : entries) names += "\n  " + each.name;
    throw CommandError(fmt::format("--entry is needed: {} has {} entries{}", words.file, entries.size(), names),
                       kExitUsage);
  }
  session.entry = words.entry.empty() ? entries[0] : take(session.module.entry(words.entry));
  LaunchOptions& options = session.options;
  options.grid = parse_dim("grid", words.grid);
  if (!words.block.empty()) {
    options.block = parse_dim("block", words.block);
  } else if (session.entry.required_block.x != 0) {
    options.block = session.entry.required_block;
  } else if (session.entry.max_block.x != 0) {
    options.block = session.entry.max_block;
  } else {
    throw CommandError("--block is needed: " + session.entry.name + " has neither .reqntid nor .maxntid", kExitUsage);
  }
  if (!words.cluster.empty())
    options.cluster = parse_dim("cluster", words.cluster);
  else if (session.entry.required_cluster.x != 0)
    options.cluster = session.entry.required_cluster;
  if (words.smem > UINT32_MAX) throw CommandError("--smem is more than 4 GiB", kExitUsage);
  options.dynamic_shared_bytes = static_cast<uint32_t>(words.smem);
  options.registers_per_thread = words.registers;
  options.instruction_budget = words.budget;
  for (const std::string& name : words.suppressed) session.checks.suppressed.push_back(parse_hazard(name));
  session.arguments = take(parse_arguments(words.buffers, words.args));
  return session;
}

SessionRun simulate(const Session& session, const Schedule& schedule, const TraceOptions& trace) {
  Device device(schedule, session.checks);
  device.set_trace(trace);
  const BoundArguments bound = take(bind(device, session.arguments, session.entry));
  SessionRun run;
  const auto begin = std::chrono::steady_clock::now();
  run.report = take(device.launch(session.module, session.entry.name, session.options, bound.block));
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  for (const Argument& argument : session.arguments) {
    if (argument.kind != Argument::Kind::buffer) continue;
    Output output{&argument, std::vector<std::byte>(argument.buffer_bytes)};
    require(device.download(output.content, bound.address.at(argument.name)));
    output.shown = argument.result || output.content != argument.content;
    run.outputs.push_back(std::move(output));
  }
  return run;
}

}  // namespace ptxsim::tool
