// SPDX-License-Identifier: Apache-2.0
#include "sim/isa/copy_groups.hpp"

#include <algorithm>

namespace ptxsim {
namespace {

std::shared_ptr<void>& place_of(Warp& warp, CopyKind kind) {
  return kind == CopyKind::bulk ? warp.bulk : warp.cp_async;
}

// Wait::value: kind, newest and read, lanes.
struct Waiting {
  CopyKind kind;
  uint64_t newest;
  bool read;
  uint32_t lanes;
};
Waiting waiting_of(const Wait& wait) {
  return {static_cast<CopyKind>(wait.value[0]), wait.value[1] >> 1, (wait.value[1] & 1) != 0,
          static_cast<uint32_t>(wait.value[2])};
}

bool wait_ready(Machine&, Warp& warp, Split& split) {
  const Waiting w = waiting_of(split.wait);
  return CopyGroups::of(warp, w.kind).ready(w.lanes, w.newest, w.read);
}

void wait_resume(Machine&, Warp& warp, Split& split) {
  const Waiting w = waiting_of(split.wait);
  CopyGroups::of(warp, w.kind).pass(warp, w.lanes, w.newest, w.read);
}

}  // namespace

CopyGroups::CopyGroups(Cluster& cluster, CopyKind kind) : cluster_(cluster.uid), reads_(cluster.new_actor()) {
  // Sources of bulk copies may be waited for apart from their writes.
  writes_ = kind == CopyKind::bulk ? cluster.new_actor() : reads_;
}

CopyGroups& CopyGroups::of(Warp& warp, CopyKind kind) {
  std::shared_ptr<void>& place = place_of(warp, kind);
  if (place == nullptr) place = std::shared_ptr<CopyGroups>(new CopyGroups(*warp.cta->cluster, kind));
  return *static_cast<CopyGroups*>(place.get());
}

CopyGroups* CopyGroups::find(const Warp& warp, CopyKind kind) {
  return static_cast<CopyGroups*>((kind == CopyKind::bulk ? warp.bulk : warp.cp_async).get());
}

std::shared_ptr<CopyFlight> CopyGroups::issue(const Step& step, uint32_t lanes) {
  auto flight = std::make_shared<CopyFlight>();
  flight->tick = ++tick_;
  flight->lanes = lanes;
  for_lanes(lanes, [&](uint32_t lane) {
    lanes_[lane].issued = tick_;
    lanes_[lane].last = &step.inst;
  });
  flights_.push_back(flight);
  return flight;
}

void CopyGroups::commit(uint32_t lanes) {
  for_lanes(lanes, [&](uint32_t lane) { lanes_[lane].groups.push_back(lanes_[lane].issued); });
}

Tick CopyGroups::limit(const Lane& lane, uint64_t newest) const {
  return lane.groups.size() > newest ? lane.groups[lane.groups.size() - 1 - newest] : lane.done_seen;
}

bool CopyGroups::ready(uint32_t lanes, uint64_t newest, bool read) {
  while (!flights_.empty() && flights_.front()->done) flights_.pop_front();
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const uint32_t lane = static_cast<uint32_t>(std::countr_zero(rest));
    const Tick end = limit(lanes_[lane], newest);
    for (const auto& flight : flights_) {
      if (flight->tick > end) break;
      if ((flight->lanes >> lane & 1) != 0 && !(read ? flight->read : flight->done)) return false;
    }
  }
  return true;
}

bool CopyGroups::done(uint32_t lanes, Tick up_to) {
  while (!flights_.empty() && flights_.front()->done) flights_.pop_front();
  return std::none_of(flights_.begin(), flights_.end(), [&](const auto& flight) {
    return flight->tick <= up_to && (flight->lanes & lanes) != 0 && !flight->done;
  });
}

void CopyGroups::pass(Warp& warp, uint32_t lanes, uint64_t newest, bool read) {
  for_lanes(lanes, [&](uint32_t index) {
    Lane& lane = lanes_[index];
    const Tick end = limit(lane, newest);
    const auto see = [&](ActorId actor, Tick& seen) {
      if (end <= seen) return;
      warp.clocks.generic.see_lanes(cluster_, actor, end, uint32_t{1} << index);
      seen = end;
    };
    see(reads_, lane.read_seen);
    if (read) return;
    if (writes_ != reads_)
      see(writes_, lane.done_seen);
    else
      lane.done_seen = lane.read_seen;
    while (lane.groups.size() > newest) lane.groups.pop_front();
  });
}

void CopyGroups::hand_over(uint32_t lanes) {
  for_lanes(lanes, [&](uint32_t lane) { lanes_[lane].handed = lanes_[lane].issued; });
}

const Inst* CopyGroups::unread(uint32_t index) const {
  const Lane& lane = lanes_[index];
  return lane.issued > std::max(lane.read_seen, lane.handed) ? lane.last : nullptr;
}
const Inst* CopyGroups::unfinished(uint32_t index) const {
  const Lane& lane = lanes_[index];
  return lane.issued > std::max(lane.done_seen, lane.handed) ? lane.last : nullptr;
}

Outcome wait_copies(Step& step, CopyKind kind, uint64_t newest, bool read) {
  CopyGroups& groups = CopyGroups::of(step.warp, kind);
  if (groups.ready(step.mask, newest, read)) {
    groups.pass(step.warp, step.mask, newest, read);
    return Outcome::next;
  }
  Wait& wait = step.split.wait;
  wait.kind = kind == CopyKind::bulk ? Wait::Kind::bulk_group : Wait::Kind::cp_async_group;
  wait.ready = &wait_ready;
  wait.resume = &wait_resume;
  wait.value = {static_cast<uint64_t>(kind), newest << 1 | (read ? 1u : 0u), step.mask};
  return Outcome::blocked;
}

}  // namespace ptxsim
