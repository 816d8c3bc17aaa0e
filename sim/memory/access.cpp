// SPDX-License-Identifier: Apache-2.0
#include "sim/memory/access.hpp"

#include <algorithm>
#include <cstring>

#include "sim/machine/cta.hpp"
#include "sim/machine/machine.hpp"
#include "sim/memory/banks.hpp"
#include "sim/memory/checks.hpp"
#include "sim/memory/edges.hpp"

namespace ptxsim {
namespace {

/// Lanes whose bytes follow each other, or who all name the same bytes: judged and copied at once.
struct Run {
  uint32_t first = 0, mask = 0, count = 0;
  bool together = false;  ///< all lanes at one address
  uint64_t address = 0;
  Place place;
};

struct Runs {
  std::array<Run, kLanes> run;
  uint32_t count = 0;
  Run* begin() { return run.data(); }
  Run* end() { return run.data() + count; }
};

/// Memory of the thread's own, or the launch's: no lane sees what another does.
bool is_private(Space space, uint64_t address) {
  return space == Space::local || space == Space::param || (space == Space::generic && address >= kGenericLocal);
}

uint32_t run_bytes(const Run& run, uint32_t bytes) { return run.together ? bytes : bytes * run.count; }

void add_lane(Runs& runs, uint32_t lane, uint64_t address, uint32_t bytes) {
  if (runs.count != 0) {
    Run& run = runs.run[runs.count - 1];
    const bool next = !run.together && lane == run.first + run.count && address == run.address + run.count * bytes;
    const bool again = address == run.address && (run.together || run.count == 1);
    if (next || again) {
      run.together = again;
      run.mask |= uint32_t{1} << lane;
      ++run.count;
      return;
    }
  }
  Run& run = runs.run[runs.count++];
  run = Run{};
  run.first = lane;
  run.mask = uint32_t{1} << lane;
  run.count = 1;
  run.address = address;
}

/// Resolves all of a run at once; where that is not possible, lane by lane, so that the fault names its lane.
bool place_run(const Step& step, const WarpAccess& access, Run& run) {
  const uint32_t whole = run_bytes(run, access.bytes);
  if (whole != access.bytes) {
    const bool shared = access.space == Space::shared || access.space == Space::shared_cluster ||
                        (access.space == Space::generic && run.address >= kGenericShared);
    const uint64_t last = run.address + whole - access.bytes;
    const Place first = resolve(step, access.space, run.address, access.bytes, run.first, access.bytes);
    const Place end = resolve(step, access.space, last, access.bytes, run.first + run.count - 1, access.bytes);
    run.place = first;
    return end.cta == first.cta && end.bytes == first.bytes + (whole - access.bytes) &&
           (shared || step.machine.memory().find(run.address, whole) != nullptr);
  }
  run.place = resolve(step, access.space, run.address, access.bytes, run.first, access.bytes);
  return true;
}

/// Puts runs where they belong; those that do not lie in one piece lane by lane.
Runs placed(const Step& step, const WarpAccess& access, Runs&& runs) {
  Runs out;
  for (Run& run : runs) {
    if (place_run(step, access, run)) {
      out.run[out.count++] = run;
      continue;
    }
    for (uint32_t rest = run.mask; rest != 0; rest &= rest - 1) {
      const uint32_t lane = static_cast<uint32_t>(std::countr_zero(rest));
      Run& single = out.run[out.count++];
      single = Run{lane, uint32_t{1} << lane, 1, false, access.address[lane], {}};
      place_run(step, access, single);
    }
  }
  return out;
}

Runs runs_of(const WarpAccess& access, uint32_t lanes) {
  Runs runs;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const uint32_t lane = static_cast<uint32_t>(std::countr_zero(rest));
    add_lane(runs, lane, access.address[lane], access.bytes);
  }
  return runs;
}

/// True only when no two runs share an address.
bool apart(Runs& runs, uint32_t bytes) {
  for (uint32_t i = 1; i < runs.count; ++i)
    if (runs.run[i].address < runs.run[i - 1].address + run_bytes(runs.run[i - 1], bytes)) return false;
  return true;
}

/// Runs of a write, one for each address: lanes that write the same bytes write together.
Runs runs_of_write(const WarpAccess& access, uint32_t lanes) {
  Runs runs = runs_of(access, lanes);
  if (apart(runs, access.bytes)) return runs;
  Runs out;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const uint32_t lane = static_cast<uint32_t>(std::countr_zero(rest));
    Run* run = std::find_if(out.begin(), out.end(), [&](const Run& r) { return r.address == access.address[lane]; });
    if (run == out.end()) {
      out.run[out.count++] = Run{lane, uint32_t{1} << lane, 1, false, access.address[lane], {}};
      continue;
    }
    run->mask |= uint32_t{1} << lane;
    ++run->count;
    run->together = true;
  }
  return out;
}

Accessor accessor_of(const Step& step, const WarpAccess& access, const Run& run) {
  Accessor who = generic_accessor(step, run.mask);
  if (!run.together && run.count > 1) {
    who.access.lane_bytes = static_cast<uint8_t>(access.bytes);
    who.access.first_lane = static_cast<uint8_t>(run.first);
  }
  who.access.strong = access.order != Order::weak;
  who.access.scope = access.scope;
  return who;
}

void check(const Step& step, const WarpAccess& access, const Run& run, Touch touch) {
  const Accessor who = accessor_of(step, access, run);
  const uint32_t bytes = run_bytes(run, access.bytes);
  if (run.place.space == Space::shared)
    check_shared(step, *run.place.cta, static_cast<uint32_t>(run.place.offset), bytes, who, touch);
  else
    check_global(step, run.place.offset, bytes, who, touch, access.non_coherent);
}

SyncObjects& flags_of(const Step& step, const Place& place) {
  return place.space == Space::shared ? place.cta->sync_objects : step.machine.memory().sync_objects();
}

/// Calls f(key, lanes) for the addresses of a run.
template <class F>
void for_keys(const WarpAccess& access, const Run& run, F&& f) {
  if (run.together) {
    f(run.place.offset, run.mask);
    return;
  }
  for (uint32_t i = 0; i < run.count; ++i)
    f(run.place.offset + uint64_t{i} * access.bytes, uint32_t{1} << (run.first + i));
}

void observe(const Step& step, const WarpAccess& access, const Run& run) {
  const SyncObjects& flags = flags_of(step, run.place);
  if (access.order == Order::weak || flags.empty()) return;
  for_keys(access, run, [&](uint64_t key, uint32_t) { observe_flag(step, flags, key, access.order, access.scope); });
}

void publish(const Step& step, const WarpAccess& access, const Run& run) {
  SyncObjects& flags = flags_of(step, run.place);
  if (access.order == Order::weak && flags.empty()) return;
  for_keys(access, run, [&](uint64_t key, uint32_t lanes) {
    publish_flag(step, flags, key, lanes, access.order, access.scope, false);
  });
}

void count(const Step& step, const WarpAccess& access, Space space, uint32_t lanes, Touch touch) {
  RunCounts& counts = step.machine.counts();
  const uint64_t bytes = uint64_t{access.bytes} * static_cast<uint64_t>(std::popcount(lanes));
  if (space == Space::local) counts.local_bytes += bytes;
  if (touch != Touch::write && space == Space::shared) counts.shared_read_bytes += bytes;
  if (touch != Touch::read && space == Space::shared) counts.shared_written_bytes += bytes;
  if (touch != Touch::write && space == Space::global) counts.global_read_bytes += bytes;
  if (touch != Touch::read && space == Space::global) counts.global_written_bytes += bytes;
}

/// The lanes whose address is in private memory; `f(lane, place)` for each.
template <class F>
uint32_t for_private(const Step& step, const WarpAccess& access, F&& f) {
  uint32_t lanes = 0;
  for (uint32_t rest = access.mask; rest != 0; rest &= rest - 1) {
    const uint32_t lane = static_cast<uint32_t>(std::countr_zero(rest));
    if (!is_private(access.space, access.address[lane])) continue;
    lanes |= uint32_t{1} << lane;
    f(lane, resolve(step, access.space, access.address[lane], access.bytes, lane, access.bytes));
  }
  return lanes;
}

/// Which part of the access is to shared memory, for its banks.
void count_shared(const Step& step, WarpAccess access, Runs& runs) {
  access.mask = 0;
  for (const Run& run : runs)
    if (run.place.space == Space::shared) access.mask |= run.mask;
  if (access.mask != 0) count_banks(step, access);
}

/// Lanes of one store that write the same bytes must write the same.
void check_equal(const Step& step, const WarpAccess& access, const Run& run, const std::byte* in) {
  const std::byte* first = in + size_t{run.first} * access.bytes;
  for (uint32_t rest = run.mask; rest != 0; rest &= rest - 1) {
    const uint32_t lane = static_cast<uint32_t>(std::countr_zero(rest));
    if (std::memcmp(in + size_t{lane} * access.bytes, first, access.bytes) == 0) continue;
    step.hazard(run.place.space == Space::shared ? HazardId::H08 : HazardId::H10,
                "lanes " + std::to_string(run.first) + " and " + std::to_string(lane) +
                    " of one store write different values to the same bytes",
                static_cast<int>(lane));
    return;
  }
}

}  // namespace

void load(const Step& step, const WarpAccess& access, std::byte* out) {
  const uint32_t bytes = access.bytes;
  const uint32_t own = for_private(step, access, [&](uint32_t lane, const Place& place) {
    if (place.space == Space::local) check_local(step, lane, place.offset, bytes, Touch::read);
    count(step, access, place.space, uint32_t{1} << lane, Touch::read);
    std::memcpy(out + size_t{lane} * bytes, place.bytes, bytes);
  });
  if ((access.mask & ~own) == 0) return;
  Runs runs = placed(step, access, runs_of(access, access.mask & ~own));
  for (const Run& run : runs) {
    observe(step, access, run);
    check(step, access, run, Touch::read);
    count(step, access, run.place.space, run.mask, Touch::read);
    if (!run.together) {
      std::memcpy(out + size_t{run.first} * bytes, run.place.bytes, size_t{run.count} * bytes);
      continue;
    }
    for (uint32_t rest = run.mask; rest != 0; rest &= rest - 1)
      std::memcpy(out + static_cast<size_t>(std::countr_zero(rest)) * bytes, run.place.bytes, bytes);
  }
  count_shared(step, access, runs);
}

void store(const Step& step, const WarpAccess& access, const std::byte* in) {
  const uint32_t bytes = access.bytes;
  const uint32_t own = for_private(step, access, [&](uint32_t lane, const Place& place) {
    if (place.space == Space::param)
      step.fault(HazardId::H22, "writes a parameter of the kernel", static_cast<int>(lane));
    check_local(step, lane, place.offset, bytes, Touch::write);
    count(step, access, place.space, uint32_t{1} << lane, Touch::write);
    std::memcpy(place.bytes, in + size_t{lane} * bytes, bytes);
  });
  if ((access.mask & ~own) == 0) return;
  Runs runs = placed(step, access, runs_of_write(access, access.mask & ~own));
  for (const Run& run : runs) {
    if (run.together) check_equal(step, access, run, in);
    check(step, access, run, Touch::write);
    publish(step, access, run);
    count(step, access, run.place.space, run.mask, Touch::write);
    if (!run.together) {
      std::memcpy(run.place.bytes, in + size_t{run.first} * bytes, size_t{run.count} * bytes);
    } else {
      const uint32_t last = static_cast<uint32_t>(std::bit_width(run.mask)) - 1;
      std::memcpy(run.place.bytes, in + size_t{last} * bytes, bytes);
    }
  }
  count_shared(step, access, runs);
}

Place begin_atomic(const Step& step, const WarpAccess& access, uint32_t lane) {
  if (is_private(access.space, access.address[lane]))
    step.fault(HazardId::H22, "an atomic operation names local memory or a parameter", static_cast<int>(lane));
  if (lane == static_cast<uint32_t>(std::countr_zero(access.mask))) {
    // The warp's operations are checked together, so that the history hears of one access.
    Runs runs = placed(step, access, runs_of_write(access, access.mask));
    for (const Run& run : runs) {
      check(step, access, run, Touch::read_write);
      count(step, access, run.place.space, run.mask, Touch::read_write);
    }
    count_shared(step, access, runs);
  }
  const Place place = resolve(step, access.space, access.address[lane], access.bytes, lane, access.bytes);
  if (access.returns) observe_flag(step, flags_of(step, place), place.offset, access.order, access.scope);
  return place;
}

void end_atomic(const Step& step, const WarpAccess& access, uint32_t lane, const Place& place) {
  publish_flag(step, flags_of(step, place), place.offset, uint32_t{1} << lane, access.order, access.scope, true);
}

}  // namespace ptxsim
