// SPDX-License-Identifier: Apache-2.0
#include "sim/memory/checks.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>

#include "sim/machine/cta.hpp"
#include "sim/machine/machine.hpp"
#include "sim/machine/site.hpp"

namespace ptxsim {
namespace {

constexpr uint32_t kMbarrierBytes = 8;

std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

Access access_of(const Step& step, const Event& event) {
  Access access;
  access.event = event;
  access.by = {step.cta.cluster->uid, step.cta.rank};
  access.line = step.inst.line;
  access.cta = step.cta.index;
  access.warp = static_cast<int32_t>(step.warp.index);
  return access;
}

Accessor accessor_of(const Step& step, const Access& access, uint32_t lanes) {
  return {access, &step.warp.clocks, step.warp.actor, lanes, step.warp.converged, step.warp.groups};
}

/// The other party; the source line is known when it runs the same program.
Site site_of_access(const Step& step, const Access& access, uint32_t lanes) {
  const Program& program = *step.cta.launch->program;
  Site site;
  const auto inst = std::find_if(program.code.begin(), program.code.end(),
                                 [&](const Inst& each) { return each.line == access.line; });
  if (inst != program.code.end()) site = site_of(program, *inst, step.cta);
  site.line = access.line;
  site.cta = access.cta;
  site.warp = access.warp;
  site.lane = std::has_single_bit(lanes) ? std::countr_zero(lanes) : -1;
  return site;
}

std::string lanes_text(uint32_t lanes) {
  if (lanes == kAllLanes) return "";
  return (std::has_single_bit(lanes) ? " lane " : " lanes ") + lane_list(lanes);
}

/// "the asynchronous read by warp 3 of CTA 0 at line 44".
std::string party_text(const Finding& finding, bool was_write) {
  const Access& other = finding.other;
  std::string text = std::string("the ") +
                     (other.async    ? "asynchronous "
                      : other.strong ? "strong "
                                     : "") +
                     (was_write ? "write" : "read") + " by warp " + std::to_string(other.warp);
  if (!other.async) text += lanes_text(finding.other_lanes);
  return text + " of CTA " + std::to_string(other.cta) + " at line " + std::to_string(other.line);
}

std::string reason(const Finding& finding) {
  const bool was_write = finding.race != Race::unordered_read;
  switch (finding.race) {
    case Race::none: return "";
    case Race::never_written: return "nobody has written the bytes";
    case Race::unfenced: return "no fence.proxy.async stands between it and " + party_text(finding, was_write);
    case Race::unordered_read:
    case Race::unordered_write: {
      const Access& other = finding.other;
      std::string text = "nothing orders it after " + party_text(finding, was_write);
      if (other.bulk && !was_write) text += " (cp.async.bulk.wait_group.read)";
      return text;
    }
    case Race::unobserved_write: return "its completion has not been observed: " + party_text(finding, true);
    case Race::in_flight: return "it may still be in flight: " + party_text(finding, true);
  }
  return "";
}

void report(const Step& step, HazardId id, const Finding& finding, const std::string& where, const Accessor& who,
            Touch touch) {
  std::string what = std::string(who.access.async ? "asynchronous " : "") +
                     (touch == Touch::read    ? "read of "
                      : touch == Touch::write ? "write to "
                                              : "atomic on ") +
                     where + lanes_text(finding.lanes) + ": " + reason(finding);
  const int lane = std::has_single_bit(finding.lanes) ? std::countr_zero(finding.lanes) : -1;
  if (finding.race == Race::never_written) {
    step.hazard(id, what, lane);
    return;
  }
  const Site other = site_of_access(step, finding.other, finding.other_lanes);
  step.hazard(id, what, lane, &other);
}

bool wanted(const Step& step, Race race) {
  const Checks& checks = step.machine.checker().checks();
  return race == Race::never_written ? checks.initialised : checks.memory_order;
}

void check_mbarriers(const Step& step, Cta& cta, uint32_t address, uint32_t bytes) {
  if (cta.mbarriers.empty()) return;
  auto at = cta.mbarriers.lower_bound(address > kMbarrierBytes - 1 ? address - (kMbarrierBytes - 1) : 0);
  for (; at != cta.mbarriers.end() && at->first < address + bytes; ++at) {
    if (!at->second.valid) continue;
    step.hazard(HazardId::H13,
                "the access to " + std::to_string(bytes) + " bytes at shared " + hex(address) + " of CTA " +
                    std::to_string(cta.index) + " touches the live mbarrier at " + hex(at->first),
                -1, &at->second.initialised_at);
    return;
  }
}

HazardId global_id(const Finding& finding, const Step& step) {
  const bool same_cta = finding.other.by == Party{step.cta.cluster->uid, step.cta.rank};
  if (finding.race == Race::unfenced) return HazardId::H04;
  if (finding.race == Race::unobserved_write && same_cta) return HazardId::H07;
  return HazardId::H10;
}

/// PTX ISA, "ld.global.nc": the bytes are read-only for the life of the kernel.
void check_non_coherent(const Step& step, const DeviceMemory::Block& block, uint64_t address, uint64_t bytes) {
  for (uint64_t at = address; at < address + bytes; ++at) {
    const Access* write = block.history.last_write(at - block.address);
    if (write == nullptr || write->event.cluster < step.cta.launch->first_cluster_uid) continue;
    const Site other = site_of_access(step, *write, write->event.lanes);
    step.hazard(HazardId::H10,
                "ld.global.nc reads byte " + step.machine.memory().describe(at) + ", which this launch has written", -1,
                &other);
    return;
  }
}

/// Remembers, for the end of the CTA, that a warp of another one was here.
void note_remote(const Step& step, Cta& cta, const Event& event) {
  auto& all = cta.remote_accesses;
  auto at = std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.event.actor == event.actor; });
  if (at == all.end()) at = all.emplace(at);
  *at = {event, site_of(*step.cta.launch->program, step.inst, step.cta, static_cast<int>(step.warp.index),
                        std::countr_zero(event.lanes))};
}

}  // namespace

Accessor generic_accessor(const Step& step, uint32_t lanes) {
  const Event event{step.cta.cluster->uid, step.warp.actor, step.warp.tick, lanes};
  return accessor_of(step, access_of(step, event), lanes);
}

Accessor async_accessor(const Step& step, const Event& event) {
  Access access = access_of(step, event);
  access.async = true;
  const IsaClass isa_class = step.inst.row->isa_class;
  access.bulk = isa_class == IsaClass::bulk_copy;
  access.proxy = access.bulk || isa_class == IsaClass::matrix;
  return accessor_of(step, access, step.mask);
}

void check_shared(const Step& step, Cta& cta, uint32_t address, uint32_t bytes, const Accessor& who, Touch touch) {
  check_mbarriers(step, cta, address, bytes);
  if (&cta != &step.cta && !who.access.async) note_remote(step, cta, who.access.event);
  const uint32_t offset = address - kSharedWindow;
  if (touch == Touch::read_write && step.machine.checker().checks().initialised &&
      !cta.shadow.initialised(offset, bytes))
    step.hazard(HazardId::H11,
                "atomic on " + std::to_string(bytes) + " bytes at shared " + hex(address) + " that nobody has written");
  Conflict conflict;
  const bool wrong = touch == Touch::read ? cta.shadow.read(offset, bytes, who, &conflict)
                                          : cta.shadow.write(offset, bytes, who, &conflict);
  if (!wrong || !wanted(step, conflict.finding.race)) return;
  const std::string where = "shared " + hex(conflict.finding.offset + kSharedWindow) +
                            (&cta == &step.cta ? "" : " of CTA " + std::to_string(cta.index));
  report(step, conflict.id, conflict.finding, where, who, touch);
}

void check_global(const Step& step, uint64_t address, uint64_t bytes, const Accessor& who, Touch touch,
                  bool non_coherent) {
  DeviceMemory& memory = step.machine.memory();
  DeviceMemory::Block& block = *memory.find(address, bytes);
  const uint64_t offset = address - block.address;
  uint8_t* written = block.initialised.data() + offset;
  if (touch != Touch::read && block.constant)
    step.fault(HazardId::H22, "writes constant memory: " + memory.describe(address));
  if (touch != Touch::write && step.machine.checker().checks().initialised) {
    if (const void* hole = std::memchr(written, 0, bytes); hole != nullptr)
      step.hazard(HazardId::H11,
                  "nobody has written what is read: " +
                      memory.describe(address + static_cast<uint64_t>(static_cast<const uint8_t*>(hole) - written)));
  }
  if (touch != Touch::read) std::memset(written, 1, bytes);
  if (block.constant || !step.machine.checker().checks().memory_order) return;
  if (non_coherent) check_non_coherent(step, block, address, bytes);
  const Finding finding =
      touch == Touch::read ? block.history.read(offset, bytes, who) : block.history.write(offset, bytes, who);
  if (finding.race != Race::none)
    report(step, global_id(finding, step), finding, "global " + memory.describe(block.address + finding.offset), who,
           touch);
}

void check_local(const Step& step, uint32_t lane, uint64_t offset, uint32_t bytes, Touch touch) {
  auto& threads = step.cta.local_written;
  const size_t thread = size_t{step.warp.index} * kLanes + lane;
  if (threads.size() <= thread) threads.resize(step.cta.local.size());
  auto& written = threads[thread];
  if (written.size() < offset + bytes) written.resize(step.cta.local[thread].size());
  uint8_t* at = written.data() + offset;
  if (touch != Touch::write && step.machine.checker().checks().initialised && std::memchr(at, 0, bytes) != nullptr)
    step.hazard(HazardId::H11,
                "reads " + std::to_string(bytes) + " bytes of local memory at " + hex(offset) +
                    " that the thread has not written",
                static_cast<int>(lane));
  if (touch != Touch::read) std::memset(at, 1, bytes);
}

}  // namespace ptxsim
