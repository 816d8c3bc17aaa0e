// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <vector>

#include "sim/hazard/clock.hpp"
#include "sim/hazard/report.hpp"

namespace ptxsim {

/// State of an mbarrier object (PTX ISA, "Parallel synchronization: mbarrier"). The 8 bytes in shared memory hold an
/// opaque copy.
struct Mbarrier {
  bool valid = false;
  uint64_t phase = 0;                             ///< complete phases; its low bit is the parity
  uint32_t expected = 0;                          ///< arrivals of a phase
  int64_t pending = 0;                            ///< arrivals still to come in this phase
  int64_t tx = 0;                                 ///< bytes expected less bytes landed
  uint64_t expected_bytes = 0, landed_bytes = 0;  ///< in this phase, for reports (H18)
  ActorId actor = 0;                              ///< whose ticks are phases + 1, over all lives of the object
  Tick tick = 1;                                  ///< of the phase being gathered
  bool published = false;                         ///< fence.mbarrier_init or a barrier stood behind init (H24)
  Clocks gathering;                               ///< joined by releases of this phase
  Clocks completed;                               ///< of the last complete phase: what a waiter acquires
  Site initialised_at;
};

}  // namespace ptxsim
