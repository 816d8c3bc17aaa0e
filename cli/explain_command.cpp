// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "command.hpp"
#include "device.hpp"

namespace attend::cli {
namespace {

struct ExplainOptions {
  CommonOptions common;
  std::string problem;
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

void explain(const ExplainOptions& options) {
  const AttentionFwd problem = take(AttentionFwd::parse(options.problem));
  PlanOptions plan_options = options.common.plan_options();
  plan_options.device = device_named(options.common.device);
  const AttentionFwdPlan chosen = take(plan(problem, plan_options));
  const Cost cost = problem.cost();
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
    fmt::print("{}\n", out.dump());
    return;
  }
  std::string text = chosen.explain();
  if (!text.ends_with('\n')) text += '\n';
  fmt::print("{}", text);
  const double all = static_cast<double>(problem.b) * static_cast<double>(problem.hq) *
                     static_cast<double>(problem.sq) * static_cast<double>(problem.sk);
  fmt::print("cost: {}pairs visible", short_number(static_cast<double>(cost.visible_pairs)));
  if (all > 0 && problem.cu_q.empty() && problem.cu_k.empty())
    fmt::print(" ({:.1f} % of all)", 100 * static_cast<double>(cost.visible_pairs) / all);
  fmt::print(", {}FLOP, {}B to move at least", short_number(cost.flops), short_number(cost.bytes));
  if (cost.bytes > 0) fmt::print(", {:.1f} FLOP per byte", cost.flops / cost.bytes);
  fmt::print("\n");
}

}  // namespace

void add_explain_command(CLI::App& app, CommandContext&) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* command = new_command(
      app, "explain", "Say how a Problem would be run: kernel, tiles, workspace, and why the faster kernels refused",
      {"attend explain \"attention_fwd b=2 hq=32 hk=8 sq=1000 sk=1000 d=128 dtype=bf16 mask=causal&window:512:0\"",
       "attend explain \"attention_fwd hq=8 hk=8 sq=512 sk=512 d=64\" --threads 1 --json"});
  command->add_option("problem", options->problem, "A Problem in quotes (docs/problem-text.md)")->required();
  add_device_option(*command, options->common);
  add_threads_option(*command, options->common);
  add_kernel_option(*command, options->common);
  add_json_option(*command, options->common);
  command->callback([options] { explain(*options); });
}

}  // namespace attend::cli
