// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <vector>

#include "sim/machine/machine.hpp"

namespace ptxsim {

/// Runs the instructions of warps: guards, divergence, register checks, the turn of a warp's splits.
class Interpreter {
 public:
  explicit Interpreter(Machine& machine) : machine_(machine) {}

  /// Up to `quantum` instructions of the warp; stops earlier when all its splits wait or have ended. Returns how many
  /// ran.
  uint32_t run(Warp& warp, uint32_t quantum);
  /// Whether some split of the warp can run now; wakes those whose wait is over.
  bool can_run(Warp& warp);

 private:
  Split* choose(Warp& warp);
  bool wake(Warp& warp, Split& split);
  void merge(Warp& warp);
  void execute(Warp& warp, Split& split, const Inst& inst);
  void run_groups(Step& step);
  bool park(Warp& warp, Split& split, const Inst& inst, uint32_t mask);
  void check_registers(const Step& step, uint32_t mask, const Program& program);
  Outcome finish(Step& step, Outcome outcome);
  void stuck(Warp& warp);

  Machine& machine_;
};

}  // namespace ptxsim
