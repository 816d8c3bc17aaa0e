// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "sim/hazard/clock.hpp"
#include "sim/hazard/report.hpp"

namespace ptxsim {

/// Who touched bytes, how, and where in the program: what the shadow keeps of an access.
struct Access {
  Event event;
  bool async = false;      ///< by the asynchronous proxy
  bool in_flight = false;  ///< an asynchronous operation that has not completed
  int32_t line = 0;        ///< of the PTX text
  uint32_t cta = 0;
  int32_t warp = -1;
};

/// What an accessor found wrong. `other` is the earlier access.
struct Conflict {
  HazardId id;
  Access other;
  uint32_t address = 0;
};

/// The history of a CTA's shared memory: per 4-byte cell the last write and the reads since, split into single bytes
/// where parties share a cell; and which bytes were ever written. Kept compact: a box of 32 KiB costs microseconds.
class SharedShadow {
 public:
  SharedShadow();
  ~SharedShadow();
  SharedShadow(SharedShadow&&) noexcept;
  SharedShadow& operator=(SharedShadow&&) noexcept;

  /// Bytes [first, first + bytes) of the window's offset are tracked.
  void reset(uint32_t bytes);

  /// A read by `who`, which knows `clock` (generic accesses: Clocks::generic; asynchronous ones: both, see below).
  /// Reports the worst conflict of the range: H11 never written, H07 in flight or asynchronous write not observed, H08
  /// not ordered after the last write, H04 (asynchronous reads) generic write not handed to the asynchronous proxy.
  /// `lane_sync`: the tick since which the lanes of the accessing warp have not been synchronised (Warp::converged); an
  /// earlier access by other lanes of the same warp at or after it is H08/H09 too.
  bool read(uint32_t offset, uint32_t bytes, uint32_t cluster, const Access& who, const Clocks& clocks, Tick lane_sync,
            Conflict* conflict);
  /// A write: H09 not after all reads (H05 when the read is a bulk store's), H08 not after the last write.
  bool write(uint32_t offset, uint32_t bytes, uint32_t cluster, const Access& who, const Clocks& clocks, Tick lane_sync,
             Conflict* conflict);
  /// An asynchronous write has completed: its bytes' last writer becomes `event` (mbarrier phase, stream tick), no
  /// longer in flight.
  void complete(uint32_t offset, uint32_t bytes, const Access& who);
  /// Marks bytes as written by nobody in particular (zero fill of tests) or as never written.
  void set_initialised(uint32_t offset, uint32_t bytes, bool initialised);
  bool initialised(uint32_t offset, uint32_t bytes) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ptxsim
