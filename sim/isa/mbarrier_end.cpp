// SPDX-License-Identifier: Apache-2.0
// What mbarriers have to say when a CTA ends, and when nothing can run.
#include <algorithm>

#include "sim/isa/hooks.hpp"
#include "sim/isa/mbarrier.hpp"
#include "sim/machine/cta.hpp"
#include "sim/machine/machine.hpp"

namespace ptxsim {
namespace {

Hazard hazard_of(const Cta& cta, HazardId id, const Site& site, std::string what) {
  Hazard hazard;
  hazard.id = id;
  hazard.kernel = cta.launch->entry->name;
  hazard.site = site;
  hazard.what = std::move(what);
  return hazard;
}

bool known_at_end(const Cta& cta, const Event& event) {
  return std::any_of(cta.warps.begin(), cta.warps.end(),
                     [&](const Warp& warp) { return warp.clocks.generic.knows(cta.cluster->uid, event); });
}

/// " 3 of 4 arrivals pending, 8192 bytes expected, 4096 landed".
std::string counts(const Mbarrier& object) {
  std::string text = std::to_string(object.pending) + " of " + std::to_string(object.expected) + " arrivals pending";
  if (object.expected_bytes != 0 || object.landed_bytes != 0)
    text += ", " + std::to_string(object.expected_bytes) + " bytes expected, " + std::to_string(object.landed_bytes) +
            " landed";
  return text;
}

bool at_rest(const Mbarrier& object) {
  return !object.valid || (object.pending == object.expected && object.tx == 0 && object.waiters.empty());
}

}  // namespace

void mbarrier_exit(Machine& machine, Cta& cta) {
  for (const auto& [address, object] : cta.mbarriers) {
    if (!object.valid) continue;
    const std::string name = mbarrier_name({&cta, address});
    if (object.last_bytes > object.observed)
      machine.checker().note(hazard_of(cta, HazardId::H06, object.last_bytes_at,
                                       "the CTA ends without having waited for the bytes that " + name +
                                           " counts in phase " +
                                           std::to_string(object.last_bytes - object.init_tick - 1)));
    if (!machine.checker().checks().memory_order) continue;
    for (const Mbarrier::RemoteUse& use : object.remote_uses)
      if (use.tick > object.observed && !known_at_end(cta, use.event))
        machine.checker().note(hazard_of(cta, HazardId::H19, use.site,
                                         name + " is used by another CTA, and nothing orders that before the end of "
                                                "the CTA that holds it"));
  }
}

void mbarrier_deadlock(Machine& machine, Cta& cta, std::string& text) {
  for (const auto& [address, object] : cta.mbarriers) {
    if (at_rest(object)) continue;
    const std::string name = mbarrier_name({&cta, address});
    text += "\n  " + name + ", initialised at line " + std::to_string(object.initialised_at.line) + ": phase " +
            std::to_string(object.phase) + " (parity " + std::to_string(object.phase & 1) + "), " + counts(object);
    if (object.tx != 0)
      machine.checker().note(hazard_of(cta, HazardId::H18, object.last_bytes_at,
                                       name + ", phase " + std::to_string(object.phase) + ": " + counts(object)));
  }
}

}  // namespace ptxsim
