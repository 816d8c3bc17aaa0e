// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "sim/hazard/checker.hpp"
#include "sim/machine/async.hpp"
#include "sim/machine/cta.hpp"
#include "sim/machine/step.hpp"
#include "sim/memory/access.hpp"
#include "sim/memory/global.hpp"
#include "sim/ptxsim.hpp"
#include "sim/trace/trace.hpp"

namespace ptxsim {

/// Ends a launch; thrown by Step::fault, caught by Machine::run.
struct LaunchFault {
  Hazard hazard;
};

/// One grid that runs.
class Launch {
 public:
  std::shared_ptr<const Program> program;
  const Function* entry = nullptr;
  LaunchOptions options;
  std::vector<std::byte> params;
  uint32_t next_cluster = 0, clusters = 0;  ///< to be started; in all
  uint32_t running_clusters = 0;
  bool dependents_may_start = false;  ///< all CTAs have issued launch_dependents or exited
  uint32_t ctas_released_dependents = 0;
  Launch* prerequisite = nullptr;  ///< of a programmatic launch, until it has ended
  bool ended = false;
  std::vector<uint64_t> symbol_values;  ///< of the module's variables on this device
};

/// Runs one launch, or two that programmatic dependent launch couples.
class Machine {
 public:
  Machine(DeviceMemory& memory, const Schedule& schedule, const Checks& checks, const TraceOptions& trace);
  ~Machine();

  void run(Launch& launch);

  // For handlers.
  DeviceMemory& memory() { return memory_; }
  Checker& checker() { return checker_; }
  AsyncEngine& async() { return async_; }
  Recorder& recorder() { return recorder_; }
  const Schedule& schedule() const { return schedule_; }
  RunCounts& counts() { return counts_; }
  uint64_t now() const { return now_; }
  /// Something changed that a sleeping split may wait for: an mbarrier's phase, a barrier, a group.
  void event() { ++events_; }
  uint64_t events() const { return events_; }
  std::mt19937_64& random() { return random_; }
  /// True with probability p, from the schedule's seed.
  bool chance(double p) { return p > 0 && std::uniform_real_distribution<double>()(random_) < p; }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  DeviceMemory& memory_;
  Schedule schedule_;
  Checker checker_;
  AsyncEngine async_;
  Recorder recorder_;
  RunCounts counts_;
  std::mt19937_64 random_;
  uint64_t now_ = 0, events_ = 1;
};

}  // namespace ptxsim
