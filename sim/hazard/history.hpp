// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "sim/hazard/clock.hpp"
#include "sim/memory/scope.hpp"

namespace ptxsim {

/// Who touched bytes, how, and where in the program: what a history keeps of an access.
struct Access {
  Event event;
  /// The lanes of `event`, one after the other from `first_lane`, take this many bytes each from the start of the
  /// range; 0: all of them take all of it.
  uint8_t lane_bytes = 0;
  uint8_t first_lane = 0;
  bool async = false;      ///< by an asynchronous operation: done when its event is known
  bool proxy = false;      ///< by the asynchronous proxy (bulk copies, wgmma; cp.async is none of them)
  bool in_flight = false;  ///< a write of an asynchronous operation that has not completed
  bool bulk = false;       ///< of a bulk copy (H05)
  bool strong = false;     ///< atomic, relaxed, volatile, ...: such accesses do not race among themselves
  Scope scope = Scope::cta;
  Party by;
  int32_t line = 0;  ///< of the PTX text
  uint32_t cta = 0;  ///< linear, in the grid
  int32_t warp = -1;
};

/// Lanes of a warp that were synchronised with each other, though not with the rest of it, when its clock said `tick`.
struct LaneGroup {
  uint32_t lanes = 0;
  Tick tick = 0;
};

/// Who accesses now, and what it knows.
struct Accessor {
  Access access;
  const Clocks* clocks = nullptr;
  ActorId warp = 0;                   ///< that issues it: equal to access.event.actor when not asynchronous
  uint32_t lanes = 0;                 ///< of the warp that issue it
  Tick converged = 0;                 ///< Warp::converged
  std::span<const LaneGroup> groups;  ///< since then, in ascending order of ticks
};

/// What is wrong with an access, the worst last.
enum class Race : uint8_t {
  none,
  never_written,     ///< a read of bytes that nobody has written
  unfenced,          ///< asynchronous: a generic write was not handed to the asynchronous proxy
  unordered_read,    ///< a write not after a read
  unordered_write,   ///< a read or write not after a write
  unobserved_write,  ///< a read of an asynchronous write that has completed, unobserved
  in_flight,         ///< a read of an asynchronous write that has not completed
};

struct Finding {
  Race race = Race::none;
  Access other;                         ///< the earlier access
  uint32_t lanes = 0, other_lanes = 0;  ///< of the two warps, at the byte in question
  uint64_t offset = 0;
};

/// Who wrote each byte of a range last, and who has read it since: per 4-byte cell, split into single bytes where
/// parties share a cell. Accesses are interned, cells hold their numbers, and a range whose cells look alike is judged
/// once: a box of 32 KiB costs microseconds. After Flanagan and Freund, "FastTrack: efficient and precise dynamic race
/// detection", PLDI 2009, extended to several readers, proxies and scopes.
class History {
 public:
  History();
  ~History();
  History(History&&) noexcept;
  History& operator=(History&&) noexcept;

  /// Forgets everything; offsets from 0 to `bytes` are tracked. With `reports_unwritten` a read of bytes that no write
  /// of this history has reached is Race::never_written.
  void reset(uint64_t bytes, bool reports_unwritten);
  /// The access joins the history, whatever is wrong with it. Returns the worst of what is.
  Finding read(uint64_t offset, uint64_t bytes, const Accessor& who);
  Finding write(uint64_t offset, uint64_t bytes, const Accessor& who);
  /// The bytes were written by `who`; nothing is checked (an asynchronous write has completed).
  void overwrite(uint64_t offset, uint64_t bytes, const Access& who);
  /// Written by nobody in particular, or never.
  void set_written(uint64_t offset, uint64_t bytes, bool written);
  bool written(uint64_t offset, uint64_t bytes) const;
  /// The last write of a byte; null when there is none, or nobody in particular did it.
  const Access* last_write(uint64_t offset) const;
  /// Bytes that the history takes.
  size_t memory() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ptxsim
