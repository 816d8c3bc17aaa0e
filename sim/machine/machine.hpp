// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "sim/hazard/checker.hpp"
#include "sim/isa/isa.hpp"
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

/// One grid.
class Launch {
 public:
  std::shared_ptr<const Program> program;
  const Function* entry = nullptr;
  LaunchOptions options;
  std::vector<std::byte> params;
  uint64_t uid = 0;                         ///< %gridid
  uint32_t first_cluster_uid = 1;           ///< of its first cluster; those of earlier grids are below
  std::vector<uint64_t> symbol_values;      ///< addresses of the module's variables on this device
  uint32_t next_cluster = 0, clusters = 0;  ///< to be started; in all
  uint32_t running_clusters = 0;
  /// Of a programmatic launch: the grid in front of it.
  Launch* prerequisite = nullptr;
  uint32_t ctas_released_dependents = 0;  ///< that have issued launch_dependents or ended
  bool ended = false;                     ///< all CTAs have ended; its results are visible

  uint64_t ctas() const { return options.grid.count(); }
  bool dependents_may_start() const { return ctas_released_dependents >= ctas(); }
};

/// Runs the launches of a chain.
class Machine {
 public:
  Machine(DeviceMemory& memory, const Schedule& schedule, const Checks& checks, const TraceOptions& trace,
          uint32_t first_cluster_uid = 1);
  ~Machine();

  /// Runs all of them to their end; false after a fault, a deadlock or an exhausted budget, which is the last hazard
  /// then.
  bool run(std::span<Launch> launches);

  // For handlers.
  DeviceMemory& memory() { return memory_; }
  Checker& checker() { return checker_; }
  AsyncEngine& async() { return async_; }
  Recorder& recorder() { return recorder_; }
  const Schedule& schedule() const { return schedule_; }
  RunCounts& counts() { return counts_; }
  uint64_t now() const { return now_; }
  /// One more warp instruction.
  void advance(const Inst& inst) {
    ++now_;
    ++class_counts_[static_cast<size_t>(inst.row->isa_class)];
  }
  /// Something changed that a sleeping split may wait for: an mbarrier's phase, a barrier, a group.
  void event() { ++events_; }
  /// Has sleeping splits look again although nothing changed.
  void poll() { ++events_; }
  uint64_t events() const { return events_; }
  std::mt19937_64& random() { return random_; }
  /// Unique on the device; grows with every cluster that starts. Events of earlier grids have smaller ones.
  uint32_t new_cluster_uid() { return next_cluster_uid_++; }
  /// True with probability p, from the schedule's seed.
  bool chance(double p) { return p > 0 && std::uniform_real_distribution<double>()(random_) < p; }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  DeviceMemory& memory_;
  Schedule schedule_;
  Checker checker_;
  Recorder recorder_;
  AsyncEngine async_;
  RunCounts counts_;
  std::array<uint64_t, kIsaClasses> class_counts_{};
  std::mt19937_64 random_;
  uint64_t now_ = 0, events_ = 1;
  uint32_t next_cluster_uid_;
};

}  // namespace ptxsim
