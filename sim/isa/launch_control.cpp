// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.19 "setmaxnreg" and 9.7.13 "griddepcontrol".
#include <algorithm>

#include "sim/isa/decode.hpp"
#include "sim/isa/hooks.hpp"
#include "sim/machine/cta.hpp"
#include "sim/machine/machine.hpp"
#include "sim/machine/site.hpp"
#include "sim/memory/access.hpp"

namespace ptxsim {
namespace {

constexpr uint32_t kWarpgroup = 4;

uint32_t warps_of_group(const Cta& cta, uint32_t group) {
  const uint32_t first = group * kWarpgroup, count = static_cast<uint32_t>(cta.warps.size());
  const uint32_t in_group = std::min(kWarpgroup, count - first);
  return (uint32_t{1} << in_group) - 1;
}

/// All warps of a warpgroup run the same setmaxnreg before any of them runs the next.
void join_group(const Step& s) {
  const uint32_t group = s.warp.index / kWarpgroup, bit = uint32_t{1} << s.warp.index % kWarpgroup;
  if (s.cta.register_changes.size() <= group) s.cta.register_changes.resize(group + 1);
  Cta::RegisterChange& change = s.cta.register_changes[group];
  if (change.warps == 0) change.inst = &s.inst;
  if (change.inst != &s.inst || (change.warps & bit) != 0) {
    const Site other = site_of(*s.cta.launch->program, *change.inst, s.cta);
    s.hazard(HazardId::H23, "the warps of warpgroup " + std::to_string(group) + " do not run the same setmaxnreg", -1,
             &other);
    change = {&s.inst, 0};
  }
  change.warps |= bit;
  if (change.warps == warps_of_group(s.cta, group)) change = {};
}

/// imm[0]: registers per thread.
uint32_t wanted(const Inst& inst) { return static_cast<uint32_t>(inst.imm[0]); }

Outcome decrease(Step& s) {
  const uint32_t have = s.warp.registers_per_thread, want = wanted(s.inst);
  join_group(s);
  if (want > have) {
    s.hazard(HazardId::H23, "setmaxnreg.dec to " + std::to_string(want) + " where a thread has " +
                                std::to_string(have) + " registers");
    return Outcome::next;
  }
  s.cta.register_pool += (have - want) * kLanes;
  s.warp.registers_per_thread = want;
  s.machine.event();
  return Outcome::next;
}

/// Takes them from the pool; false when it has not enough.
bool take(Warp& warp, uint32_t want) {
  const uint32_t needed = (want - warp.registers_per_thread) * kLanes;
  if (warp.cta->register_pool < needed) return false;
  warp.cta->register_pool -= needed;
  warp.registers_per_thread = want;
  return true;
}

Outcome increase(Step& s) {
  const uint32_t have = s.warp.registers_per_thread, want = wanted(s.inst);
  join_group(s);
  if (want < have) {
    s.hazard(HazardId::H23, "setmaxnreg.inc to " + std::to_string(want) + " where a thread has " +
                                std::to_string(have) + " registers");
    return Outcome::next;
  }
  if (take(s.warp, want)) return Outcome::next;
  s.split.wait.kind = Wait::Kind::registers;
  s.split.wait.value = {want};
  s.split.wait.ready = [](Machine&, Warp& warp, Split& split) {
    return take(warp, static_cast<uint32_t>(split.wait.value[0]));
  };
  return Outcome::blocked;
}

/// The prerequisite grid has ended and flushed its memory: all that earlier grids did is known.
void see_prerequisite(Warp& warp) {
  const uint32_t first = warp.cta->launch->first_cluster_uid;
  warp.clocks.generic.see_before(first);
  warp.clocks.async_.see_before(first);
}

bool prerequisite_ended(const Launch& launch) { return launch.prerequisite == nullptr || launch.prerequisite->ended; }

Outcome wait_for_grid(Step& s) {
  if (prerequisite_ended(*s.cta.launch)) {
    see_prerequisite(s.warp);
    return Outcome::next;
  }
  s.split.wait.kind = Wait::Kind::grid_dependency;
  s.split.wait.ready = [](Machine&, Warp& warp, Split&) { return prerequisite_ended(*warp.cta->launch); };
  s.split.wait.resume = [](Machine&, Warp& warp, Split&) { see_prerequisite(warp); };
  return Outcome::blocked;
}

/// The first thread of the CTA that gets here speaks for all.
Outcome launch_dependents(Step& s) {
  if (!s.cta.released_dependents) {
    s.cta.released_dependents = true;
    ++s.cta.launch->ctas_released_dependents;
    s.machine.event();
  }
  return Outcome::next;
}

}  // namespace

/// setmaxnreg.inc|dec.sync.aligned.u32 imm
void decode_setmaxnreg(Decode& d) {
  const bool up = d.must_be_one_of({"inc", "dec"}) == 0;
  d.must_be_one_of({"sync"});
  d.must_be_one_of({"aligned"});
  d.type({Type::u32});
  const int64_t count = d.immediate();
  if (count < 24 || count > 256 || count % 8 != 0)
    d.invalid(std::to_string(count) + " registers, expected a multiple of 8 from 24 to 256");
  d.imm(0, count);
  d.emit(up ? &increase : &decrease);
}

void decode_griddepcontrol_wait(Decode& d) { d.emit(&wait_for_grid); }
void decode_griddepcontrol_launch(Decode& d) { d.emit(&launch_dependents); }

void setmaxnreg_exit(Machine& machine, Cta& cta) {
  for (size_t group = 0; group < cta.register_changes.size(); ++group) {
    const Cta::RegisterChange& change = cta.register_changes[group];
    if (change.warps == 0) continue;
    Hazard hazard;
    hazard.id = HazardId::H23;
    hazard.kernel = cta.launch->entry->name;
    hazard.site = site_of(*cta.launch->program, *change.inst, cta);
    hazard.what = "only some warps of warpgroup " + std::to_string(group) + " run this setmaxnreg";
    machine.checker().note(std::move(hazard));
  }
}

void setmaxnreg_deadlock(Machine& machine, Cta& cta, std::string& text) {
  for (const Warp& warp : cta.warps) {
    for (const Split& split : warp.splits) {
      if (split.wait.kind != Wait::Kind::registers) continue;
      Hazard hazard;
      hazard.id = HazardId::H23;
      hazard.kernel = cta.launch->entry->name;
      hazard.site.line = split.wait.line;
      hazard.site.cta = cta.index;
      hazard.site.warp = static_cast<int32_t>(warp.index);
      hazard.what = "setmaxnreg.inc from " + std::to_string(warp.registers_per_thread) + " to " +
                    std::to_string(split.wait.value[0]) + " registers per thread, and the CTA's pool has " +
                    std::to_string(cta.register_pool);
      text += "\n  warp " + std::to_string(warp.index) + ": " + hazard.what;
      machine.checker().note(std::move(hazard));
    }
  }
}

}  // namespace ptxsim
