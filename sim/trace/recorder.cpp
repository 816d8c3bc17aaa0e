// SPDX-License-Identifier: Apache-2.0
#include <bit>

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

void Recorder::begin_wait(const Step& step, uint64_t now) {
  if (!timeline(step.cta.index)) return;
  Trace::Span span;
  span.cta = step.cta.index;
  span.warp = static_cast<int32_t>(step.warp.index);
  span.track = "warp " + std::to_string(step.warp.index);
  span.name = wait_name(step.split.wait.kind);
  if (step.split.wait.kind == Wait::Kind::barrier) span.name += " " + std::to_string(step.split.wait.value[0]);
  span.isa_class = step.inst.row->isa_class;
  span.begin = span.end = now;
  span.line = step.inst.line;
  step.split.wait.span = open(std::move(span)) + 1;
}

void Recorder::end_wait(const Wait& wait, uint64_t now) {
  if (wait.span != 0) close(wait.span - 1, now);
}

void Recorder::ran(const Warp& warp, uint64_t begin, uint64_t end) {
  if (!timeline(warp.cta->index) || begin == end) return;
  Trace::Span span;
  span.cta = warp.cta->index;
  span.warp = static_cast<int32_t>(warp.index);
  span.track = "warp " + std::to_string(warp.index);
  span.name = "run";
  span.isa_class = IsaClass::integer;
  span.begin = begin;
  span.end = end;
  open(std::move(span));
}

void Recorder::cover(const Inst& inst, uint32_t taken, uint32_t all) {
  Trace::Coverage& line = trace_.lines[inst.line];
  ++line.runs;
  line.taken += static_cast<uint64_t>(std::popcount(taken));
  line.not_taken += static_cast<uint64_t>(std::popcount(all & ~taken));
}

}  // namespace ptxsim
