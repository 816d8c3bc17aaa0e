// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "sim/hazard/clock.hpp"
#include "sim/isa/program.hpp"
#include "sim/machine/step.hpp"
#include "sim/memory/scope.hpp"

// The one door to memory for instructions: windows, bounds, alignment, initialisation, races, counts.
namespace ptxsim {

/// Generic addresses: the shared window of the own CTA and those of the cluster's CTAs, and local memory, lie high
/// above the arena.
inline constexpr uint64_t kGenericShared = uint64_t{1} << 60;
inline constexpr uint64_t kGenericLocal = uint64_t{1} << 61;
/// What cvta.param adds to the offset of a kernel's parameter (a tensor map passed as __grid_constant__), or to the
/// frame's address with kFrameParam.
inline constexpr uint64_t kGenericParam = uint64_t{1} << 62;

/// One warp-wide access: the same number of bytes at an address of each lane.
struct WarpAccess {
  Space space = Space::generic;
  uint32_t bytes = 4;  ///< per lane: 1, 2, 4, 8, 16 (vectors as a whole)
  Order order = Order::weak;
  Scope scope = Scope::cta;
  bool non_coherent = false;  ///< ld.global.nc: nobody writes the bytes during the launch
  bool returns = true;        ///< false for red: what an atomic read is not seen
  uint32_t mask = 0;
  std::array<uint64_t, kLanes> address{};  ///< of the space (32-bit offsets in shared and local), lanes of `mask`
};

/// Where one lane's bytes lie, after windows are resolved. Faults with H22 when misaligned or outside, H19 for a CTA
/// that has exited.
struct Place {
  Space space = Space::global;  ///< global, shared, local or param: never generic
  Cta* cta = nullptr;           ///< whose shared memory
  uint64_t offset = 0;          ///< shared: address in the window; global: the device address
  std::byte* bytes = nullptr;   ///< on the host
};
Place resolve(const Step& step, Space space, uint64_t address, uint32_t bytes, uint32_t lane, uint32_t alignment);

/// Reads `access.bytes` per lane into out[lane * access.bytes]; checks and counts.
void load(const Step& step, const WarpAccess& access, std::byte* out);
void store(const Step& step, const WarpAccess& access, const std::byte* in);
/// Read-modify-write, lane by lane in ascending order: `apply(lane, place.bytes)` does the arithmetic. Atomic to other
/// parties.
template <class F>
void atomic(const Step& step, const WarpAccess& access, F&& apply);
/// The part of atomic() that does not depend on F: checks, then the clocks that `order` asks for. Call before applying.
Place begin_atomic(const Step& step, const WarpAccess& access, uint32_t lane);
void end_atomic(const Step& step, const WarpAccess& access, uint32_t lane, const Place& place);
template <class F>
void atomic(const Step& step, const WarpAccess& access, F&& apply) {
  for (uint32_t rest = access.mask; rest != 0; rest &= rest - 1) {
    const uint32_t lane = static_cast<uint32_t>(std::countr_zero(rest));
    const Place place = begin_atomic(step, access, lane);
    apply(lane, place.bytes);
    end_atomic(step, access, lane, place);
  }
}

// What asynchronous operations need. `offset` is an address in the window of `cta`; ranges are resolved and checked
// before.

/// Notes an asynchronous read of shared memory at its issue (wgmma operands, sources of bulk stores) by stream `event`.
/// Bulk copies and wgmma work in the asynchronous proxy, cp.async and st.async in the generic one.
void async_read_shared(const Step& step, Cta& cta, uint32_t offset, uint32_t bytes, const Event& event);
/// Notes an asynchronous write at its issue: checks, marks the bytes in flight and poisons them (all ones: not a number
/// in every format).
void async_write_shared(const Step& step, Cta& cta, uint32_t offset, uint32_t bytes, const Event& event);
/// The write has completed; a waiter that acquires `event` may read.
void async_write_done(Cta& cta, uint32_t offset, uint32_t bytes, const Event& event, int32_t line);
/// Global memory of bulk copies: bounds (H22) and initialisation (H11) at issue; ordering with other CTAs (H10).
void async_read_global(const Step& step, uint64_t address, uint64_t bytes, const Event& event);
void async_write_global(const Step& step, uint64_t address, uint64_t bytes, const Event& event);

// Edges of happens-before.

/// Everything the lanes of `step.mask` did or know becomes known to whoever acquires `object`.
void release(const Step& step, Clocks& object);
void acquire(const Step& step, const Clocks& object);
/// The same for a warp that the scheduler wakes (Wait::resume).
void acquire(Warp& warp, const Clocks& object);
/// All lanes of the warp that run this instruction are synchronised with each other (bar.warp.sync, bar.sync).
void converge(const Step& step);
/// fence.proxy.async: what is known is handed to the asynchronous proxy.
void fence_async_proxy(const Step& step);
/// fence / membar: later relaxed writes publish, earlier relaxed reads acquire.
void fence(const Step& step, Order order, Scope scope);
/// fence.sc: fence.acq_rel that is also ordered after each fence.sc known to be earlier, on whatever lies before that.
void fence_sc(const Step& step, Scope scope);

}  // namespace ptxsim
