// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "sim/hazard/report.hpp"
#include "sim/ptxsim.hpp"

namespace ptxsim {

class Recorder;
struct Cta;

/// One asynchronous operation between issue and completion: parts (16-byte chunks of a copy; one part for a matrix
/// product) that are read and written one by one in an order that the policy chooses, then the completion signal.
/// Hazard checks that need the issuer's clock are made when it is issued, not here.
class AsyncOp {
 public:
  virtual ~AsyncOp() = default;
  virtual uint32_t parts() const { return 1; }
  /// Takes the part's source into the operation's own buffer.
  virtual void read(uint32_t part) = 0;
  /// Puts the part where it belongs; after its read.
  virtual void write(uint32_t part) = 0;
  /// After all parts: mbarrier's complete_tx, a group's count.
  virtual void complete() = 0;
  /// False while it must not take effect yet (not all warps of a wgmma have issued, an earlier one on the same
  /// registers is pending).
  virtual bool may_start() const { return true; }
  /// For deadlock reports and the timeline: "bulk tensor load of 4096 bytes to 0x400, mbarrier 0x38".
  virtual std::string describe() const = 0;

  const Cta* cta = nullptr;  ///< whose thread issued it
  Site issuer;
  uint64_t issued_at = 0;  ///< scheduler step
  uint32_t track = 0;      ///< row of the timeline: trace/trace.hpp
};

/// Operations in flight of the resident clusters, and the policy that moves them.
class AsyncEngine {
 public:
  AsyncEngine(AsyncPolicy policy, uint64_t seed, Recorder& recorder)
      : policy_(policy), random_(seed), recorder_(recorder) {}
  /// Takes over the operation; the eager policy performs it now if it may start.
  void issue(std::unique_ptr<AsyncOp> op, uint64_t now);
  /// Lets operations progress whose time has come. With `idle` (no warp can run) at least one progresses if any can:
  /// returns whether.
  bool pump(uint64_t now, bool idle);
  bool empty() const { return ops_.empty(); }
  std::vector<const AsyncOp*> pending() const;
  /// The CTA is about to go: its operations finish, those that can never start are dropped.
  void end(const Cta& cta, uint64_t now);

 private:
  static constexpr size_t kNoSpan = SIZE_MAX;
  struct Pending {
    std::unique_ptr<AsyncOp> op;
    uint64_t read_due = 0, write_due = 0;
    size_t span = kNoSpan;  ///< of the timeline
    bool started = false;
    bool read_all = false;
    std::vector<uint8_t> read;    ///< `split`: parts read so far
    std::vector<uint32_t> order;  ///< `split`: of the writes
    size_t written = 0;           ///< of `order`
    uint64_t due() const { return read_all ? write_due : read_due; }
  };
  bool may_progress(const Pending& pending) const { return pending.started || pending.op->may_start(); }
  uint64_t delay();
  void start(Pending& pending);
  void read_rest(Pending& pending);
  /// Writes `parts` more, and reads those before that have not been.
  void write_some(Pending& pending, size_t parts);
  void finish(size_t index, uint64_t now);
  bool step(size_t index, uint64_t now);
  AsyncPolicy policy_;
  std::mt19937_64 random_;
  Recorder& recorder_;
  std::deque<Pending> ops_;
  uint64_t next_look_ = 0;  ///< nothing is due before
};

}  // namespace ptxsim
