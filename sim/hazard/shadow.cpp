// SPDX-License-Identifier: Apache-2.0
#include "sim/hazard/shadow.hpp"

namespace ptxsim {
namespace {

bool report(const Finding& finding, Conflict* conflict) {
  if (finding.race == Race::none) return false;
  conflict->finding = finding;
  switch (finding.race) {
    case Race::none:
    case Race::never_written: conflict->id = HazardId::H11; break;
    case Race::unfenced: conflict->id = HazardId::H04; break;
    case Race::unordered_read: conflict->id = finding.other.bulk ? HazardId::H05 : HazardId::H09; break;
    case Race::unordered_write: conflict->id = HazardId::H08; break;
    case Race::unobserved_write:
    case Race::in_flight: conflict->id = HazardId::H07; break;
  }
  return true;
}

}  // namespace

bool SharedShadow::read(uint32_t offset, uint32_t bytes, const Accessor& who, Conflict* conflict) {
  return report(history_.read(offset, bytes, who), conflict);
}

bool SharedShadow::write(uint32_t offset, uint32_t bytes, const Accessor& who, Conflict* conflict) {
  return report(history_.write(offset, bytes, who), conflict);
}

void SharedShadow::complete(uint32_t offset, uint32_t bytes, const Event& event, int32_t line) {
  Access done;
  // What was in flight tells who issued it and in which proxy.
  if (const Access* issued = history_.last_write(offset); issued != nullptr && issued->async) done = *issued;
  done.event = event;
  done.line = line;
  done.async = true;
  done.in_flight = false;
  history_.overwrite(offset, bytes, done);
}

}  // namespace ptxsim
