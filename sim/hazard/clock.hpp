// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

namespace ptxsim {

/// A party whose operations are ordered among themselves, numbered within its cluster (Cluster::new_actor): a warp, a
/// phase counter of an mbarrier, a stream of asynchronous operations (a warp's bulk reads, its bulk writes, its
/// cp.async, a warpgroup's wgmma).
using ActorId = uint32_t;
using Tick = uint32_t;

/// Something that happened: the `tick`-th step of an actor of a cluster. `lanes`: which lanes of a warp did it; all
/// ones for actors that are not warps.
struct Event {
  uint32_t cluster = 0;  ///< linear index in the grid, plus the launch's base: unique on the device
  ActorId actor = 0;
  Tick tick = 0;
  uint32_t lanes = ~0u;
};

/// What is known to have happened: a vector clock over the actors of one cluster, and, after acquiring through global
/// memory, of others. Warps are single actors; a release by a few lanes of a warp publishes all lanes up to the warp's
/// last convergence point and the releasing lanes up to now (see `Entry`).
class Clock {
 public:
  struct Entry {
    Tick all = 0;   ///< every lane up to here
    Tick some = 0;  ///< the lanes of `lanes` up to here (some >= all when lanes != 0)
    uint32_t lanes = 0;
  };

  /// `cluster`, here and below: the one whose actors `own` is about.
  bool knows(uint32_t cluster, const Event& event) const;
  void see(uint32_t cluster, ActorId actor, Tick all);
  void see_lanes(uint32_t cluster, ActorId actor, Tick some, uint32_t lanes);
  /// Everything that clusters with smaller uids did: grids that ended before this one began.
  void see_before(uint32_t cluster);
  /// Elementwise maximum. Lanes of two partial entries are united at the later tick: never a false alarm, rarely a
  /// missed one.
  void join(uint32_t own_cluster, const Clock& other, uint32_t other_cluster);
  /// Elementwise minimum over the actors of the own cluster, which both must have: keeps what both know.
  void limit(const Clock& other);
  void clear();
  bool empty() const { return own_.empty() && foreign_.empty() && before_ == 0; }
  const std::vector<Entry>& own() const { return own_; }

 private:
  using Entries = std::vector<Entry>;
  void see(ActorId actor, const Entry& entry);
  void see_foreign(uint32_t cluster, const std::shared_ptr<const Entries>& entries);

  Entries own_;  ///< by ActorId; shorter means zeros
  std::map<uint32_t, std::shared_ptr<const Entries>> foreign_;
  uint32_t before_ = 0;  ///< clusters with smaller uids are known whole
};

/// A sync object's or a warp's clocks. `async_` is what has been handed to the asynchronous proxy: fence.proxy.async
/// sets it to `generic`. `covered` is what lies before a fence.sc that is known here, be it through relaxed accesses
/// alone: a fence.sc that comes later learns it. Synchronisation joins all of them.
struct Clocks {
  Clock generic, async_, covered;

  void join(uint32_t own_cluster, const Clocks& other, uint32_t other_cluster) {
    generic.join(own_cluster, other.generic, other_cluster);
    async_.join(own_cluster, other.async_, other_cluster);
    covered.join(own_cluster, other.covered, other_cluster);
  }
};

}  // namespace ptxsim
