// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "command.hpp"
#include "device.hpp"
#include "operation.hpp"

namespace attend::cli {
namespace {

struct ExplainOptions {
  CommonOptions common;
  std::string problem;
  int64_t level_bytes = 0;  ///< 0: the L2 cache of the machine
  bool backward = false;
};

/// Three digits and a prefix: 1.15 G, 402 k.
std::string short_number(double value) {
  for (const char* prefix : {"", "k", "M", "G", "T"}) {
    if (value < 1000)
      return fmt::format("{:.{}f} {}", value, *prefix == '\0' || value >= 100 ? 0 : value >= 10 ? 1 : 2, prefix);
    value /= 1000;
  }
  return fmt::format("{:.0f} P", value);
}

/// A row of the table of memory traffic.
struct TrafficRow {
  std::string schedule;
  Result<MemoryTraffic> moved;
};

std::vector<TrafficRow> traffic_rows(const AttentionFwdPlan& plan, int64_t level_bytes) {
  const AttentionFwd& problem = plan.problem();
  return {{"naive", problem.memory_traffic(Schedule::naive, level_bytes)},
          {"flash_attention_1", problem.memory_traffic(Schedule::flash_attention_1, level_bytes)},
          {plan.kernel(), plan.memory_traffic(level_bytes)}};
}

nlohmann::ordered_json traffic_json(const AttentionFwdPlan& plan, int64_t level_bytes) {
  nlohmann::ordered_json out{{"level_bytes", level_bytes}};
  for (const TrafficRow& row : traffic_rows(plan, level_bytes)) {
    nlohmann::ordered_json one{{"schedule", row.schedule}};
    if (row.moved.ok()) {
      one["read"] = row.moved->read;
      one["written"] = row.moved->written;
    } else {
      one["reason"] = row.moved.status().message();
    }
    out["schedules"].push_back(one);
  }
  return out;
}

void print_traffic(const AttentionFwdPlan& plan, int64_t level_bytes) {
  const double least = plan.problem().cost().bytes;
  fmt::print("traffic: bytes between main memory and a level of {} bytes (docs/memory-traffic.md)\n", level_bytes);
  fmt::print("  {:<36}{:>10}{:>12}{:>10}\n", "schedule", "read", "written", "of least");
  for (const TrafficRow& row : traffic_rows(plan, level_bytes)) {
    if (!row.moved.ok()) {
      fmt::print("  {:<36}{}\n", row.schedule, row.moved.status().message());
      continue;
    }
    const auto read = static_cast<double>(row.moved->read), written = static_cast<double>(row.moved->written);
    fmt::print("  {:<36}{:>10}{:>12}{:>10}\n", row.schedule, short_number(read) + "B", short_number(written) + "B",
               least > 0 ? fmt::format("{:.2f}", (read + written) / least) : "");
  }
}

/// The level that the table is for. On a device there is none unless it is given.
std::optional<int64_t> level_of(const ExplainOptions& options) {
  if (options.level_bytes > 0) return options.level_bytes;
  const int64_t l2_bytes = options.common.device == "cpu" ? machine_info().l2_bytes : 0;
  return l2_bytes > 0 ? std::optional(l2_bytes) : std::nullopt;
}

const AttentionFwd& forward_of(const AttentionFwd& problem) { return problem; }
const AttentionFwd& forward_of(const AttentionBwd& problem) { return problem.forward; }

/// Traffic is counted for the forward pass alone.
template <class Problem>
constexpr bool kCountsTraffic = std::is_same_v<Problem, AttentionFwd>;

template <class Problem>
void explain(const Problem& problem, const ExplainOptions& options) {
  PlanOptions plan_options = options.common.plan_options();
  plan_options.device = device_named(options.common.device);
  const auto chosen = take(plan(problem, plan_options));
  const Cost cost = problem.cost();
  if (!kCountsTraffic<Problem> && options.level_bytes > 0)
    throw CommandError("--level-bytes with a backward pass: memory traffic is counted for the forward pass alone",
                       kExitUsage);
  const std::optional<int64_t> level = level_of(options);
  if (options.common.json) {
    nlohmann::ordered_json out{{"problem", problem.text()},
                               {"device", options.common.device},
                               {"kernel", chosen.kernel()},
                               {"isa", chosen.isa()},
                               {"arithmetic", arithmetic_name(chosen.arithmetic())},
                               {"threads", chosen.threads()},
                               {"tile_rows", chosen.tile_rows()},
                               {"tile_keys", chosen.tile_keys()},
                               {"workspace_bytes", chosen.workspace_bytes()},
                               {"visible_pairs", cost.visible_pairs},
                               {"flops", cost.flops},
                               {"bytes", cost.bytes}};
    for (const Candidate& candidate : chosen.candidates())
      out["candidates"].push_back(
          {{"kernel", candidate.kernel}, {"accepted", candidate.accepted}, {"reason", candidate.reason}});
    if constexpr (kCountsTraffic<Problem>) {
      if (level) out["traffic"] = traffic_json(chosen, *level);
    }
    fmt::print("{}\n", out.dump());
    return;
  }
  std::string text = chosen.explain();
  if (!text.ends_with('\n')) text += '\n';
  fmt::print("{}", text);
  const AttentionFwd& forward = forward_of(problem);
  const double all = static_cast<double>(forward.b) * static_cast<double>(forward.hq) *
                     static_cast<double>(forward.sq) * static_cast<double>(forward.sk);
  fmt::print("cost: {}pairs visible", short_number(static_cast<double>(cost.visible_pairs)));
  if (all > 0 && forward.cu_q.empty() && forward.cu_k.empty())
    fmt::print(" ({:.1f} % of all)", 100 * static_cast<double>(cost.visible_pairs) / all);
  fmt::print(", {}FLOP, {}B to move at least", short_number(cost.flops), short_number(cost.bytes));
  if (cost.bytes > 0) fmt::print(", {:.1f} FLOP per byte", cost.flops / cost.bytes);
  fmt::print("\n");
  if constexpr (kCountsTraffic<Problem>) {
    if (level) {
      print_traffic(chosen, *level);
    } else {
      fmt::print("traffic: --level-bytes says for a memory level of which size\n");
    }
  }
}

}  // namespace

void add_explain_command(CLI::App& app, CommandContext&) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* command = new_command(
      app, "explain",
      "Say how a Problem would be run: kernel, tiles, workspace, memory traffic, and why the faster kernels refused",
      {"attend explain \"attention_fwd b=2 hq=32 hk=8 sq=1000 sk=1000 d=128 dtype=bf16 mask=causal&window:512:0\"",
       "attend explain \"attention_fwd hq=8 hk=8 sq=512 sk=512 d=64\" --threads 1 --json",
       "attend explain \"attention_fwd hq=8 hk=8 sq=4096 sk=4096 d=64 mask=causal\" --level-bytes 256K",
       "attend explain \"attention_bwd hq=8 hk=8 sq=512 sk=512 d=64 mask=causal\""});
  command->add_option("problem", options->problem, "A Problem in quotes (docs/problem-text.md)")->required();
  add_backward_option(*command, options->backward);
  command
      ->add_option("--level-bytes", options->level_bytes,
                   "Count memory traffic of a forward pass through a level of so many bytes (256K, 2M; default: the L2 "
                   "cache)")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::PositiveNumber);
  add_device_option(*command, options->common);
  add_threads_option(*command, options->common);
  add_kernel_option(*command, options->common);
  add_json_option(*command, options->common);
  command->callback([options] {
    if (is_backward(options->problem, options->backward)) {
      explain(parse_backward(options->problem), *options);
    } else {
      explain(take(AttentionFwd::parse(options->problem)), *options);
    }
  });
}

}  // namespace attend::cli
