// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "sim/hazard/history.hpp"
#include "sim/isa/program.hpp"
#include "sim/machine/step.hpp"
#include "sim/memory/sync_object.hpp"

namespace ptxsim {

/// Per register of a warp: which lanes were written, and what asynchronous operation holds it.
struct RegisterState {
  uint32_t initialised = 0;   ///< lanes
  uint16_t wgmma_reads = 0;   ///< wgmmas in flight that read it (A fragment)
  uint16_t wgmma_writes = 0;  ///< wgmmas in flight that accumulate into it
  uint32_t touched = 0;       ///< Warp::wgmma_epoch of the last access by an ordinary instruction
  int32_t wgmma_line = 0;     ///< of the last wgmma that named it, for reports
};

/// A function's activation in some lanes of a warp: its registers and the place of its locals.
struct Frame {
  const Function* function = nullptr;
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::unique_ptr<std::byte, Free> storage;  ///< the register file, over-allocated for alignment
  std::byte* registers = nullptr;            ///< 128-byte aligned
  std::vector<RegisterState> state;          ///< by slot
  uint32_t local_base = 0;                   ///< of the frame in each thread's local memory
  std::shared_ptr<Frame> caller;
  int32_t return_pc = -1;
  const Inst* call = nullptr;  ///< that made it
  uint32_t depth = 0;          ///< callers in front of it
};

/// What a split waits for.
struct Wait {
  enum class Kind : uint8_t {
    none,
    parked,
    barrier,
    mbarrier,
    wgmma_group,
    bulk_group,
    cp_async_group,
    cluster_barrier,
    registers,
    grid_dependency,
    sleep,
  };
  Kind kind = Kind::none;
  /// Asked by the scheduler; when true the wait is over, and `resume` runs (acquiring clocks) before the split goes on.
  bool (*ready)(Machine&, Warp&, Split&) = nullptr;
  void (*resume)(Machine&, Warp&, Split&) = nullptr;
  std::array<uint64_t, 3> value{};  ///< meaning by kind: barrier id and generation, event count, ...
  int32_t line = 0;                 ///< of the instruction that waits
  size_t span = 0;                  ///< of the timeline, plus 1; 0: none
};

/// Lanes of a warp that share a pc.
struct Split {
  uint32_t mask = kAllLanes;
  int32_t pc = 0;
  std::shared_ptr<Frame> frame;
  Wait wait;
};

struct Warp {
  Cta* cta = nullptr;
  uint32_t index = 0;         ///< in the CTA
  uint32_t live = kAllLanes;  ///< lanes that exist and have not exited
  std::vector<Split> splits;
  ActorId actor = 0;
  Tick tick = 1;                  ///< own time; raised by each release
  Tick converged = 1;             ///< tick of the last point at which all live lanes were synchronised with each other
  std::vector<LaneGroup> groups;  ///< lanes synchronised with each other since then, though not all
  Clocks clocks;
  FenceState fences;
  uint64_t instructions = 0;

  // wgmma (isa/wgmma.cpp)
  uint32_t wgmma_epoch = 1;     ///< raised by wgmma.fence
  bool wgmma_fenced = false;    ///< a fence came before the first wgmma
  std::shared_ptr<void> wgmma;  ///< groups of this warp
  // asynchronous copies (isa/cp_async.cpp, isa/bulk_copy.cpp)
  std::shared_ptr<void> cp_async, bulk;

  uint32_t registers_per_thread = 0;  ///< setmaxnreg
  // barrier.cluster (isa/cluster.cpp): lanes that have arrived in the current phase; that have arrived in a phase that
  // is complete and have not waited for it yet.
  uint32_t cluster_arrived = 0, cluster_passed = 0;
  Clocks
      fenced_inits;  ///< mbarrier inits behind which a fence.mbarrier_init stood: even a relaxed arrive passes them on
  bool done() const { return live == 0; }
};

}  // namespace ptxsim
