// SPDX-License-Identifier: Apache-2.0
#include "sim/machine/step.hpp"

#include "sim/machine/cta.hpp"
#include "sim/machine/machine.hpp"
#include "sim/machine/site.hpp"

namespace ptxsim {

Site site_of(const Program& program, const Inst& inst, const Cta& cta, int warp, int lane) {
  Site site;
  site.line = inst.line;
  site.source = program.source_text(inst.source);
  site.cta = cta.index;
  site.warp = warp;
  site.lane = lane;
  return site;
}

namespace {

Hazard hazard_at(const Step& step, HazardId id, const std::string& what, int lane) {
  Hazard hazard;
  hazard.id = id;
  hazard.kernel = step.cta.launch->entry->name;
  hazard.site = site_of(*step.cta.launch->program, step.inst, step.cta, static_cast<int>(step.warp.index), lane);
  hazard.what = what;
  return hazard;
}

}  // namespace

void Step::fault(HazardId id, const std::string& what, int lane) const {
  throw LaunchFault{hazard_at(*this, id, what, lane)};
}

void Step::hazard(HazardId id, const std::string& what, int lane, const Site* other) const {
  Hazard found = hazard_at(*this, id, what, lane);
  if (other != nullptr) found.other = *other;
  machine.checker().note(std::move(found));
}

std::string lane_list(uint32_t mask) {
  std::string text;
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    uint32_t last = lane;
    while (last + 1 < kLanes && (mask >> (last + 1) & 1) != 0) ++last;
    text += (text.empty() ? "" : " ") + std::to_string(lane) + (last > lane ? "-" + std::to_string(last) : "");
    lane = last;
  }
  return text;
}

}  // namespace ptxsim
