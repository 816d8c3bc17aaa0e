// SPDX-License-Identifier: Apache-2.0
#include "sim/machine/machine.hpp"

#include <algorithm>

#include "sim/isa/hooks.hpp"
#include "sim/machine/deadlock.hpp"
#include "sim/machine/frame.hpp"
#include "sim/machine/interpreter.hpp"

namespace ptxsim {
namespace {

/// Rounds in which every sleeping warp looks again although nothing has changed, before that counts as a deadlock: a
/// try_wait ends after a time, so a program may do something else then.
constexpr int kIdleRounds = 64;

uint32_t launch_registers(const Launch& launch) {
  if (launch.options.registers_per_thread != 0) return launch.options.registers_per_thread;
  if (launch.entry->entry.max_registers != 0) return launch.entry->entry.max_registers;
  // The most that lets one CTA on a multiprocessor, in steps of 8, as ptxas is free to take.
  const uint64_t warps = (launch.options.block.count() + kLanes - 1) / kLanes;
  return static_cast<uint32_t>(std::min<uint64_t>(255, 65536 / (warps * kLanes) / 8 * 8));
}

}  // namespace

struct Machine::Impl {
  explicit Impl(Machine& machine_of) : machine(machine_of), interpreter(machine_of) {}

  Machine& machine;
  Interpreter interpreter;
  std::vector<std::unique_ptr<Cluster>> resident;

  bool may_start(const Launch& launch, const Launch* before) const;
  void fill(std::span<Launch> launches);
  void start_cluster(Launch& launch);
  void start_cta(Launch& launch, Cluster& cluster, uint32_t rank);
  void start_warp(Launch& launch, Cta& cta, uint32_t index);
  bool retire(Launch& launch, Cluster& cluster);
  bool turn(std::span<Launch> launches);
  void loop(std::span<Launch> launches);
};

/// A grid starts when the one before it has ended; a programmatic one when that one allows it.
bool Machine::Impl::may_start(const Launch& launch, const Launch* before) const {
  if (before == nullptr || before->ended) return true;
  return launch.options.programmatic && before->dependents_may_start();
}

void Machine::Impl::fill(std::span<Launch> launches) {
  const size_t room = machine.schedule_.interleave_clusters ? std::max(1u, machine.schedule_.resident_clusters) : 1;
  Launch* before = nullptr;
  for (Launch& launch : launches) {
    if (!may_start(launch, before)) break;
    const size_t own = static_cast<size_t>(launch.running_clusters);
    for (size_t free = room > own ? room - own : 0; free > 0 && launch.next_cluster < launch.clusters; --free)
      start_cluster(launch);
    before = &launch;
  }
}

void Machine::Impl::start_cluster(Launch& launch) {
  if (launch.next_cluster == 0) launch.first_cluster_uid = machine.next_cluster_uid_;
  auto cluster = std::make_unique<Cluster>();
  cluster->index = launch.next_cluster++;
  cluster->uid = machine.new_cluster_uid();
  const uint32_t count = static_cast<uint32_t>(launch.options.cluster.count());
  for (uint32_t rank = 0; rank < count; ++rank) start_cta(launch, *cluster, rank);
  ++launch.running_clusters;
  resident.push_back(std::move(cluster));
}

void Machine::Impl::start_cta(Launch& launch, Cluster& cluster, uint32_t rank) {
  const Dim3& grid = launch.options.grid;
  const Dim3& shape = launch.options.cluster;
  auto owned = std::make_unique<Cta>();
  Cta& cta = *owned;
  cta.cluster = &cluster;
  cta.launch = &launch;
  cta.rank = rank;
  const uint32_t wide = grid.x / shape.x, high = grid.y / shape.y;
  cta.id = {cluster.index % wide * shape.x + rank % shape.x,
            cluster.index / wide % high * shape.y + rank / shape.x % shape.y,
            cluster.index / wide / high * shape.z + rank / shape.x / shape.y};
  cta.index = static_cast<uint32_t>((uint64_t{cta.id[2]} * grid.y + cta.id[1]) * grid.x + cta.id[0]);
  const uint32_t end = launch.entry->dynamic_shared_offset + launch.options.dynamic_shared_bytes;
  const uint32_t bytes = (std::max(end, kSharedWindow) - kSharedWindow + 15) / 16 * 16;
  cta.shared.assign(bytes, std::byte{0xa5});
  cta.shadow.reset(bytes);
  const uint32_t threads = static_cast<uint32_t>(launch.options.block.count());
  cta.local.resize(threads);
  cta.warps.resize((threads + kLanes - 1) / kLanes);
  cluster.ctas.push_back(std::move(owned));
  for (uint32_t index = 0; index < cta.warps.size(); ++index) start_warp(launch, cta, index);
}

void Machine::Impl::start_warp(Launch& launch, Cta& cta, uint32_t index) {
  Warp& warp = cta.warps[index];
  warp.cta = &cta;
  warp.index = index;
  warp.actor = cta.cluster->new_actor();
  warp.registers_per_thread = launch_registers(launch);
  const uint64_t threads = launch.options.block.count() - uint64_t{index} * kLanes;
  warp.live = threads >= kLanes ? kAllLanes : (uint32_t{1} << threads) - 1;
  Split split;
  split.mask = warp.live;
  split.pc = launch.entry->first_pc;
  split.frame = new_frame(machine, cta, index, *launch.entry, nullptr);
  warp.splits.push_back(std::move(split));
  // Grids before this one have ended and are visible. Of a prerequisite nothing is until griddepcontrol.wait, also
  // when it happens to have ended.
  const bool apart = launch.prerequisite != nullptr;
  warp.clocks.generic.see_before(apart ? launch.prerequisite->first_cluster_uid : launch.first_cluster_uid);
  warp.clocks.async_.see_before(apart ? launch.prerequisite->first_cluster_uid : launch.first_cluster_uid);
}

/// Ends CTAs whose threads have all ended; true when the cluster is done and gone.
bool Machine::Impl::retire(Launch& launch, Cluster& cluster) {
  bool done = true;
  for (auto& owned : cluster.ctas) {
    Cta& cta = *owned;
    if (!std::all_of(cta.warps.begin(), cta.warps.end(), [](const Warp& warp) { return warp.done(); })) {
      done = false;
      continue;
    }
    if (cta.exited) continue;
    wgmma_exit(machine, cta);
    bulk_exit(machine, cta);
    cp_async_exit(machine, cta);
    mbarrier_exit(machine, cta);
    cluster_exit(machine, cta);
    setmaxnreg_exit(machine, cta);
    cta.exited = true;
    if (!cta.released_dependents) {
      cta.released_dependents = true;
      ++launch.ctas_released_dependents;
    }
    machine.event();
  }
  if (!done) return false;
  for (auto& cta : cluster.ctas) machine.async_.end(*cta, machine.now_);
  --launch.running_clusters;
  if (launch.running_clusters == 0 && launch.next_cluster == launch.clusters) {
    launch.ended = true;
    machine.event();
  }
  return true;
}

/// One warp's turn; false when none could run.
bool Machine::Impl::turn(std::span<Launch> launches) {
  std::vector<Warp*> runnable;
  for (auto& cluster : resident)
    for (auto& cta : cluster->ctas)
      for (Warp& warp : cta->warps)
        if (interpreter.can_run(warp)) runnable.push_back(&warp);
  if (runnable.empty()) return false;
  Warp& warp = *runnable[machine.random_() % runnable.size()];
  const uint32_t quantum = 1 + static_cast<uint32_t>(machine.random_() % std::max(1u, machine.schedule_.quantum));
  Launch& launch = *warp.cta->launch;
  interpreter.run(warp, quantum);
  if (machine.now_ > launch.options.instruction_budget) throw LaunchFault{livelock(*warp.cta, machine.now_)};
  if (warp.done()) {
    Cluster& cluster = *warp.cta->cluster;
    if (retire(launch, cluster)) {
      std::erase_if(resident, [&](const auto& each) { return each.get() == &cluster; });
      fill(launches);
    }
  }
  return true;
}

void Machine::Impl::loop(std::span<Launch> launches) {
  fill(launches);
  int idle_rounds = 0;
  uint64_t seen = 0;
  while (!resident.empty()) {
    machine.async_.pump(machine.now_, false);
    if (turn(launches)) {
      if (machine.events_ != seen) idle_rounds = 0;
      seen = machine.events_;
      if (std::any_of(launches.begin(), launches.end(),
                      [](const Launch& each) { return each.next_cluster < each.clusters; }))
        fill(launches);
      continue;
    }
    if (machine.async_.pump(machine.now_, true)) continue;
    if (++idle_rounds > kIdleRounds) throw LaunchFault{deadlock(machine, resident)};
    machine.poll();
    seen = machine.events_;
  }
}

Machine::Machine(DeviceMemory& memory, const Schedule& schedule, const Checks& checks, const TraceOptions& trace,
                 uint32_t first_cluster_uid)
    : impl_(std::make_unique<Impl>(*this)),
      memory_(memory),
      schedule_(schedule),
      checker_(checks, schedule.text()),
      recorder_(trace),
      async_(schedule.async, schedule.seed, recorder_),
      random_(schedule.seed * 0x9e3779b97f4a7c15u + 1),
      next_cluster_uid_(first_cluster_uid) {}

Machine::~Machine() = default;

bool Machine::run(std::span<Launch> launches) {
  Launch* before = nullptr;
  for (Launch& launch : launches) {
    if (launch.options.programmatic) launch.prerequisite = before;
    before = &launch;
  }
  bool finished = true;
  try {
    impl_->loop(launches);
  } catch (const LaunchFault& fault) {
    checker_.note(fault.hazard);
    finished = false;
  }
  for (size_t i = 0; i < kIsaClasses; ++i)
    if (class_counts_[i] != 0)
      counts_.by_class.emplace_back(isa_class_name(static_cast<IsaClass>(i)), class_counts_[i]);
  return finished;
}

}  // namespace ptxsim
