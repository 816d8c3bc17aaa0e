// SPDX-License-Identifier: Apache-2.0
// Edges of happens-before: what releases publish and acquires learn.
#include "sim/memory/edges.hpp"

#include <algorithm>

#include "sim/machine/cta.hpp"
#include "sim/memory/access.hpp"

namespace ptxsim {
namespace {

uint32_t cluster_of(const Warp& warp) { return warp.cta->cluster->uid; }

/// What the lanes of `mask` have done so far, and those they are synchronised with.
void see_own(const Warp& warp, uint32_t mask, Clock& clock) {
  const uint32_t cluster = cluster_of(warp);
  if (mask == warp.live) {
    clock.see(cluster, warp.actor, warp.tick);
    return;
  }
  clock.see(cluster, warp.actor, warp.converged - 1);
  uint32_t lanes = mask;
  for (auto group = warp.groups.rbegin(); group != warp.groups.rend(); ++group)
    if ((group->lanes & lanes) != 0) lanes |= group->lanes;
  clock.see_lanes(cluster, warp.actor, warp.tick, lanes);
}

void join(const Warp& warp, Clocks& into, const Clocks& from) {
  const uint32_t cluster = cluster_of(warp);
  into.join(cluster, from, cluster);
}

Party party_of(const Warp& warp) { return {cluster_of(warp), warp.cta->rank}; }

constexpr bool releases(Order order) { return order == Order::release || order == Order::acq_rel; }
constexpr bool acquires(Order order) { return order == Order::acquire || order == Order::acq_rel; }

}  // namespace

void release(const Step& step, Clocks& object) {
  join(step.warp, object, step.warp.clocks);
  see_own(step.warp, step.mask, object.generic);
  ++step.warp.tick;
}

void acquire(const Step& step, const Clocks& object) { acquire(step.warp, object); }

void acquire(Warp& warp, const Clocks& object) { join(warp, warp.clocks, object); }

void converge(const Step& step) {
  Warp& warp = step.warp;
  if (std::has_single_bit(step.mask) && step.mask != warp.live) return;
  ++warp.tick;
  if (step.mask == warp.live) {
    warp.converged = warp.tick;
    warp.groups.clear();
    return;
  }
  std::erase_if(warp.groups, [&](const LaneGroup& group) { return (group.lanes & ~step.mask) == 0; });
  warp.groups.push_back({step.mask, warp.tick});
}

void fence_async_proxy(const Step& step) {
  Warp& warp = step.warp;
  const uint32_t cluster = cluster_of(warp);
  warp.clocks.async_.join(cluster, warp.clocks.generic, cluster);
  see_own(warp, step.mask, warp.clocks.async_);
  ++warp.tick;
}

void fence(const Step& step, Order order, Scope scope) {
  Warp& warp = step.warp;
  const size_t at = static_cast<size_t>(effective(scope));
  FenceState& state = warp.fences;
  if (acquires(order) && state.has_observed[at]) join(warp, warp.clocks, state.observed[at]);
  if (!releases(order)) return;
  FenceState::Fenced& fenced = state.fenced[at];
  fenced.lanes |= step.mask;
  fenced.clocks = warp.clocks;
  see_own(warp, step.mask, fenced.clocks.generic);
  for (size_t narrow = 0; narrow < at; ++narrow) state.fenced[narrow] = {};
  ++warp.tick;
}

void fence_sc(const Step& step, Scope scope) {
  Warp& warp = step.warp;
  const uint32_t cluster = cluster_of(warp);
  // Fences of a narrower scope are ordered by barriers of the CTA or the cluster, which say more.
  const bool wide = effective(scope) == Scope::gpu;
  if (wide) warp.clocks.generic.join(cluster, warp.clocks.covered, cluster);
  fence(step, Order::acq_rel, scope);
  if (wide)
    warp.clocks.covered.join(cluster, warp.fences.fenced[static_cast<size_t>(Scope::gpu)].clocks.generic, cluster);
}

void observe_flag(const Step& step, const SyncObjects& objects, uint64_t key, Order order, Scope scope) {
  if (order == Order::weak || objects.empty()) return;
  Warp& warp = step.warp;
  const Party reader = party_of(warp);
  if (acquires(order)) {
    objects.acquire(key, reader, scope, warp.clocks);
    return;
  }
  for (size_t at = 0; at < kScopes; ++at)
    if (objects.acquire(key, reader, narrower(effective(scope), static_cast<Scope>(at)), warp.fences.observed[at]))
      warp.fences.has_observed[at] = true;
  const Clock& covered = warp.fences.observed[static_cast<size_t>(effective(scope))].covered;
  warp.clocks.covered.join(cluster_of(warp), covered, cluster_of(warp));
}

void publish_flag(const Step& step, SyncObjects& objects, uint64_t key, uint32_t lanes, Order order, Scope scope,
                  bool read_modify_write) {
  Warp& warp = step.warp;
  if (!read_modify_write && !objects.empty()) objects.overwrite(key);
  if (order == Order::weak) return;
  if (releases(order)) {
    Clocks now = warp.clocks;
    see_own(warp, lanes, now.generic);
    objects.release(key, party_of(warp), scope, now);
    ++warp.tick;
    return;
  }
  if (!warp.clocks.covered.empty()) {
    Clocks covered;
    covered.covered = warp.clocks.covered;
    objects.release(key, party_of(warp), scope, covered);
  }
  for (size_t at = 0; at < kScopes; ++at) {
    const FenceState::Fenced& fenced = warp.fences.fenced[at];
    if ((fenced.lanes & lanes) != 0)
      objects.release(key, party_of(warp), narrower(effective(scope), static_cast<Scope>(at)), fenced.clocks);
  }
}

}  // namespace ptxsim
