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

struct Inst;
struct Step;
struct Wait;
struct Warp;

/// What a launch recorded.
struct Trace {
  /// One bar of the timeline, in scheduler steps (warp instructions of the whole machine).
  struct Span {
    uint32_t cta = 0;
    int32_t warp = -1;  ///< -1: the asynchronous track of the CTA
    std::string track;  ///< "warp 4", "bulk copies", "wgmma warpgroup 1"
    std::string name;   ///< "wait barrier 2", "wgmma m64n128k16", "bulk tensor load 8192 B"
    IsaClass isa_class{};
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
    trace_.spans.push_back(std::move(span));
    return trace_.spans.size() - 1;
  }
  void close(size_t index, uint64_t end) { trace_.spans[index].end = end; }
  /// A split starts to wait at `step`'s instruction; its wait is over.
  void begin_wait(const Step& step, uint64_t now);
  void end_wait(const Wait& wait, uint64_t now);
  /// The warp had its turn.
  void ran(const Warp& warp, uint64_t begin, uint64_t end);
  /// One run of an instruction by the lanes `taken` of those in `all`.
  void cover(const Inst& inst, uint32_t taken, uint32_t all);
  Trace& trace() { return trace_; }

 private:
  TraceOptions options_;
  Trace trace_;
};

}  // namespace ptxsim
