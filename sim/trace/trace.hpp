// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/isa/isa.hpp"
#include "sim/trace/options.hpp"

namespace ptxsim {

class AsyncOp;
struct Inst;
struct Step;
struct Wait;
struct Warp;

/// What a bar of the timeline stands for: its colour.
enum class TimelineClass : uint8_t { alu, matrix, copy, sync, wait };
inline constexpr size_t kTimelineClasses = static_cast<size_t>(TimelineClass::wait) + 1;
const char* timeline_class_name(TimelineClass what);
/// Of an instruction.
TimelineClass timeline_class(IsaClass isa_class);

/// What a launch recorded.
struct Trace {
  /// One bar of the timeline, in scheduler steps (warp instructions of the whole machine).
  struct Span {
    uint32_t cta = 0;
    int32_t warp = -1;  ///< -1: the asynchronous track of the CTA
    std::string track;  ///< "warp 4", "bulk copies", "wgmma warpgroup 1"
    std::string name;   ///< "wait barrier 2", "wgmma m64n128k16", "bulk tensor load 8192 B"
    TimelineClass what{};
    uint64_t begin = 0, end = 0;
    int32_t line = 0;
  };
  std::vector<Span> spans;
  struct Coverage {
    uint64_t runs = 0, taken = 0, not_taken = 0;
  };                                  ///< warp instructions; lanes that branch or do not
  std::map<int32_t, Coverage> lines;  ///< by PTX line
  struct Conflicts {
    uint64_t accesses = 0, wavefronts = 0;
  };
  std::map<int32_t, Conflicts> banks;  ///< by PTX line
};

/// Writes a Trace while the machine runs; cheap when nothing is asked for.
class Recorder {
 public:
  explicit Recorder(const TraceOptions& options) : options_(options) {}
  const TraceOptions& options() const { return options_; }
  bool timeline(uint32_t cta) const {
    return options_.timeline && cta >= options_.first_cta && cta <= options_.last_cta;
  }
  /// Opens a span, returns its index; close() ends it.
  size_t open(Trace::Span span) {
    span.end = kOpen;
    trace_.spans.push_back(std::move(span));
    return trace_.spans.size() - 1;
  }
  void close(size_t index, uint64_t end) { trace_.spans[index].end = end; }
  /// A split starts to wait at `step`'s instruction; its wait is over.
  void begin_wait(const Step& step, uint64_t now);
  void end_wait(const Wait& wait, uint64_t now);
  /// The warp ran `inst` as step `now`: neighbouring steps of one warp and class are one bar.
  void stepped(const Warp& warp, const Inst& inst, uint64_t now);
  /// An asynchronous operation was issued; what close() takes when it has completed.
  size_t begin_flight(const AsyncOp& op, uint64_t now);
  /// One run of an instruction by the lanes `taken` of those in `all`.
  void cover(const Inst& inst, uint32_t taken, uint32_t all);
  Trace& trace() { return trace_; }
  /// What was recorded; bars that are still open end at `now`.
  Trace take(uint64_t now);

 private:
  static constexpr uint64_t kOpen = UINT64_MAX;
  TraceOptions options_;
  Trace trace_;
  size_t running_ = SIZE_MAX;  ///< the bar that stepped() may make longer
};

}  // namespace ptxsim
