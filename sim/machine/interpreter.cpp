// SPDX-License-Identifier: Apache-2.0
#include "sim/machine/interpreter.hpp"

#include <algorithm>

#include "sim/isa/isa.hpp"
#include "sim/machine/cta.hpp"
#include "sim/machine/frame.hpp"
#include "sim/machine/site.hpp"

namespace ptxsim {
namespace {

constexpr bool waits(const Split& split) { return split.wait.kind != Wait::Kind::none; }

/// The lanes that must be together at an aligned instruction or one with a member mask (of `lane`), less those that
/// have ended.
uint32_t required_lanes(const Warp& warp, const Split& split, const Inst& inst, const Program& program, uint32_t lane) {
  if ((inst.row->flags & kMembers) == 0) return warp.live;
  const Operand& operand = program.operands_of(inst)[static_cast<size_t>(inst.member_mask)];
  return Lanes<uint32_t>(split.frame->registers + size_t{operand.slot} * kLanes * 4)[lane] & warp.live;
}

constexpr uint32_t kCollective = kAligned | kMembers;

}  // namespace

bool Interpreter::wake(Warp& warp, Split& split) {
  if (split.wait.kind == Wait::Kind::none) return true;
  if (split.wait.kind == Wait::Kind::parked) {
    const Program& program = *warp.cta->launch->program;
    const Inst& inst = program.code[static_cast<size_t>(split.pc)];
    const uint32_t lane = static_cast<uint32_t>(std::countr_zero(split.mask));
    const uint32_t required = required_lanes(warp, split, inst, program, lane);
    if ((required & ~split.mask) != 0) return false;
  } else {
    if (!split.wait.ready(machine_, warp, split)) return false;
    if (split.wait.resume != nullptr) split.wait.resume(machine_, warp, split);
    machine_.recorder().end_wait(split.wait, machine_.now());
  }
  split.wait = Wait{};
  return true;
}

bool Interpreter::can_run(Warp& warp) {
  if (warp.done()) return false;
  if (warp.splits.size() > 1) merge(warp);
  bool any = false;
  for (Split& split : warp.splits) any = wake(warp, split) || any;
  if (!any) stuck(warp);
  return any;
}

/// H20 when the lanes that a parked split needs can never come: all splits of the warp are parked.
void Interpreter::stuck(Warp& warp) {
  const auto parked = [](const Split& split) { return split.wait.kind == Wait::Kind::parked; };
  if (!std::all_of(warp.splits.begin(), warp.splits.end(), parked)) return;
  Split& split = warp.splits.front();
  const Program& program = *warp.cta->launch->program;
  const Inst& inst = program.code[static_cast<size_t>(split.pc)];
  std::string what = inst.row->name + std::string(" waits for lanes that cannot come:");
  for (const Split& each : warp.splits) {
    const Inst& at = program.code[static_cast<size_t>(each.pc)];
    what += " lanes " + lane_list(each.mask) + " are at line " + std::to_string(at.line) + " (" + at.row->name + ")";
  }
  Step step{machine_, *warp.cta, warp, split, inst, nullptr, split.frame->registers, split.mask};
  step.fault(HazardId::H20, what);
}

void Interpreter::merge(Warp& warp) {
  auto& splits = warp.splits;
  const auto joins = [](const Split& split) {
    return split.wait.kind == Wait::Kind::none || split.wait.kind == Wait::Kind::parked;
  };
  for (size_t i = 0; i < splits.size(); ++i) {
    if (!joins(splits[i])) continue;
    for (size_t j = i + 1; j < splits.size();) {
      if (joins(splits[j]) && splits[j].pc == splits[i].pc && splits[j].frame == splits[i].frame) {
        splits[i].mask |= splits[j].mask;
        splits[i].wait = Wait{};
        splits.erase(splits.begin() + static_cast<ptrdiff_t>(j));
      } else {
        ++j;
      }
    }
  }
}

Split* Interpreter::choose(Warp& warp) {
  if (warp.splits.size() == 1) return wake(warp, warp.splits[0]) ? &warp.splits[0] : nullptr;
  merge(warp);
  Split* best = nullptr;
  uint32_t candidates = 0;
  for (Split& split : warp.splits) {
    if (!wake(warp, split)) continue;
    ++candidates;
    const bool take = machine_.schedule().lanes == LanePolicy::any ? machine_.random()() % candidates == 0
                                                                   : best == nullptr || split.pc < best->pc;
    if (take) best = &split;
  }
  return best;
}

/// True when the split has to wait for other lanes before `inst`: it is parked then.
bool Interpreter::park(Warp& warp, Split& split, const Inst& inst, uint32_t mask) {
  const Program& program = *warp.cta->launch->program;
  bool parked = false;
  for (uint32_t rest = mask; rest != 0 && !parked; rest &= rest - 1) {
    const uint32_t lane = static_cast<uint32_t>(std::countr_zero(rest));
    const uint32_t required = required_lanes(warp, split, inst, program, lane);
    parked = (required & ~split.mask) != 0;
    if ((inst.row->flags & kMembers) == 0) break;
  }
  if (parked) {
    split.wait.kind = Wait::Kind::parked;
    split.wait.line = inst.line;
  }
  return parked;
}

uint32_t Interpreter::run(Warp& warp, uint32_t quantum) {
  const Program& program = *warp.cta->launch->program;
  uint32_t ran = 0;
  while (ran < quantum && !warp.done()) {
    Split* split = choose(warp);
    if (split == nullptr) {
      stuck(warp);
      break;
    }
    // As long as the warp is whole, no one else can change which split runs.
    do {
      execute(warp, *split, program.code[static_cast<size_t>(split->pc)]);
      ++ran;
    } while (ran < quantum && !warp.done() && warp.splits.size() == 1 && !waits(*(split = &warp.splits[0])));
    std::erase_if(warp.splits, [](const Split& each) { return each.mask == 0; });
  }
  return ran;
}

void Interpreter::execute(Warp& warp, Split& split, const Inst& inst) {
  Cta& cta = *warp.cta;
  const Program& program = *cta.launch->program;
  std::byte* registers = split.frame->registers;
  uint32_t mask = split.mask;
  if (inst.guard >= 0) {
    const Lanes<uint32_t> guard(registers + static_cast<size_t>(inst.guard) * kLanes * 4);
    uint32_t set = 0;
    for (uint32_t lane = 0; lane < kLanes; ++lane) set |= (guard[lane] & 1) << lane;
    mask &= inst.guard_negated ? ~set : set;
  }
  if ((inst.row->flags & kCollective) != 0 && mask != 0) {
    if (park(warp, split, inst, mask)) return;
  }
  ++machine_.counts().warp_instructions;
  machine_.counts().thread_instructions += static_cast<uint64_t>(std::popcount(mask));
  machine_.advance(inst);
  if (machine_.recorder().options().timeline) machine_.recorder().stepped(warp, inst, machine_.now());
  ++warp.instructions;
  Step step{machine_, cta, warp, split, inst, program.operands.data() + inst.first_operand, registers, mask};
  if (machine_.recorder().options().coverage) machine_.recorder().cover(inst, mask, split.mask);
  if (machine_.checker().checks().registers) check_registers(step, mask, program);
  if (mask == 0) {
    ++split.pc;
    return;
  }
  if (inst.reads_clock) refresh_clocks(machine_, warp, *split.frame);
  if ((inst.row->flags & kCollective) != 0) {
    run_groups(step);
    return;
  }
  finish(step, inst.run(step));
}

/// A collective instruction runs once per group of lanes with the same member mask.
void Interpreter::run_groups(Step& step) {
  const Program& program = *step.cta.launch->program;
  const uint32_t all = step.mask;
  if ((step.inst.row->flags & kAligned) != 0) {
    if (all != (step.split.mask & step.warp.live))
      step.hazard(HazardId::H20, std::string(step.inst.row->name) +
                                     " is guarded by a predicate that differs between lanes: " + lane_list(all) +
                                     " of " + lane_list(step.split.mask));
    finish(step, step.inst.run(step));
    return;
  }
  for (uint32_t rest = all; rest != 0;) {
    const uint32_t lane = static_cast<uint32_t>(std::countr_zero(rest));
    const uint32_t members = required_lanes(step.warp, step.split, step.inst, program, lane);
    if ((members >> lane & 1) == 0) {
      step.fault(HazardId::H20,
                 std::string(step.inst.row->name) + ": the member mask does not have the lane that runs it",
                 static_cast<int>(lane));
    }
    if ((members & ~all) != 0)
      step.fault(HazardId::H20, std::string(step.inst.row->name) + ": lanes " + lane_list(members & ~all) +
                                    " of the member mask do not run it");
    for (uint32_t each = members; each != 0; each &= each - 1) {
      const uint32_t other = static_cast<uint32_t>(std::countr_zero(each));
      if (required_lanes(step.warp, step.split, step.inst, program, other) != members)
        step.fault(HazardId::H20, std::string(step.inst.row->name) + ": lanes " + std::to_string(lane) + " and " +
                                      std::to_string(other) + " name different member masks");
    }
    step.mask = members;
    rest &= ~members;
    const Outcome outcome = step.inst.run(step);
    if (rest == 0 || outcome != Outcome::next) {
      step.mask = all;
      finish(step, outcome);
    }
  }
}

Outcome Interpreter::finish(Step& step, Outcome outcome) {
  switch (outcome) {
    case Outcome::next: ++step.split.pc; break;
    case Outcome::jumped: break;
    case Outcome::blocked:
    case Outcome::retry:
      if (outcome == Outcome::blocked) ++step.split.pc;
      step.split.wait.line = step.inst.line;
      machine_.recorder().begin_wait(step, machine_.now());
      break;
  }
  return outcome;
}

void Interpreter::check_registers(const Step& step, uint32_t mask, const Program& program) {
  const Inst& inst = step.inst;
  Frame& frame = *step.split.frame;
  const bool own = (inst.row->flags & kOwnRegisterCheck) != 0;
  const bool copy = (inst.row->flags & kCopy) != 0;
  uint32_t copied = kAllLanes;
  size_t position = 0;
  for (const Operand& operand : program.reads_of(inst)) {
    RegisterState& state = frame.state[operand.slot];
    const bool guard = inst.guard >= 0 && operand.slot == static_cast<uint32_t>(inst.guard);
    const uint32_t lanes = guard ? step.split.mask : mask;
    ++position;
    if (own && !guard) continue;
    if ((lanes & ~state.initialised) != 0) {
      if (copy && !guard) {
        copied &= state.initialised;
      } else {
        step.hazard(HazardId::H11,
                    "operand " + std::to_string(position) + " of those read is a register that lanes " +
                        lane_list(lanes & ~state.initialised) + " have never written",
                    std::countr_zero(lanes & ~state.initialised));
        state.initialised |= lanes;  // one report is enough
      }
    }
    if (lanes == 0) continue;
    if (state.wgmma_writes != 0)
      step.hazard(HazardId::H01, "reads an accumulator of the wgmma at line " + std::to_string(state.wgmma_line) +
                                     " before wgmma.wait_group");
    state.touched = step.warp.wgmma_epoch;
  }
  if (own || mask == 0) return;
  for (const Operand& operand : program.writes_of(inst)) {
    RegisterState& state = frame.state[operand.slot];
    if (state.wgmma_writes != 0)
      step.hazard(HazardId::H01, "writes an accumulator of the wgmma at line " + std::to_string(state.wgmma_line) +
                                     " before wgmma.wait_group");
    if (state.wgmma_reads != 0)
      step.hazard(HazardId::H02, "overwrites an A fragment of the wgmma at line " + std::to_string(state.wgmma_line) +
                                     " before wgmma.wait_group");
    state.touched = step.warp.wgmma_epoch;
    state.initialised |= mask & copied;
  }
}

}  // namespace ptxsim
