// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "sim/hazard/clock.hpp"
#include "sim/hazard/shadow.hpp"
#include "sim/machine/warp.hpp"
#include "sim/memory/mbarrier.hpp"

namespace ptxsim {

class Launch;

/// A named barrier of a CTA: bar.sync, bar.arrive, bar.red (isa/barrier.cpp).
struct NamedBarrier {
  uint32_t expected = 0;  ///< threads of the phase; 0: no one has come yet
  uint32_t arrived = 0;   ///< threads
  uint64_t generation = 0;
  std::vector<uint32_t> warps;  ///< that came in this phase
  std::vector<int32_t> lines;
  Clocks gathering, published;
  uint32_t votes = 0, voters = 0;            ///< bar.red, being gathered
  uint32_t last_votes = 0, last_voters = 0;  ///< of the last complete phase
};

struct Cta {
  Cluster* cluster = nullptr;
  Launch* launch = nullptr;
  uint32_t index = 0;  ///< linear, in the grid
  uint32_t rank = 0;   ///< in the cluster
  std::array<uint32_t, 3> id{};
  std::vector<std::byte> shared;  ///< index 0 is the window's address kSharedWindow
  SharedShadow shadow;
  SyncObjects sync_objects;                         ///< by address in the window: flags in shared memory
  std::vector<std::vector<std::byte>> local;        ///< by thread, grown by calls
  std::vector<std::vector<uint8_t>> local_written;  ///< by thread and byte, grown when needed
  std::vector<Warp> warps;
  std::array<NamedBarrier, 16> barriers;
  std::map<uint32_t, Mbarrier> mbarriers;  ///< by shared address
  uint32_t register_pool = 0;              ///< registers released by setmaxnreg.dec, in registers of the CTA
  /// By warpgroup: the setmaxnreg that some of its warps have run and the others must run, too.
  struct RegisterChange {
    const Inst* inst = nullptr;
    uint32_t warps = 0;  ///< mask, in the warpgroup
  };
  std::vector<RegisterChange> register_changes;
  /// The last access by each warp of another CTA to this one's shared memory, which must come before the end (H19).
  struct RemoteAccess {
    Event event;
    Site site;
  };
  std::vector<RemoteAccess> remote_accesses;
  bool released_dependents = false;  ///< griddepcontrol.launch_dependents has run; its end counts as that, too
  bool exited = false;
};

/// CTAs that run together; every launch has clusters, of one CTA where it asked for none.
struct Cluster {
  uint32_t index = 0;  ///< linear, in the grid
  uint32_t uid = 0;    ///< unique on the device: Event::cluster
  std::vector<std::unique_ptr<Cta>> ctas;
  ActorId actors = 0;
  ActorId new_actor() { return actors++; }

  // barrier.cluster (isa/cluster.cpp)
  uint32_t barrier_arrived = 0;  ///< threads
  uint64_t barrier_generation = 0;
  Clocks barrier_gathering, barrier_published;
};

}  // namespace ptxsim
