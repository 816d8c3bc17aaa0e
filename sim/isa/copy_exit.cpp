// SPDX-License-Identifier: Apache-2.0
// What asynchronous copies have to say when a CTA ends: its shared memory goes with it (H06).
#include <algorithm>

#include "sim/isa/copy_groups.hpp"
#include "sim/isa/hooks.hpp"
#include "sim/machine/machine.hpp"
#include "sim/machine/site.hpp"

namespace ptxsim {
namespace {

void note(Machine& machine, const Warp& warp, uint32_t lane, const Inst& inst, const char* what) {
  Hazard hazard;
  hazard.id = HazardId::H06;
  hazard.kernel = warp.cta->launch->entry->name;
  hazard.site =
      site_of(*warp.cta->launch->program, inst, *warp.cta, static_cast<int>(warp.index), static_cast<int>(lane));
  hazard.what = what;
  machine.checker().note(std::move(hazard));
}

bool known(const Cta& cta, const Event& event) {
  return std::any_of(cta.warps.begin(), cta.warps.end(),
                     [&](const Warp& warp) { return warp.clocks.generic.knows(cta.cluster->uid, event); });
}

}  // namespace

/// Results in global memory land whether or not anyone waits; the sources must have been read.
void bulk_exit(Machine& machine, Cta& cta) {
  for (const Warp& warp : cta.warps) {
    const CopyGroups* groups = CopyGroups::find(warp, CopyKind::bulk);
    if (groups == nullptr) continue;
    for (uint32_t lane = 0; lane < kLanes; ++lane)
      if (const Inst* inst = groups->unread(lane); inst != nullptr)
        note(machine, warp, lane, *inst,
             "the CTA ends without having waited until the source of this copy has been read "
             "(cp.async.bulk.wait_group.read)");
    for (const CopyGroups::Lent& lent : groups->lent())
      if (!known(cta, lent.event))
        note(machine, warp, lent.lane, *lent.inst,
             "the CTA ends, and nothing orders that after the end of this copy out of its shared memory");
  }
}

void cp_async_exit(Machine& machine, Cta& cta) {
  for (const Warp& warp : cta.warps) {
    const CopyGroups* groups = CopyGroups::find(warp, CopyKind::cp_async);
    if (groups == nullptr) continue;
    for (uint32_t lane = 0; lane < kLanes; ++lane)
      if (const Inst* inst = groups->unfinished(lane); inst != nullptr)
        note(machine, warp, lane, *inst,
             "the CTA ends without having waited for this copy (cp.async.wait_group, cp.async.wait_all)");
  }
}

}  // namespace ptxsim
