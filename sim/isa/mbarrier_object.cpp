// SPDX-License-Identifier: Apache-2.0
// What happens to an mbarrier whoever does it: counts, phases, who may use it. PTX ISA 9.7.13 "mbarrier".
#include <algorithm>
#include <cstdio>

#include "sim/isa/mbarrier.hpp"
#include "sim/machine/cta.hpp"
#include "sim/machine/machine.hpp"
#include "sim/machine/site.hpp"
#include "sim/memory/access.hpp"

namespace ptxsim {
namespace {

void note(Machine& machine, const Cta& cta, HazardId id, const Site& site, std::string what, const Site& other = {}) {
  Hazard hazard;
  hazard.id = id;
  hazard.kernel = cta.launch->entry->name;
  hazard.site = site;
  hazard.other = other;
  hazard.what = std::move(what);
  machine.checker().note(std::move(hazard));
}

/// The mbarrier if it is alive; null, after a report, when it is gone by the time an operation completes.
Mbarrier* find(Machine& machine, const MbarrierPlace& place, const Site& issuer) {
  if (place.cta->exited) {
    note(machine, *place.cta, HazardId::H19, issuer, mbarrier_name(place) + " is signalled after its CTA has ended");
    return nullptr;
  }
  const auto found = place.cta->mbarriers.find(place.address);
  if (found == place.cta->mbarriers.end() || !found->second.valid) {
    note(machine, *place.cta, HazardId::H12, issuer, mbarrier_name(place) + " is signalled after its inval");
    return nullptr;
  }
  return &found->second;
}

/// The phase is complete when no arrivals and no bytes are outstanding: all at once the next one begins.
void settle(Machine& machine, const Cta& cta, Mbarrier& object) {
  if (object.pending != 0 || object.tx != 0) return;
  const uint32_t uid = cta.cluster->uid;
  object.gathering.generic.see(uid, object.actor, object.tick);
  object.gathering.async_.see(uid, object.actor, object.tick);
  object.completed = std::move(object.gathering);
  object.completed_cluster = std::move(object.gathering_cluster);
  object.gathering = Clocks{};
  object.gathering_cluster = Clocks{};
  ++object.phase;
  ++object.tick;
  object.pending = object.expected;
  object.expected_bytes = object.landed_bytes = 0;
  machine.event();
}

void change_bytes(Machine& machine, const MbarrierPlace& place, Mbarrier& object, int64_t bytes, const Site& issuer) {
  object.tx += bytes;
  if (bytes > 0) object.expected_bytes += static_cast<uint64_t>(bytes);
  if (bytes < 0) object.landed_bytes += static_cast<uint64_t>(-bytes);
  if (object.last_bytes != object.tick || bytes > 0) object.last_bytes_at = issuer;
  object.last_bytes = object.tick;
  if (object.tx > kMaxMbarrierCount || object.tx < -kMaxMbarrierCount)
    note(machine, *place.cta, HazardId::H14, issuer,
         mbarrier_name(place) + " has " + std::to_string(object.tx) + " bytes outstanding, more than 1048575",
         object.initialised_at);
  settle(machine, *place.cta, object);
}

/// Whether lanes of the warp that ran the init have been synchronised with the lane that did.
bool same_warp_knows(const Step& step, const Mbarrier& object) {
  if (object.init_warp_tick < step.warp.converged) return true;
  uint32_t lanes = step.mask;
  const auto& groups = step.warp.groups;
  for (auto group = groups.rbegin(); group != groups.rend() && group->tick > object.init_warp_tick; ++group)
    if ((group->lanes & lanes) != 0) lanes |= group->lanes;
  return (object.init_lanes & ~lanes) == 0;
}

/// Whether the step's lane knows that the init has happened.
bool knows_init(const Step& step, const Mbarrier& object) {
  if (object.init_warp == step.warp.actor) return same_warp_knows(step, object);
  const uint32_t uid = step.cta.cluster->uid;
  return step.warp.clocks.generic.knows(uid, Event{uid, object.actor, object.init_tick});
}

/// Faults without a live mbarrier; reports one whose init is not ordered before this use.
void check_use(const Step& step, const MbarrierPlace& place, uint32_t lane, bool async) {
  const auto found = place.cta->mbarriers.find(place.address);
  if (found == place.cta->mbarriers.end())
    step.fault(HazardId::H12, "there is no mbarrier at " + mbarrier_name(place).substr(9), static_cast<int>(lane));
  Mbarrier& object = found->second;
  if (!object.valid)
    step.fault(HazardId::H12, mbarrier_name(place) + " is used after its inval", static_cast<int>(lane));
  if (!step.machine.checker().checks().memory_order) return;
  const bool remote = place.cta != &step.cta;
  Step one = step;
  one.mask = uint32_t{1} << lane;
  if (!knows_init(one, object))
    step.hazard(remote ? HazardId::H24 : HazardId::H12,
                "the init of " + mbarrier_name(place) + " is not ordered before this use" +
                    (remote ? " by another CTA: a cluster barrier is missing" : ""),
                static_cast<int>(lane), &object.initialised_at);
  else if (async && !object.published && step.cta.cluster->ctas.size() > 1)
    step.hazard(HazardId::H24,
                "neither fence.mbarrier_init nor fence.proxy.async stands between the init of " + mbarrier_name(place) +
                    " and its use by an asynchronous operation",
                static_cast<int>(lane), &object.initialised_at);
}

void note_remote_use(const Step& step, const MbarrierPlace& place, uint32_t lane) {
  if (place.cta == &step.cta) return;
  Mbarrier& object = mbarrier_at(place);
  const Event event{step.cta.cluster->uid, step.warp.actor, step.warp.tick, uint32_t{1} << lane};
  auto use = std::find_if(object.remote_uses.begin(), object.remote_uses.end(),
                          [&](const Mbarrier::RemoteUse& each) { return each.event.actor == event.actor; });
  if (use == object.remote_uses.end()) use = object.remote_uses.emplace(use);
  *use = {event, object.tick,
          site_of(*step.cta.launch->program, step.inst, step.cta, static_cast<int>(step.warp.index),
                  static_cast<int>(lane))};
}

}  // namespace

std::string mbarrier_name(const MbarrierPlace& place) {
  char text[64];
  std::snprintf(text, sizeof text, "mbarrier 0x%x of CTA %u", place.address, place.cta->index);
  return text;
}

MbarrierPlace mbarrier_of(const Step& step, Space space, uint64_t address, uint32_t lane) {
  const Place at = resolve(step, space, address, 8, lane, 8);
  const MbarrierPlace place{at.cta, static_cast<uint32_t>(at.offset)};
  if (at.space != Space::shared)
    step.fault(HazardId::H22, "an mbarrier is in shared memory, this address is not", static_cast<int>(lane));
  check_use(step, place, lane, false);
  note_remote_use(step, place, lane);
  return place;
}

MbarrierPlace mbarrier_of_copy(const Step& step, Space space, uint64_t address, uint32_t lane) {
  const Place at = resolve(step, space, address, 8, lane, 8);
  if (at.space != Space::shared)
    step.fault(HazardId::H22, "an mbarrier is in shared memory, this address is not", static_cast<int>(lane));
  return mbarrier_of_copy(step, *at.cta, static_cast<uint32_t>(at.offset), lane);
}

MbarrierPlace mbarrier_of_copy(const Step& step, Cta& cta, uint32_t address, uint32_t lane) {
  const MbarrierPlace place{&cta, address};
  check_use(step, place, lane, true);
  note_remote_use(step, place, lane);
  return place;
}

Mbarrier& mbarrier_at(const MbarrierPlace& place) { return place.cta->mbarriers.find(place.address)->second; }

Event mbarrier_event(const MbarrierPlace& place) {
  const Mbarrier& object = mbarrier_at(place);
  return {place.cta->cluster->uid, object.actor, object.tick};
}

void mbarrier_arrive(Machine& machine, const MbarrierPlace& place, uint32_t count, const Site& issuer) {
  Mbarrier* object = find(machine, place, issuer);
  if (object == nullptr) return;
  if (count > object->pending)
    note(machine, *place.cta, HazardId::H14, issuer,
         std::to_string(count) + " arrive at " + mbarrier_name(place) + " where " + std::to_string(object->pending) +
             " of " + std::to_string(object->expected) + " arrivals are pending in phase " +
             std::to_string(object->phase),
         object->initialised_at);
  object->pending = std::max<int64_t>(0, object->pending - count);
  settle(machine, *place.cta, *object);
}

void mbarrier_complete_tx(Machine& machine, const MbarrierPlace& place, uint32_t bytes, const Site& issuer) {
  if (Mbarrier* object = find(machine, place, issuer); object != nullptr)
    change_bytes(machine, place, *object, -int64_t{bytes}, issuer);
}

void mbarrier_expect_tx(Machine& machine, const MbarrierPlace& place, uint32_t bytes, const Site& issuer) {
  if (Mbarrier* object = find(machine, place, issuer); object != nullptr)
    change_bytes(machine, place, *object, int64_t{bytes}, issuer);
}

void mbarrier_add_pending(Machine& machine, const MbarrierPlace& place, const Site& issuer) {
  Mbarrier* object = find(machine, place, issuer);
  if (object == nullptr) return;
  if (++object->pending > kMaxMbarrierCount)
    note(machine, *place.cta, HazardId::H14, issuer, mbarrier_name(place) + " has more than 1048575 arrivals pending");
}

void mbarrier_arrive_async(Machine& machine, const MbarrierPlace& place, const Clocks& done, const Site& issuer) {
  Mbarrier* object = find(machine, place, issuer);
  if (object == nullptr) return;
  const uint32_t uid = place.cta->cluster->uid;
  object->gathering.generic.join(uid, done.generic, uid);
  object->gathering.async_.join(uid, done.async_, uid);
  mbarrier_arrive(machine, place, 1, issuer);
}

void mbarrier_publish_inits(const Step& step) {
  for (auto& [address, object] : step.cta.mbarriers)
    if (object.valid && !object.published) object.published = knows_init(step, object);
}

}  // namespace ptxsim
