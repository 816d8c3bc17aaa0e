// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.9 "mapa, getctarank" and 9.7.13 "barrier.cluster".
#include <algorithm>
#include <bit>

#include "sim/isa/decode.hpp"
#include "sim/isa/fenced.hpp"
#include "sim/isa/hooks.hpp"
#include "sim/machine/cta.hpp"
#include "sim/machine/machine.hpp"
#include "sim/memory/access.hpp"

namespace ptxsim {
namespace {

/// A shared::cluster address: the CTA's rank plus 1 in the top byte; 0 there is the own CTA (shared::cta).
constexpr int kRankShift = 24;
constexpr uint64_t kOffsetMask = (uint64_t{1} << kRankShift) - 1;

bool in_window(uint64_t address, bool generic) {
  return !generic || (address >= kGenericShared && address - kGenericShared <= UINT32_MAX);
}

// imm[0]: whether the address is generic (64-bit, or a 32-bit one that is not said to be in shared::cluster).
template <class T>
Outcome mapa(Step& s) {
  const bool generic = s.inst.imm[0] != 0;
  auto out = s.lanes<T>(0);
  const auto from = s.lanes<T>(1);
  const auto rank = s.lanes<uint32_t>(2);
  for_lanes(s.mask, [&](uint32_t lane) {
    const uint64_t address = from[lane];
    const uint64_t window = generic ? address - kGenericShared : address;
    const uint64_t owner = window >> kRankShift;
    if (!in_window(address, generic) || (owner != 0 && owner != s.cta.rank + 1))
      s.fault(HazardId::H22, "mapa takes an address of the CTA's own shared memory", static_cast<int>(lane));
    if (rank[lane] >= s.cta.cluster->ctas.size())
      s.fault(HazardId::H19,
              "mapa: CTA rank " + std::to_string(rank[lane]) + " in a cluster of " +
                  std::to_string(s.cta.cluster->ctas.size()),
              static_cast<int>(lane));
    const uint64_t mapped = (uint64_t{rank[lane]} + 1) << kRankShift | (window & kOffsetMask);
    out.set(lane, static_cast<T>(generic ? mapped + kGenericShared : mapped));
  });
  return Outcome::next;
}

template <class T>
Outcome getctarank(Step& s) {
  const bool generic = s.inst.imm[0] != 0;
  auto out = s.lanes<uint32_t>(0);
  const auto from = s.lanes<T>(1);
  for_lanes(s.mask, [&](uint32_t lane) {
    const uint64_t address = from[lane];
    if (!in_window(address, generic))
      s.fault(HazardId::H22, "getctarank takes an address in shared memory", static_cast<int>(lane));
    const uint32_t owner = static_cast<uint32_t>((generic ? address - kGenericShared : address) >> kRankShift);
    out.set(lane, owner == 0 ? s.cta.rank : owner - 1);
  });
  return Outcome::next;
}

/// The barrier's phase is complete when every live thread of the cluster has arrived. Threads that have ended count as
/// arrived.
bool all_arrived(const Cluster& cluster) {
  for (const auto& cta : cluster.ctas)
    for (const Warp& warp : cta->warps)
      if ((warp.live & ~warp.cluster_arrived) != 0) return false;
  return true;
}

/// Threads that have ended count as arrived: what they accessed before is ordered before the end of CTAs that go on.
void forget_ended(Cluster& cluster) {
  const auto ended = [&](const Cta::RemoteAccess& access) {
    return std::any_of(cluster.ctas.begin(), cluster.ctas.end(), [&](const auto& cta) {
      return std::any_of(cta->warps.begin(), cta->warps.end(),
                         [&](const Warp& warp) { return warp.live == 0 && warp.actor == access.event.actor; });
    });
  };
  for (const auto& cta : cluster.ctas) std::erase_if(cta->remote_accesses, ended);
}

void complete(Machine& machine, Cluster& cluster) {
  forget_ended(cluster);
  for (auto& cta : cluster.ctas) {
    for (Warp& warp : cta->warps) {
      warp.cluster_passed |= warp.cluster_arrived;
      warp.cluster_arrived = 0;
    }
  }
  cluster.barrier_published = std::move(cluster.barrier_gathering);
  cluster.barrier_gathering = Clocks{};
  cluster.barrier_arrived = 0;
  ++cluster.barrier_generation;
  machine.event();
}

/// An .aligned form needs the whole warp: a part of it parks until the rest is there. True when it has to.
bool park(Step& s) {
  if (s.inst.imm[1] == 0) return false;
  if ((s.warp.live & ~s.split.mask) != 0) {
    s.split.wait.kind = Wait::Kind::parked;
    return true;
  }
  if (s.mask != s.split.mask)
    s.hazard(HazardId::H20, std::string(s.inst.row->name) + ".aligned is guarded by a predicate that differs between " +
                                "lanes: " + lane_list(s.mask) + " of " + lane_list(s.split.mask));
  return false;
}

// imm[0]: relaxed; imm[1]: aligned.
Outcome arrive(Step& s) {
  if (park(s)) return Outcome::retry;
  Cluster& cluster = *s.cta.cluster;
  if (const uint32_t twice = s.mask & (s.warp.cluster_arrived | s.warp.cluster_passed); twice != 0)
    s.fault(HazardId::H21, "lanes " + lane_list(twice) + " arrive at the cluster barrier again without having waited",
            std::countr_zero(twice));
  if (s.inst.imm[0] == 0) {
    release(s, cluster.barrier_gathering);
  } else {
    release_fenced(s, Scope::cluster, cluster.barrier_gathering);
    const Clocks& inits = s.warp.fenced_inits;
    cluster.barrier_gathering.generic.join(cluster.uid, inits.generic, cluster.uid);
    cluster.barrier_gathering.async_.join(cluster.uid, inits.async_, cluster.uid);
  }
  s.warp.cluster_arrived |= s.mask;
  cluster.barrier_arrived += static_cast<uint32_t>(std::popcount(s.mask));
  if (all_arrived(cluster)) complete(s.machine, cluster);
  return Outcome::next;
}

/// The end of a thread may complete the phase, too.
bool ready(Machine& machine, Warp& warp, Split& split) {
  Cluster& cluster = *warp.cta->cluster;
  if ((split.wait.value[0] & ~uint64_t{warp.cluster_passed}) == 0) return true;
  if (split.wait.value[1] == machine.events()) return false;
  split.wait.value[1] = machine.events();
  if (!all_arrived(cluster)) return false;
  complete(machine, cluster);
  return true;
}

void pass(Warp& warp, uint32_t lanes) { warp.cluster_passed &= ~lanes; }

void resume(Machine&, Warp& warp, Split& split) {
  acquire(warp, warp.cta->cluster->barrier_published);
  pass(warp, static_cast<uint32_t>(split.wait.value[0]));
}

Outcome wait(Step& s) {
  if (park(s)) return Outcome::retry;
  Cluster& cluster = *s.cta.cluster;
  const uint32_t arrived = s.warp.cluster_arrived | s.warp.cluster_passed;
  if (const uint32_t never = s.mask & ~arrived; never != 0)
    s.fault(HazardId::H21, "lanes " + lane_list(never) + " wait at the cluster barrier without having arrived",
            std::countr_zero(never));
  if (s.warp.cluster_arrived != 0 && all_arrived(cluster)) complete(s.machine, cluster);
  if ((s.mask & ~s.warp.cluster_passed) == 0) {
    acquire(s, cluster.barrier_published);
    pass(s.warp, s.mask);
    return Outcome::next;
  }
  Wait& wait = s.split.wait;
  wait.kind = Wait::Kind::cluster_barrier;
  wait.value = {s.mask, s.machine.events()};
  wait.ready = &ready;
  wait.resume = &resume;
  return Outcome::blocked;
}

/// mapa{.shared::cluster}.u32|u64 d, a, b; getctarank{.shared::cluster}.u32|u64 d, a
Type decode_address_form(Decode& d) {
  const bool shared = d.flag("shared::cluster");
  const Type type = d.type({Type::u32, Type::u64});
  d.imm(0, !shared);
  return type;
}

}  // namespace

void decode_mapa(Decode& d) {
  const Type type = decode_address_form(d);
  d.out(type), d.in(type), d.in(Type::u32);
  d.emit(type == Type::u64 ? &mapa<uint64_t> : &mapa<uint32_t>);
}

void decode_getctarank(Decode& d) {
  const Type type = decode_address_form(d);
  d.out(Type::u32), d.in(type);
  d.emit(type == Type::u64 ? &getctarank<uint64_t> : &getctarank<uint32_t>);
}

void decode_cluster_arrive(Decode& d) {
  d.imm(0, d.one_of({"release", "relaxed"}) == 1);
  d.imm(1, d.flag("aligned"));
  d.emit(&arrive);
}

void decode_cluster_wait(Decode& d) {
  d.flag("acquire");
  d.imm(1, d.flag("aligned"));
  d.emit(&wait);
}

void cluster_exit(Machine& machine, Cta& cta) {
  if (!machine.checker().checks().memory_order) return;
  for (const Cta::RemoteAccess& access : cta.remote_accesses) {
    if (std::any_of(cta.warps.begin(), cta.warps.end(),
                    [&](const Warp& warp) { return warp.clocks.generic.knows(cta.cluster->uid, access.event); }))
      continue;
    Hazard hazard;
    hazard.id = HazardId::H19;
    hazard.kernel = cta.launch->entry->name;
    hazard.site = access.site;
    hazard.what = "shared memory of CTA " + std::to_string(cta.index) +
                  " is accessed by another CTA, and nothing orders that before its end";
    machine.checker().note(std::move(hazard));
  }
}

void cluster_barrier_deadlock(Cta& cta, std::string& text) {
  if (cta.cluster->barrier_arrived == 0) return;
  std::string missing;
  for (const Warp& warp : cta.warps)
    if (const uint32_t lanes = warp.live & ~warp.cluster_arrived; lanes != 0)
      missing += (missing.empty() ? " warp " : ", warp ") + std::to_string(warp.index) +
                 (lanes == warp.live ? "" : " lanes " + lane_list(lanes));
  if (!missing.empty()) text += "\n  cluster barrier: not arrived:" + missing;
}

}  // namespace ptxsim
