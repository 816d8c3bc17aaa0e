// SPDX-License-Identifier: Apache-2.0
// What the plans of all operations share: how a row is chosen, what explain() says, a run with memory of its own.
#pragma once
#include <cstdio>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "plan/kernel_row.hpp"

namespace attend {

template <class Problem, class Prepared>
struct Planned {
  using Row = plan_detail::BasicKernelRow<Problem, Prepared>;

  Problem problem;
  Row row;
  std::vector<Candidate> candidates;
  std::shared_ptr<const Prepared> prepared;
  Device device;

  /// Checks the Problem and the options; takes the last row that accepts. `rows`: slowest first. Errors: what check()
  /// says; invalid_argument for an option; unsupported with every row and its reason.
  static Result<Planned> make(const std::string& operation, const std::vector<Row>& rows, const Problem& problem,
                              const PlanOptions& options) {
    if (Status status = problem.check(); !status.ok()) return status;
    if (options.threads < 0)
      return invalid_argument(operation + ": options.threads is " + std::to_string(options.threads) +
                              ", expected 0 or more");
    if (options.executor != nullptr && (options.executor->parallel == nullptr || options.executor->workers < 1))
      return invalid_argument(operation + ": options.executor has no function or " +
                              std::to_string(options.executor->workers) +
                              " workers, expected a function and at least 1");
    if (options.guarantee < Guarantee::deterministic || options.guarantee > Guarantee::batch_invariant)
      return invalid_argument(operation + ": options.guarantee is " +
                              std::to_string(static_cast<int32_t>(options.guarantee)) +
                              ", expected deterministic (0), fast (1) or batch_invariant (2)");
    Planned planned;
    planned.problem = problem;
    planned.device = options.device;
    const Row* chosen = nullptr;
    bool known = options.kernel.empty();
    for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
      Candidate candidate{row->id, false, row->unavailable};
      known = known || row->id == options.kernel;
      if (candidate.reason.empty()) candidate.reason = row->refuse(*row, problem);
      if (candidate.reason.empty() && options.kernel.empty()) candidate.reason = row->slower;
      if (candidate.reason.empty() && !options.kernel.empty() && row->id != options.kernel)
        candidate.reason = "options.kernel asks for " + options.kernel;
      if (candidate.reason.empty() && chosen != nullptr) candidate.reason = "slower than " + chosen->id;
      if (candidate.reason.empty()) {
        chosen = &*row;
        candidate.accepted = true;
        candidate.reason = row->why;
      }
      planned.candidates.push_back(std::move(candidate));
    }
    if (chosen == nullptr) {
      std::string text = known
                             ? operation + ": no kernel takes " + problem.text()
                             : operation + ": options.kernel is " + options.kernel + ", expected one of the rows below";
      for (const Candidate& candidate : planned.candidates) text += "\n  " + candidate.kernel + ": " + candidate.reason;
      return Status(known ? StatusCode::unsupported : StatusCode::invalid_argument, std::move(text));
    }
    planned.row = *chosen;
    auto prepared = chosen->prepare(*chosen, problem, options);
    if (!prepared.ok()) return prepared.status();
    planned.prepared = std::move(prepared).value();
    return planned;
  }

  std::string explain() const {
    const Cost cost = problem.cost();
    char line[256];
    std::string text = "problem    " + problem.text() + "\n";
    std::snprintf(line, sizeof line, "cost       %lld visible pairs, %.4g flop, %.4g bytes\n",
                  static_cast<long long>(cost.visible_pairs), cost.flops, cost.bytes);
    text += line;
    text += "kernel     " + row.id;
    const int threads = prepared->threads();
    if (threads > 0) text += " on " + std::to_string(threads) + (threads == 1 ? " thread" : " threads");
    text += "\n";
    text += prepared->explain();
    for (const Candidate& candidate : candidates)
      text += (candidate.accepted ? "chosen     " : "refused    ") + candidate.kernel + ": " + candidate.reason + "\n";
    return text;
  }
};

/// One pointer of a run's arguments.
struct NeededPointer {
  const char* name;
  const void* pointer;
  bool needed;
};

/// That no pointer is missing and the workspace is large enough.
template <class Problem>
Status check_run(const char* operation, const Problem& problem, std::span<const NeededPointer> pointers,
                 size_t workspace, size_t workspace_needed) {
  for (const NeededPointer& each : pointers)
    if (each.needed && each.pointer == nullptr)
      return invalid_argument(std::string(operation) + ": args." + each.name + " is null, expected a pointer, as " +
                              problem.text() + " asks for it");
  if (workspace < workspace_needed)
    return invalid_argument(std::string(operation) + ": workspace is " + std::to_string(workspace) +
                            " bytes, expected at least " + std::to_string(workspace_needed));
  return {};
}

/// A run on the CPU with a workspace that lives as long as it.
template <class Plan, class Args>
Status run_with_own_workspace(const char* operation, const Plan& plan, const Args& args) {
  const size_t bytes = plan.workspace_bytes();
  const std::unique_ptr<std::byte[]> memory(new (std::nothrow) std::byte[bytes]);
  if (memory == nullptr)
    return {StatusCode::out_of_memory,
            std::string(operation) + ": workspace of " + std::to_string(bytes) + " bytes could not be allocated"};
  return plan.run(args, {memory.get(), bytes});
}

}  // namespace attend
