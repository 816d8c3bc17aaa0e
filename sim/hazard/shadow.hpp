// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "sim/hazard/history.hpp"
#include "sim/hazard/report.hpp"

namespace ptxsim {

/// What an accessor found wrong in shared memory.
struct Conflict {
  HazardId id{};
  Finding finding;
};

/// The history of a CTA's shared memory; offsets are addresses in the window less kSharedWindow.
class SharedShadow {
 public:
  /// Bytes [0, bytes) are tracked; none of them has been written.
  void reset(uint32_t bytes) { history_.reset(bytes, true); }

  /// True when something is wrong, the worst of it in `conflict`: H11 never written, H07 in flight or asynchronous
  /// write not observed, H08 not ordered after the last write, H04 (asynchronous reads) generic write not handed to the
  /// asynchronous proxy.
  bool read(uint32_t offset, uint32_t bytes, const Accessor& who, Conflict* conflict);
  /// H09 not after all reads (H05 when the read is a bulk store's), H08 not after the last write, H04 as for reads.
  bool write(uint32_t offset, uint32_t bytes, const Accessor& who, Conflict* conflict);
  /// An asynchronous write has completed: whoever knows `event` may read.
  void complete(uint32_t offset, uint32_t bytes, const Event& event, int32_t line);
  /// Marks bytes as written by nobody in particular or as never written.
  void set_initialised(uint32_t offset, uint32_t bytes, bool initialised) {
    history_.set_written(offset, bytes, initialised);
  }
  bool initialised(uint32_t offset, uint32_t bytes) const { return history_.written(offset, bytes); }
  size_t memory() const { return history_.memory(); }

 private:
  History history_;
};

}  // namespace ptxsim
