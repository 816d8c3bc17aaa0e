// SPDX-License-Identifier: Apache-2.0
#include "sim/machine/deadlock.hpp"

#include <algorithm>
#include <cstdio>
#include <string>

#include "sim/isa/hooks.hpp"
#include "sim/isa/isa.hpp"
#include "sim/machine/machine.hpp"
#include "sim/machine/site.hpp"

namespace ptxsim {
namespace {

/// "line 12 (a.cu:3): bar.sync 0;", the text without its comment.
std::string text_of(const Program& program, int32_t line) {
  std::string text = "line " + std::to_string(line);
  const auto inst = std::find_if(program.code.begin(), program.code.end(),
                                 [&](const Inst& each) { return each.row != nullptr && each.line == line; });
  if (inst != program.code.end() && inst->source >= 0) text += " (" + program.source_text(inst->source) + ")";
  text += ":";
  if (line < 1 || static_cast<size_t>(line) > program.lines.size()) return text;
  const std::string& words = program.lines[static_cast<size_t>(line) - 1];
  bool blank = true;
  for (const char c : words.substr(0, words.find("//"))) {
    const bool space = c == ' ' || c == '\t';
    if (!space) text += blank ? std::string{' ', c} : std::string(1, c);
    blank = space;
  }
  return text;
}

std::string wait_text(const Wait& wait) {
  const std::string value = std::to_string(wait.value[0]);
  switch (wait.kind) {
    case Wait::Kind::none: return "can run";
    case Wait::Kind::parked: return "waits for the other lanes of the warp";
    case Wait::Kind::barrier: return "waits at barrier " + value;
    case Wait::Kind::mbarrier: {
      char address[24];
      std::snprintf(address, sizeof address, "0x%llx", static_cast<unsigned long long>(wait.value[0]));
      return "waits for phase " + std::to_string(wait.value[1]) + " of mbarrier " + address;
    }
    case Wait::Kind::wgmma_group: return "waits for wgmma groups";
    case Wait::Kind::bulk_group: return "waits for bulk copies";
    case Wait::Kind::cp_async_group: return "waits for cp.async groups";
    case Wait::Kind::cluster_barrier: return "waits at the cluster barrier";
    case Wait::Kind::registers: return "waits for registers (setmaxnreg.inc)";
    case Wait::Kind::grid_dependency: return "waits for the prerequisite grid";
    case Wait::Kind::sleep: return "sleeps";
  }
  return "waits";
}

/// "  warp 3 waits at barrier 1, line 120: bar.sync 1, 256;": one line per split, neighbours with the same text
/// together.
void describe_warps(const Cta& cta, std::string& text) {
  const Program& program = *cta.launch->program;
  std::string previous;
  uint32_t first = 0, last = 0;
  const auto flush = [&] {
    if (previous.empty()) return;
    text += "\n  warp " + std::to_string(first) + (last > first ? "-" + std::to_string(last) : "") + " " + previous;
  };
  for (const Warp& warp : cta.warps) {
    std::string now;
    for (const Split& split : warp.splits) {
      const Inst& inst = program.code[static_cast<size_t>(split.pc)];
      const int32_t line = split.wait.line != 0 ? split.wait.line : inst.line;
      now += now.empty() ? "" : "; ";
      if (warp.splits.size() > 1) now += "lanes " + lane_list(split.mask) + ": ";
      now += wait_text(split.wait) + ", " + text_of(program, line);
    }
    if (warp.done()) now = "has ended";
    if (now != previous) {
      flush();
      first = warp.index;
      previous = std::move(now);
    }
    last = warp.index;
  }
  flush();
}

void describe_barriers(const Cta& cta, std::string& text) {
  for (size_t id = 0; id < cta.barriers.size(); ++id) {
    const NamedBarrier& barrier = cta.barriers[id];
    if (barrier.arrived == 0) continue;
    text += "\n  barrier " + std::to_string(id) + ": " + std::to_string(barrier.arrived) + " of " +
            std::to_string(barrier.expected) + " threads have arrived, warps";
    for (const uint32_t warp : barrier.warps) text += " " + std::to_string(warp);
  }
}

}  // namespace

Hazard deadlock(Machine& machine, const std::vector<std::unique_ptr<Cluster>>& resident) {
  Hazard hazard;
  hazard.id = HazardId::deadlock;
  hazard.what = "nothing can run";
  for (const auto& cluster : resident) {
    for (const auto& cta : cluster->ctas) {
      if (cta->exited) continue;
      if (hazard.kernel.empty()) {
        hazard.kernel = cta->launch->entry->name;
        hazard.site.cta = cta->index;
      }
      hazard.what += "\n CTA " + std::to_string(cta->index) + ":";
      describe_warps(*cta, hazard.what);
      describe_barriers(*cta, hazard.what);
      mbarrier_deadlock(machine, *cta, hazard.what);
      cluster_barrier_deadlock(*cta, hazard.what);
      setmaxnreg_deadlock(machine, *cta, hazard.what);
    }
  }
  for (const AsyncOp* op : machine.async().pending()) hazard.what += "\n  in flight: " + op->describe();
  return hazard;
}

Hazard livelock(const Cta& cta, uint64_t instructions) {
  Hazard hazard;
  hazard.id = HazardId::livelock;
  hazard.kernel = cta.launch->entry->name;
  hazard.site.cta = cta.index;
  hazard.what = "still running after " + std::to_string(instructions) + " warp instructions; CTA " +
                std::to_string(cta.index) + ":";
  describe_warps(cta, hazard.what);
  return hazard;
}

}  // namespace ptxsim
