// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.13 "mbarrier.test_wait, mbarrier.try_wait".
#include <algorithm>

#include "sim/isa/decode.hpp"
#include "sim/isa/fenced.hpp"
#include "sim/isa/mbarrier_form.hpp"
#include "sim/machine/cta.hpp"
#include "sim/machine/machine.hpp"
#include "sim/memory/access.hpp"

namespace ptxsim {
namespace {

/// A try_wait gives up after a time: after so many events elsewhere. A test_wait that failed looks again after the
/// next one, since no result can change before.
constexpr uint64_t kTryWaitEvents = 16, kTestWaitEvents = 1;

/// What the lanes of a group wait for, and whether it has come.
struct Look {
  uint32_t done = 0;   ///< lanes
  uint64_t phase = 0;  ///< that the others wait for
};

void report_missed(const Step& s, const MbarrierPlace& place, uint32_t lane, uint64_t waited) {
  const Mbarrier& object = mbarrier_at(place);
  s.hazard(HazardId::H15,
           "waits for phase " + std::to_string(waited) + " of " + mbarrier_name(place) + ", which is in phase " +
               std::to_string(object.phase) + ": only the phase in progress and the one before can be told apart",
           static_cast<int>(lane), &object.initialised_at);
}

/// The parity names the phase in progress or the one just complete.
void look_by_parity(const Step& s, const MbarrierPlace& place, uint32_t group, Look& look) {
  Mbarrier& object = mbarrier_at(place);
  const auto parity = s.lanes<uint32_t>(2);
  for_lanes(group, [&](uint32_t lane) {
    if (parity[lane] > 1)
      s.fault(HazardId::H15, "a phase parity of " + std::to_string(parity[lane]) + ", expected 0 or 1",
              static_cast<int>(lane));
    if (parity[lane] != (object.phase & 1)) look.done |= uint32_t{1} << lane;
  });
  look.phase = object.phase;
  for (Mbarrier::Waiter& waiter : object.waiters) {
    const uint32_t both = waiter.lanes & group;
    if (waiter.warp != s.warp.actor || both == 0) continue;
    const uint32_t lane = static_cast<uint32_t>(std::countr_zero(both));
    if (object.phase >= waiter.phase + 2 && parity[lane] == (waiter.phase & 1))
      report_missed(s, place, lane, waiter.phase);
    waiter.lanes &= ~group;
  }
  std::erase_if(object.waiters, [](const Mbarrier::Waiter& waiter) { return waiter.lanes == 0; });
  if (const uint32_t waiting = group & ~look.done; waiting != 0)
    object.waiters.push_back({s.warp.actor, waiting, object.phase});
}

void look_by_state(const Step& s, const MbarrierPlace& place, uint32_t group, Look& look) {
  Mbarrier& object = mbarrier_at(place);
  const auto state = s.lanes<uint64_t>(2);
  for_lanes(group, [&](uint32_t lane) {
    const MbarrierState of(state[lane]);
    if (!of.valid || of.address != place.address)
      s.fault(HazardId::H15, "the state is not one that an arrival at " + mbarrier_name(place) + " returned",
              static_cast<int>(lane));
    if (object.phase >= of.phase + 2) report_missed(s, place, lane, of.phase);
    if (object.phase > of.phase) look.done |= uint32_t{1} << lane;
  });
  look.phase = object.phase;
  std::erase_if(object.waiters, [&](const Mbarrier::Waiter& waiter) { return waiter.warp == s.warp.actor; });
  if ((group & ~look.done) != 0) object.waiters.push_back({s.warp.actor, group & ~look.done, object.phase});
}

void observe(const Step& s, const MbarrierPlace& place, uint32_t lanes) {
  Mbarrier& object = mbarrier_at(place);
  object.observed = std::max(object.observed, object.tick - 1);
  Step group = s;
  group.mask = lanes;
  const bool wide = has(s.inst, kClusterScope);
  if (has(s.inst, kRelaxed)) {
    acquire_at_fence(group, Scope::cta, object.completed);
    if (wide) acquire_at_fence(group, Scope::cluster, object.completed_cluster);
    return;
  }
  acquire(group, object.completed);
  if (wide) acquire(group, object.completed_cluster);
}

/// The phase waited for is complete, or the time is up.
bool ready(Machine& machine, Warp& warp, Split& split) {
  const auto found = warp.cta->mbarriers.find(static_cast<uint32_t>(split.wait.value[0]));
  return found == warp.cta->mbarriers.end() || found->second.phase != split.wait.value[1] ||
         machine.events() >= split.wait.value[2];
}

Outcome wait(Step& s) {
  const bool tries = has(s.inst, kTry);
  auto complete = s.lanes<uint32_t>(0);
  // One draw for the warp: a try_wait may fail although the phase is complete.
  const bool fails = tries && s.machine.chance(s.machine.schedule().spurious_failure);
  bool waits = true;
  for_address_groups(s, 1, [&](const MbarrierPlace& place, uint32_t group) {
    if (place.cta != &s.cta)
      s.fault(HazardId::H22, "waits for " + mbarrier_name(place) + ", of another CTA", std::countr_zero(group));
    Look look;
    if (has(s.inst, kParity))
      look_by_parity(s, place, group, look);
    else
      look_by_state(s, place, group, look);
    if (look.done != 0) waits = false;
    if (look.done != 0 && !fails) observe(s, place, look.done);
    for_lanes(group, [&](uint32_t lane) { complete.set(lane, fails ? 0 : look.done >> lane & 1); });
    s.split.wait.value = {place.address, look.phase, s.machine.events() + (tries ? kTryWaitEvents : kTestWaitEvents)};
  });
  if (!waits) return Outcome::next;
  s.split.wait.kind = Wait::Kind::mbarrier;
  s.split.wait.ready = &ready;
  return Outcome::blocked;
}

/// test_wait|try_wait{.parity}{.sem.scope}{.shared{::cta}}.b64 waitComplete, [addr], state|parity {, suspendTimeHint}
void decode_wait(Decode& d, int64_t form) {
  if (d.flag("parity")) form |= kParity;
  form |= mbarrier_order(d, "acquire");
  const Space space = mbarrier_space_modifier(d, false);
  d.type({Type::b64});
  d.out(Type::pred);
  mbarrier_address(d, space);
  d.in((form & kParity) != 0 ? Type::u32 : Type::b64);
  if ((form & kTry) != 0 && d.operands_left() > 0) d.in(Type::u32);
  d.imm(1, form);
  d.emit(&wait);
}

}  // namespace

void decode_mbarrier_test_wait(Decode& d) { decode_wait(d, 0); }
void decode_mbarrier_try_wait(Decode& d) { decode_wait(d, kTry); }

}  // namespace ptxsim
