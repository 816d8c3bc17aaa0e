// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "sim/hazard/history.hpp"

namespace ptxsim {

/// An access and where its range began, by which the lane of a byte is known.
struct Record {
  Access access;
  uint64_t base = 0;
};

/// Lanes that touch the byte.
inline uint32_t lanes_at(const Access& access, uint64_t base, uint64_t offset) {
  if (access.lane_bytes == 0) return access.event.lanes;
  return uint32_t{1} << (access.first_lane + (offset - base) / access.lane_bytes);
}

/// Whether each byte belongs to the same single lane in both.
bool same_lanes(const Record& a, const Record& b);

/// How two conflicting accesses are ordered.
struct Verdict {
  Race race = Race::none;
  bool uniform = true;  ///< holds for all bytes of the two ranges, not only for the one asked about
};

/// Whether `now`, by `who`, may touch the byte at `offset` that `old` wrote (`old_writes`) or read.
Verdict judge(const Record& old, bool old_writes, const Record& now, bool now_writes, const Accessor& who,
              uint64_t offset);

}  // namespace ptxsim
