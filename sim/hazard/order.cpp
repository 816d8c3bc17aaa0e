// SPDX-License-Identifier: Apache-2.0
#include "sim/hazard/order.hpp"

#include <algorithm>
#include <bit>

namespace ptxsim {
namespace {

/// PTX ISA 8.8 "Morally strong operations": both are strong, and each names a scope that has the other in it.
bool morally_strong(const Access& a, const Access& b) {
  return a.strong && b.strong && includes(a.scope, a.by, b.by) && includes(b.scope, b.by, a.by);
}

/// Lanes that have been synchronised with `lane` since `tick`, itself included.
uint32_t synchronised(uint32_t lane, Tick tick, std::span<const LaneGroup> groups) {
  uint32_t lanes = uint32_t{1} << lane;
  for (auto group = groups.rbegin(); group != groups.rend() && group->tick > tick; ++group)
    if ((group->lanes & lanes) != 0) lanes |= group->lanes;
  return lanes;
}

/// Within a warp: whether all of `now` come after all of `old`, which ran at `tick`.
bool lanes_ordered(uint32_t old, Tick tick, uint32_t now, std::span<const LaneGroup> groups) {
  for (uint32_t rest = now; rest != 0; rest &= rest - 1)
    if ((old & ~synchronised(static_cast<uint32_t>(std::countr_zero(rest)), tick, groups)) != 0) return false;
  return true;
}

struct Known {
  bool known, uniform;
};
/// Whether the clock knows what the lanes at `offset` did; first of all lanes, which is an answer for all bytes.
Known knows(const Clock& clock, uint32_t cluster, const Record& old, uint64_t offset) {
  Event event = old.access.event;
  event.lanes = ~0u;
  if (clock.knows(cluster, event)) return {true, true};
  event.lanes = lanes_at(old.access, old.base, offset);
  return {clock.knows(cluster, event), false};
}

}  // namespace

bool same_lanes(const Record& a, const Record& b) {
  if (a.access.lane_bytes != b.access.lane_bytes) return false;
  if (a.access.lane_bytes == 0)
    return a.access.event.lanes == b.access.event.lanes && std::has_single_bit(a.access.event.lanes);
  return a.base == b.base && a.access.first_lane == b.access.first_lane;
}

Verdict judge(const Record& old, bool old_writes, const Record& now, bool now_writes, const Accessor& who,
              uint64_t offset) {
  const Access& access = now.access;
  const uint32_t cluster = access.event.cluster;
  if (morally_strong(old.access, access)) return {};
  if (old.access.in_flight) return {now_writes ? Race::unordered_write : Race::in_flight, false};
  const Race unordered = !old_writes ? Race::unordered_read : Race::unordered_write;
  if (old.access.async) {
    if (who.clocks->generic.knows(cluster, old.access.event)) {
      const bool handed = !access.proxy || old.access.proxy || who.clocks->async_.knows(cluster, old.access.event);
      return handed || !old_writes ? Verdict{} : Verdict{Race::unfenced, false};
    }
    return {old_writes && !now_writes ? Race::unobserved_write : unordered, false};
  }
  bool uniform = true;
  if (old.access.event.cluster == cluster && old.access.event.actor == who.warp) {
    if (old.access.event.tick >= who.converged && (access.async || !same_lanes(old, now))) {
      uniform = false;
      const uint32_t before = lanes_at(old.access, old.base, offset);
      // A collective instruction of a warp (wgmma) acts for its lanes together.
      const bool ordered = access.async && (before & ~who.lanes) == 0;
      if (!ordered &&
          !lanes_ordered(before, old.access.event.tick, access.async ? who.lanes : lanes_at(access, now.base, offset),
                         who.groups) &&
          !knows(who.clocks->generic, cluster, old, offset).known)  // by an mbarrier or a cluster barrier
        return {unordered, false};
    }
  } else {
    const Known generic = knows(who.clocks->generic, cluster, old, offset);
    if (!generic.known) return {unordered, false};
    uniform = generic.uniform;
  }
  if (access.proxy && old_writes) {
    const Known handed = knows(who.clocks->async_, cluster, old, offset);
    if (!handed.known) return {Race::unfenced, false};
    uniform = uniform && handed.uniform;
  }
  return {Race::none, uniform};
}

}  // namespace ptxsim
