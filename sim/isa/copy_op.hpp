// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/isa/copy_groups.hpp"
#include "sim/isa/mbarrier.hpp"
#include "sim/machine/async.hpp"
#include "sim/machine/machine.hpp"

// One asynchronous copy between issue and completion, whatever instruction issued it.
namespace ptxsim {

/// Combines `bytes` bytes of values with those at `to`, element by element.
using Reduce = void (*)(std::byte* to, const std::byte* values, uint32_t bytes);

/// At most 16 bytes that move together. `bytes` pass through the copy; of these, those from `first` on, `count` of
/// them, exist at the end that is clipped: sources of loads, destinations of stores.
struct CopyPart {
  const std::byte* from = nullptr;
  std::byte* to = nullptr;
  uint8_t bytes = 16, first = 0, count = 16;
};

/// A copy in shared memory of a CTA, and the mbarrier there that counts its bytes.
struct CopyTarget {
  MbarrierPlace mbarrier;
  uint32_t offset = 0;       ///< in the window of the mbarrier's CTA
  ptrdiff_t from_first = 0;  ///< its memory's distance from the first target's
};

class CopyOp : public AsyncOp {
 public:
  /// `name` begins describe(): "bulk tensor load".
  CopyOp(const Step& step, uint32_t lane, const char* name);

  uint32_t parts() const override { return static_cast<uint32_t>(pieces.size()); }
  void read(uint32_t part) override;
  void write(uint32_t part) override;
  void complete() override;
  std::string describe() const override;

  std::vector<CopyPart> pieces;
  uint32_t bytes = 0;                     ///< what an mbarrier counts
  bool clips_destination = false;         ///< `first` and `count` are about writes, not about reads
  std::array<std::byte, 16> fill{};       ///< where the source is clipped
  Reduce reduce = nullptr;                ///< of a write; null: it overwrites
  void (*convert)(std::byte*) = nullptr;  ///< of 16 bytes that were read
  std::vector<CopyTarget> targets;        ///< shared memory with mbarriers; none: a copy to global memory
  std::shared_ptr<CopyFlight> flight;     ///< of a copy that a group waits for

 private:
  Machine& machine_;
  const char* name_;
  std::unique_ptr<std::byte[]> buffer_;
  uint32_t reads_left_ = 0;
};

/// The running lanes reduced to one, for checks of what one lane issues.
Step only_lane(const Step& step, uint32_t lane);
/// A range of whole 16-byte parts.
void add_parts(CopyOp& op, const std::byte* from, std::byte* to, uint64_t bytes);
/// A destination of a load: the mbarrier is checked, its CTA may not end before it has waited (H06), and the bytes are
/// in flight and poisoned. A reduction's bytes stay as they are.
void add_target(const Step& step, CopyOp& op, const MbarrierPlace& mbarrier, uint32_t offset);
/// Counts, and hands over to the engine.
void launch_copy(const Step& step, std::unique_ptr<CopyOp> op);

}  // namespace ptxsim
