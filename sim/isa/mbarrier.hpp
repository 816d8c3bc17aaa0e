// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

#include "sim/hazard/clock.hpp"
#include "sim/hazard/report.hpp"
#include "sim/isa/program.hpp"
#include "sim/machine/step.hpp"
#include "sim/memory/mbarrier.hpp"

// What other chapters do to mbarriers: asynchronous operations signal them.
namespace ptxsim {

/// Arrivals of a phase, and the bytes outstanding, stay within this (PTX ISA, "Contents of the mbarrier object").
inline constexpr int64_t kMaxMbarrierCount = (1 << 20) - 1;

/// An mbarrier that an instruction names: `address` in the shared window of `cta`, whose map holds it.
struct MbarrierPlace {
  Cta* cta = nullptr;
  uint32_t address = 0;
};

/// "mbarrier 0x408 of CTA 3".
std::string mbarrier_name(const MbarrierPlace& place);
/// The mbarrier of a generic instruction; checks as for copies, without the asynchronous proxy.
MbarrierPlace mbarrier_of(const Step& step, Space space, uint64_t address, uint32_t lane);
/// A live mbarrier.
Mbarrier& mbarrier_at(const MbarrierPlace& place);

/// At the issue of an asynchronous operation: the mbarrier at a lane's address (`space` generic, shared or
/// shared_cluster). Faults with H22 and H19 for the address; reports H12 when there is no mbarrier, or its init is not
/// ordered before, and H24 when nothing handed the init to the asynchronous proxy (clusters of more than one CTA).
MbarrierPlace mbarrier_of_copy(const Step& step, Space space, uint64_t address, uint32_t lane);
/// The same for an offset that is known already: the other destinations of a multicast.
MbarrierPlace mbarrier_of_copy(const Step& step, Cta& cta, uint32_t address, uint32_t lane);

/// The event under which a completion that comes now is known: whoever waits for the current phase knows it. For
/// async_write_done(), just before mbarrier_complete_tx().
Event mbarrier_event(const MbarrierPlace& place);

/// An arrival by lanes; the counts alone. Reports H14 when fewer arrivals are pending.
void mbarrier_arrive(Machine& machine, const MbarrierPlace& place, uint32_t count, const Site& issuer);

// Completions, at any time after issue. `issuer` is named where an mbarrier has gone or its counts overflow.

/// complete_tx of the mbarrier's current phase; it may complete the phase.
void mbarrier_complete_tx(Machine& machine, const MbarrierPlace& place, uint32_t bytes, const Site& issuer);
/// expect_tx by an instruction of another chapter.
void mbarrier_expect_tx(Machine& machine, const MbarrierPlace& place, uint32_t bytes, const Site& issuer);
/// cp.async.mbarrier.arrive without .noinc: one more arrival is pending in this phase, when it is issued.
void mbarrier_add_pending(Machine& machine, const MbarrierPlace& place, const Site& issuer);
/// cp.async.mbarrier.arrive when the copies are done: one arrival, publishing `done` (the events of the copies).
void mbarrier_arrive_async(Machine& machine, const MbarrierPlace& place, const Clocks& done, const Site& issuer);

/// Handed over by fence.proxy.async or fence.mbarrier_init of the step's warp: mbarriers it knows the init of.
void mbarrier_publish_inits(const Step& step);

}  // namespace ptxsim
