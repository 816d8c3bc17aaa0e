// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.13 "Parallel synchronization: mbarrier": init, inval, arrive, arrive_drop, expect_tx, complete_tx,
// pending_count. The waits are in mbarrier_wait.cpp.
#include "sim/isa/mbarrier.hpp"

#include <algorithm>
#include <array>

#include "sim/isa/decode.hpp"
#include "sim/isa/fenced.hpp"
#include "sim/isa/mbarrier_form.hpp"
#include "sim/machine/cta.hpp"
#include "sim/machine/machine.hpp"
#include "sim/machine/site.hpp"
#include "sim/memory/access.hpp"

namespace ptxsim {
namespace {

Site site_at(const Step& s, uint32_t lane) {
  return site_of(*s.cta.launch->program, s.inst, s.cta, static_cast<int>(s.warp.index), static_cast<int>(lane));
}

/// Init and inval write the object's bytes: a write like others, for the order with accesses before and after its life.
void write_bytes(Step& s, int address_operand) {
  WarpAccess access;
  access.space = mbarrier_space(s.inst);
  access.bytes = 8;
  access.mask = s.mask;
  for_lanes(s.mask, [&](uint32_t lane) { access.address[lane] = s.address(address_operand, lane, s.inst.imm[0]); });
  std::array<std::byte, 8 * kLanes> opaque{};
  store(s, access, opaque.data());
}

void start_life(const Step& s, const MbarrierPlace& place, uint32_t lane, uint32_t count) {
  Cluster& cluster = *s.cta.cluster;
  auto [found, fresh] = place.cta->mbarriers.try_emplace(place.address);
  const ActorId actor = fresh ? cluster.new_actor() : found->second.actor;
  const Tick tick = fresh ? 1 : found->second.tick + 1;
  Mbarrier object;
  object.valid = true;
  object.expected = count;
  object.pending = count;
  object.actor = actor;
  object.init_tick = tick;
  object.tick = tick + 1;
  object.observed = tick;
  object.initialised_at = site_at(s, lane);
  object.init_warp = s.warp.actor;
  object.init_warp_tick = s.warp.tick;
  object.init_lanes = uint32_t{1} << lane;
  found->second = std::move(object);
  s.warp.clocks.generic.see(cluster.uid, actor, tick);
}

Outcome init(Step& s) {
  std::array<MbarrierPlace, kLanes> places;
  for_lanes(s.mask, [&](uint32_t lane) {
    const Place at = resolve(s, mbarrier_space(s.inst), s.address(0, lane, s.inst.imm[0]), 8, lane, 8);
    places[lane] = {at.cta, static_cast<uint32_t>(at.offset)};
    if (at.space != Space::shared || at.cta != &s.cta)
      s.fault(HazardId::H22, "an mbarrier is initialised in the CTA's own shared memory", static_cast<int>(lane));
    const auto found = s.cta.mbarriers.find(places[lane].address);
    if (found == s.cta.mbarriers.end() || !found->second.valid) return;
    s.hazard(HazardId::H13, mbarrier_name(places[lane]) + " is initialised again without inval", static_cast<int>(lane),
             &found->second.initialised_at);
    found->second.valid = false;
  });
  write_bytes(s, 0);
  const auto count = s.lanes<uint32_t>(1);
  for_lanes(s.mask, [&](uint32_t lane) {
    if (count[lane] == 0 || count[lane] > kMaxMbarrierCount)
      s.hazard(HazardId::H14,
               mbarrier_name(places[lane]) + " is initialised for " + std::to_string(count[lane]) +
                   " arrivals, expected 1 to 1048575",
               static_cast<int>(lane));
    start_life(s, places[lane], lane, count[lane]);
  });
  return Outcome::next;
}

Outcome inval(Step& s) {
  for_lanes(s.mask, [&](uint32_t lane) {
    const MbarrierPlace place = mbarrier_of(s, mbarrier_space(s.inst), s.address(0, lane, s.inst.imm[0]), lane);
    mbarrier_at(place).valid = false;
  });
  write_bytes(s, 0);
  return Outcome::next;
}

/// What the lanes of a group did becomes known to who waits for the phase. A remote arrival with .cta scope, which does
/// not include the waiter, orders nothing.
void publish(const Step& s, const MbarrierPlace& place, uint32_t lanes) {
  Step group = s;
  group.mask = lanes;
  Mbarrier& object = mbarrier_at(place);
  const bool own = place.cta == &s.cta;
  if (!own && !has(s.inst, kClusterScope)) return;
  Clocks& gathering = own ? object.gathering : object.gathering_cluster;
  if (has(s.inst, kRelaxed))
    release_fenced(group, own ? Scope::cta : Scope::cluster, gathering);
  else
    release(group, gathering);
}

uint32_t arrivals_of(const Step& s, uint32_t lane) {
  return has(s.inst, kExpect) || s.inst.operand_count <= 2 ? 1 : s.lanes<uint32_t>(2)[lane];
}

/// The first of `lanes` whose arrivals the phase in progress still waits for; the others come into a later one.
uint32_t lanes_of_phase(const Step& s, const Mbarrier& object, uint32_t lanes) {
  uint32_t together = 0;
  for (int64_t pending = object.pending; lanes != 0 && (pending > 0 || together == 0); lanes &= lanes - 1) {
    const uint32_t lane = static_cast<uint32_t>(std::countr_zero(lanes));
    together |= uint32_t{1} << lane;
    pending -= arrivals_of(s, lane);
  }
  return together;
}

void arrive_lane(const Step& s, const MbarrierPlace& place, uint32_t lane) {
  Mbarrier& object = mbarrier_at(place);
  const Site site = site_at(s, lane);
  const bool expects = has(s.inst, kExpect);
  const uint32_t count = arrivals_of(s, lane);
  if (count == 0 || count > kMaxMbarrierCount)
    s.hazard(HazardId::H14, "a count of " + std::to_string(count) + " arrivals, expected 1 to 1048575",
             static_cast<int>(lane));
  if (!s.sink(0)) s.lanes<uint64_t>(0).set(lane, mbarrier_state(place, object, has(s.inst, kNoComplete)));
  if (has(s.inst, kNoComplete) && object.pending <= count)
    s.hazard(HazardId::H14, "arrive.noComplete completes the phase of " + mbarrier_name(place), static_cast<int>(lane),
             &object.initialised_at);
  if (expects) mbarrier_expect_tx(s.machine, place, s.lanes<uint32_t>(2)[lane], site);
  if (has(s.inst, kDrop)) {
    if (count > object.expected)
      s.hazard(HazardId::H14, "more arrivals are dropped than " + mbarrier_name(place) + " expects",
               static_cast<int>(lane), &object.initialised_at);
    object.expected -= std::min(count, object.expected);
  }
  mbarrier_arrive(s.machine, place, count, site);
}

Outcome arrive(Step& s) {
  for_address_groups(s, 1, [&](const MbarrierPlace& place, uint32_t group) {
    if (place.cta != &s.cta && !s.sink(0))
      s.fault(HazardId::H22, "an arrival at " + mbarrier_name(place) + ", of another CTA, has no state as result",
              std::countr_zero(group));
    for (uint32_t rest = group; rest != 0;) {
      const uint32_t together = lanes_of_phase(s, mbarrier_at(place), rest);
      publish(s, place, together);
      for_lanes(together, [&](uint32_t lane) { arrive_lane(s, place, lane); });
      rest &= ~together;
    }
  });
  return Outcome::next;
}

Outcome expect_tx(Step& s) {
  for_address_groups(s, 0, [&](const MbarrierPlace& place, uint32_t group) {
    for_lanes(group, [&](uint32_t lane) {
      mbarrier_expect_tx(s.machine, place, s.lanes<uint32_t>(1)[lane], site_at(s, lane));
    });
  });
  return Outcome::next;
}

Outcome complete_tx(Step& s) {
  for_address_groups(s, 0, [&](const MbarrierPlace& place, uint32_t group) {
    for_lanes(group, [&](uint32_t lane) {
      mbarrier_complete_tx(s.machine, place, s.lanes<uint32_t>(1)[lane], site_at(s, lane));
    });
  });
  return Outcome::next;
}

Outcome pending_count(Step& s) {
  auto out = s.lanes<uint32_t>(0);
  const auto state = s.lanes<uint64_t>(1);
  for_lanes(s.mask, [&](uint32_t lane) {
    const MbarrierState seen(state[lane]);
    if (!seen.valid || !seen.no_complete)
      s.hazard(HazardId::H14, "pending_count reads a state that no arrive.noComplete returned", static_cast<int>(lane));
    out.set(lane, seen.pending);
  });
  return Outcome::next;
}

void decode_arrival(Decode& d, int64_t form) {
  if (d.flag("expect_tx")) form |= kExpect;
  if (d.flag("noComplete")) form |= kNoComplete;
  form |= mbarrier_order(d, "release");
  if ((form & kExpect) == 0 && d.flag("noComplete")) form |= kNoComplete;
  if ((form & kNoComplete) != 0 && (form & kRelaxed) != 0) d.invalid("noComplete and relaxed exclude each other");
  const Space space = mbarrier_space_modifier(d, true);
  d.type({Type::b64});
  if (space == Space::shared_cluster && !d.next_is_sink()) d.invalid("an arrival in shared::cluster has the result _");
  d.out(Type::b64);
  mbarrier_address(d, space);
  if (d.operands_left() > 0 || (form & (kExpect | kNoComplete)) != 0) d.in(Type::u32);
  d.imm(1, form);
  d.emit(&arrive);
}

void decode_bytes(Decode& d, Handler handler) {
  mbarrier_order(d, nullptr);
  const Space space = mbarrier_space_modifier(d, true);
  d.type({Type::b64});
  mbarrier_address(d, space);
  d.in(Type::u32);
  d.emit(handler);
}

}  // namespace

void decode_mbarrier_init(Decode& d) {
  const Space space = mbarrier_space_modifier(d, false);
  d.type({Type::b64});
  mbarrier_address(d, space);
  d.in(Type::u32);
  d.emit(&init);
}

void decode_mbarrier_inval(Decode& d) {
  const Space space = mbarrier_space_modifier(d, false);
  d.type({Type::b64});
  mbarrier_address(d, space);
  d.emit(&inval);
}

void decode_mbarrier_arrive(Decode& d) { decode_arrival(d, 0); }
void decode_mbarrier_arrive_drop(Decode& d) { decode_arrival(d, kDrop); }
void decode_mbarrier_expect_tx(Decode& d) { decode_bytes(d, &expect_tx); }
void decode_mbarrier_complete_tx(Decode& d) { decode_bytes(d, &complete_tx); }

void decode_mbarrier_pending_count(Decode& d) {
  d.type({Type::b64});
  d.out(Type::u32);
  d.in(Type::b64);
  d.emit(&pending_count);
}

}  // namespace ptxsim
