// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/status.hpp>
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "guarded_buffer.hpp"
#include "verify.hpp"

namespace attend::verify {

/// Runs with a workspace that ends at a guard page, so that it starts wherever its size says, and holds NaN in every
/// format.
template <class Plan, class Args>
Status run_guarded(const Plan& plan, const Args& args, bool guard_pages) {
  const GuardedBuffer workspace(plan.workspace_bytes(), guard_pages);
  std::memset(workspace.data() - workspace.lead(), 0xff, workspace.lead() + workspace.size());
  const Status status = plan.run(args, std::span(workspace.data(), workspace.size()));
  if (!status.ok()) return status;
  for (size_t i = 0; i < workspace.lead(); ++i) {
    if (workspace.data()[-1 - static_cast<int64_t>(i)] != std::byte{0xff})
      return {StatusCode::internal, "memory before the workspace was written"};
  }
  return {};
}

/// A check of one Problem on its way to a result.
class CheckLog {
 public:
  CheckLog(std::string text, uint64_t seed, std::string kernel, std::string words)
      : text_(std::move(text)), seed_(seed), words_(std::move(words)) {
    result_.kernel = std::move(kernel);
  }
  /// What planning said: whether there is anything to run.
  bool planned(const Status& status) {
    if (status.ok()) return true;
    if (status.code() != StatusCode::unsupported) return fail("plan: " + status.message());
    result_.refused = true;
    result_.message = status.message();
    return false;
  }
  void kernel(const std::string& chosen) { result_.kernel = chosen; }
  bool fail(const std::string& what) {
    std::string replay = "attend check \"" + text_ + "\" --seed " + std::to_string(seed_);
    if (!result_.kernel.empty()) replay += " --kernel " + result_.kernel;
    result_.message = text_ + "\n  kernel " + result_.kernel + ", seed " + std::to_string(seed_) + ": " + what +
                      "\n  replay: " + replay + words_;
    return false;
  }
  /// The end of a run: its status, what it failed to write, how it compares.
  template <class Compare>
  CheckResult finish(const Status& run, const std::string& fault, Compare&& compare) {
    if (!run.ok()) {
      fail("run: " + run.message());
    } else if (!fault.empty()) {
      fail(fault);
    } else {
      result_.comparison = compare();
      if (!result_.comparison.first_failure.empty()) {
        fail(result_.comparison.first_failure);
      } else if (!(result_.comparison.max_ratio <= 1)) {
        fail("error / bound is " + std::to_string(result_.comparison.max_ratio));
      } else {
        result_.passed = true;
      }
    }
    return std::move(result_);
  }
  CheckResult result() { return std::move(result_); }

 private:
  std::string text_;
  uint64_t seed_;
  std::string words_;
  CheckResult result_;
};

}  // namespace attend::verify
