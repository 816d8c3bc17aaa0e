// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "sim/hazard/clock.hpp"
#include "sim/machine/cta.hpp"
#include "sim/machine/step.hpp"
#include "sim/machine/warp.hpp"

// Groups of asynchronous copies: commit_group and wait_group of cp.async and of cp.async.bulk. Each thread has its own.
namespace ptxsim {

/// Copies that one instruction issued, those of `lanes`.
struct CopyFlight {
  Tick tick = 0;
  uint32_t lanes = 0;
  bool read = false;  ///< the sources
  bool done = false;
};

enum class CopyKind : uint8_t { bulk, cp_async };

/// What the lanes of a warp have issued of one kind, in the order of the ticks of two streams: reads of sources, and
/// writes. A wait makes both, or with .read the first, known to the warp.
class CopyGroups {
 public:
  /// Of the warp; made when it is asked for first.
  static CopyGroups& of(Warp& warp, CopyKind kind);
  /// Null when the warp has issued nothing of the kind.
  static CopyGroups* find(const Warp& warp, CopyKind kind);

  std::shared_ptr<CopyFlight> issue(const Step& step, uint32_t lanes);
  Event read_event(const CopyFlight& flight) const { return {cluster_, reads_, flight.tick, flight.lanes}; }
  Event write_event(const CopyFlight& flight) const { return {cluster_, writes_, flight.tick, flight.lanes}; }

  void commit(uint32_t lanes);
  /// Whether all but the `newest` groups of the lanes are done, or have read their sources.
  bool ready(uint32_t lanes, uint64_t newest, bool read);
  /// The wait is over.
  void pass(Warp& warp, uint32_t lanes, uint64_t newest, bool read);

  /// Everything that a lane has issued so far, committed or not: its last tick.
  Tick issued(uint32_t lane) const { return lanes_[lane].issued; }
  bool done(uint32_t lanes, Tick up_to);
  /// The lanes leave what they have issued to an mbarrier.
  void hand_over(uint32_t lanes);
  /// A copy out of shared memory of this CTA is known to be done by who knows `event` of another CTA's mbarrier.
  void lend(const Event& event, const Inst& inst, uint32_t lane) { lent_.push_back({event, &inst, lane}); }
  /// The last instruction of a lane whose reads no wait covers; null when there is none.
  const Inst* unread(uint32_t lane) const;
  /// The same for its writes.
  const Inst* unfinished(uint32_t lane) const;
  struct Lent {
    Event event;
    const Inst* inst = nullptr;
    uint32_t lane = 0;
  };
  const std::vector<Lent>& lent() const { return lent_; }

 private:
  CopyGroups(Cluster& cluster, CopyKind kind);
  struct Lane {
    std::deque<Tick> groups;  ///< committed: the last tick of each
    Tick issued = 0;
    const Inst* last = nullptr;
    Tick read_seen = 0, done_seen = 0;  ///< by a wait of the lane
    Tick handed = 0;                    ///< to an mbarrier
  };
  Tick limit(const Lane& lane, uint64_t newest) const;

  uint32_t cluster_;
  ActorId reads_, writes_;
  Tick tick_ = 0;
  std::deque<std::shared_ptr<CopyFlight>> flights_;
  std::array<Lane, kLanes> lanes_;
  std::vector<Lent> lent_;
};

/// Waits until all but the `newest` groups of the running lanes are done.
Outcome wait_copies(Step& step, CopyKind kind, uint64_t newest, bool read);

}  // namespace ptxsim
