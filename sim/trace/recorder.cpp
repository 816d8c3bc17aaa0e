// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>

#include "sim/machine/async.hpp"
#include "sim/machine/cta.hpp"
#include "sim/machine/step.hpp"
#include "sim/trace/trace.hpp"

namespace ptxsim {
namespace {

const char* wait_name(Wait::Kind kind) {
  switch (kind) {
    case Wait::Kind::none:
    case Wait::Kind::parked: return "wait for lanes";
    case Wait::Kind::barrier: return "wait barrier";
    case Wait::Kind::mbarrier: return "wait mbarrier";
    case Wait::Kind::wgmma_group: return "wait wgmma";
    case Wait::Kind::bulk_group: return "wait bulk copies";
    case Wait::Kind::cp_async_group: return "wait cp.async";
    case Wait::Kind::cluster_barrier: return "wait cluster barrier";
    case Wait::Kind::registers: return "wait registers";
    case Wait::Kind::grid_dependency: return "wait prerequisite grid";
    case Wait::Kind::sleep: return "sleep";
  }
  return "wait";
}

}  // namespace

const char* timeline_class_name(TimelineClass what) {
  switch (what) {
    case TimelineClass::alu: return "ALU";
    case TimelineClass::matrix: return "matrix";
    case TimelineClass::copy: return "memory";
    case TimelineClass::sync: return "synchronisation";
    case TimelineClass::wait: return "wait";
  }
  return "?";
}

TimelineClass timeline_class(IsaClass isa_class) {
  switch (isa_class) {
    case IsaClass::matrix: return TimelineClass::matrix;
    case IsaClass::memory:
    case IsaClass::atomic:
    case IsaClass::async_copy:
    case IsaClass::bulk_copy: return TimelineClass::copy;
    case IsaClass::barrier:
    case IsaClass::mbarrier:
    case IsaClass::cluster:
    case IsaClass::proxy: return TimelineClass::sync;
    case IsaClass::integer:
    case IsaClass::real:
    case IsaClass::half:
    case IsaClass::convert:
    case IsaClass::compare:
    case IsaClass::move:
    case IsaClass::control:
    case IsaClass::warp:
    case IsaClass::other: break;
  }
  return TimelineClass::alu;
}

void Recorder::begin_wait(const Step& step, uint64_t now) {
  if (!timeline(step.cta.index)) return;
  Trace::Span span;
  span.cta = step.cta.index;
  span.warp = static_cast<int32_t>(step.warp.index);
  span.track = "warp " + std::to_string(step.warp.index);
  span.name = wait_name(step.split.wait.kind);
  if (step.split.wait.kind == Wait::Kind::barrier) span.name += " " + std::to_string(step.split.wait.value[0]);
  span.what = TimelineClass::wait;
  span.begin = now;
  span.line = step.inst.line;
  step.split.wait.span = open(std::move(span)) + 1;
}

void Recorder::end_wait(const Wait& wait, uint64_t now) {
  if (wait.span != 0) close(wait.span - 1, now);
}

void Recorder::stepped(const Warp& warp, const Inst& inst, uint64_t now) {
  if (!timeline(warp.cta->index)) return;
  const TimelineClass what = timeline_class(inst.row->isa_class);
  if (running_ < trace_.spans.size()) {
    Trace::Span& span = trace_.spans[running_];
    if (span.cta == warp.cta->index && span.warp == static_cast<int32_t>(warp.index) && span.what == what &&
        span.end + 1 == now) {
      span.end = now;
      return;
    }
  }
  Trace::Span span;
  span.cta = warp.cta->index;
  span.warp = static_cast<int32_t>(warp.index);
  span.track = "warp " + std::to_string(warp.index);
  span.name = inst.row->name;
  span.what = what;
  span.begin = now - 1;
  span.line = inst.line;
  running_ = open(std::move(span));
  close(running_, now);
}

size_t Recorder::begin_flight(const AsyncOp& op, uint64_t now) {
  Trace::Span span;
  span.cta = op.issuer.cta;
  span.name = op.describe();
  const bool matrix = span.name.starts_with("wgmma");
  // Warps 0 to 3 are a warpgroup, and so on.
  span.track = matrix                                 ? "wgmma of warpgroup " + std::to_string(op.issuer.warp / 4)
               : span.name.starts_with("cp.async of") ? "cp.async"
                                                      : "bulk copies";
  span.what = matrix ? TimelineClass::matrix : TimelineClass::copy;
  span.begin = now;
  span.line = op.issuer.line;
  return open(std::move(span));
}

Trace Recorder::take(uint64_t now) {
  for (Trace::Span& span : trace_.spans) span.end = span.end == kOpen ? std::max(now, span.begin) : span.end;
  return std::move(trace_);
}

void Recorder::cover(const Inst& inst, uint32_t taken, uint32_t all) {
  Trace::Coverage& line = trace_.lines[inst.line];
  ++line.runs;
  line.taken += static_cast<uint64_t>(std::popcount(taken));
  line.not_taken += static_cast<uint64_t>(std::popcount(all & ~taken));
}

}  // namespace ptxsim
