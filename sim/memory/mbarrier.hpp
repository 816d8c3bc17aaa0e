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
  ActorId actor = 0;                              ///< its ticks are inits and phases, over all lives of the object
  Tick init_tick = 0;                             ///< of its init
  Tick tick = 1;                                  ///< of the phase being gathered
  bool published = false;                         ///< a fence handed its init to the asynchronous proxy (H24)
  Clocks gathering;                               ///< joined by releases of this phase
  Clocks completed;                               ///< of the last complete phase: what a waiter acquires
  /// The same for arrivals of other CTAs with .cluster scope, which only a waiter with that scope acquires.
  Clocks gathering_cluster, completed_cluster;
  Site initialised_at;
  ActorId init_warp = 0;  ///< who initialised it, and when in its own time
  Tick init_warp_tick = 0;
  uint32_t init_lanes = 0;

  /// A wait whose last look failed, so that the next one notices what it missed (H15).
  struct Waiter {
    ActorId warp = 0;
    uint32_t lanes = 0;
    uint64_t phase = 0;  ///< that it waits for
  };
  std::vector<Waiter> waiters;
  /// The last use by each warp of another CTA, which the end of this CTA must be ordered after (H19).
  struct RemoteUse {
    Event event;
    Tick tick = 0;  ///< of the phase it came in
    Site site;
  };
  std::vector<RemoteUse> remote_uses;
  Tick observed = 0;    ///< the last phase that a wait has seen complete
  Tick last_bytes = 0;  ///< the last phase in which bytes landed or were expected (H06)
  Site last_bytes_at;   ///< who expected or sent them
};

}  // namespace ptxsim
