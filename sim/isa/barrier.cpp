// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.13 "Parallel synchronization": bar, barrier.
#include <algorithm>
#include <bit>

#include "sim/isa/decode.hpp"
#include "sim/machine/cta.hpp"
#include "sim/machine/machine.hpp"

namespace ptxsim {
namespace {

enum Kind : int64_t { kSyncs, kArrives, kReduces };
enum Reduction : int64_t { kPopc, kAnd, kOr };

// imm[0] kind, imm[1] whether a count is given, imm[2] reduction, imm[3] whether the predicate is negated; operands:
// [result,] id, [count,] [predicate].
bool predicate_negated(const Inst& inst) { return inst.imm[3] != 0; }

/// Threads of the CTA's warps, as the barrier counts them: a warp counts whole.
uint32_t all_threads(const Cta& cta) { return static_cast<uint32_t>(cta.warps.size()) * kLanes; }

uint32_t ended_threads(const Cta& cta) {
  const auto ended = std::count_if(cta.warps.begin(), cta.warps.end(), [](const Warp& w) { return w.done(); });
  return static_cast<uint32_t>(ended) * kLanes;
}

struct Arrival {
  uint32_t id, count;
  bool counted;  ///< the instruction names the count
};

Arrival arrival_of(Step& s, int first) {
  Arrival a{s.uniform<uint32_t>(first), all_threads(s.cta), s.inst.imm[1] != 0};
  if (a.counted) a.count = s.uniform<uint32_t>(first + 1);
  for_lanes(s.mask, [&](uint32_t lane) {
    if (s.lanes<uint32_t>(first)[lane] != a.id || (a.counted && s.lanes<uint32_t>(first + 1)[lane] != a.count))
      s.fault(HazardId::H20, "the lanes of the warp name different barriers or counts", static_cast<int>(lane));
  });
  if (a.id >= s.cta.barriers.size())
    s.fault(HazardId::H21, "barrier " + std::to_string(a.id) + " of a CTA that has 16");
  if (a.count == 0 || a.count % kLanes != 0)
    s.fault(HazardId::H21, "a count of " + std::to_string(a.count) + " threads is not a positive multiple of 32");
  return a;
}

void complete(Machine& machine, NamedBarrier& barrier) {
  barrier.published = std::move(barrier.gathering);
  barrier.gathering = Clocks{};
  barrier.last_votes = barrier.votes;
  barrier.last_voters = barrier.voters;
  barrier.arrived = barrier.expected = barrier.votes = barrier.voters = 0;
  barrier.warps.clear();
  ++barrier.generation;
  machine.event();
}

void arrive(Step& s, NamedBarrier& barrier, const Arrival& a) {
  const std::string name = "barrier " + std::to_string(a.id);
  if (barrier.arrived == 0) barrier.expected = a.count;
  if (barrier.expected != a.count)
    s.hazard(HazardId::H21, name + " is used with counts of " + std::to_string(barrier.expected) + " and " +
                                std::to_string(a.count) + " threads in one phase");
  if (std::find(barrier.warps.begin(), barrier.warps.end(), s.warp.index) != barrier.warps.end())
    s.hazard(HazardId::H21, "the warp arrives twice at " + name + " in one phase");
  barrier.warps.push_back(s.warp.index);
  barrier.arrived += kLanes;
  converge(s);
  release(s, barrier.gathering);
  const uint32_t ended = a.counted ? 0 : ended_threads(s.cta);
  if (barrier.arrived + ended > barrier.expected)
    s.hazard(HazardId::H21, "more than " + std::to_string(barrier.expected) + " threads arrive at " + name);
  if (barrier.arrived + ended >= barrier.expected) complete(s.machine, barrier);
}

/// bar.red: what the threads of the finished phase said together, into the first operand.
void write_reduction(const NamedBarrier& barrier, const Inst& inst, const Operand& result, std::byte* registers,
                     uint32_t mask) {
  if (inst.imm[0] != kReduces || result.sink()) return;
  const uint32_t value = inst.imm[2] == kPopc  ? barrier.last_votes
                         : inst.imm[2] == kAnd ? uint32_t{barrier.last_votes == barrier.last_voters}
                                               : uint32_t{barrier.last_votes != 0};
  Lanes<uint32_t> out(registers + size_t{result.slot} * kLanes * 4);
  for_lanes(mask, [&](uint32_t lane) { out.set(lane, value); });
}

/// A barrier for all threads does not wait for warps that have ended: their end may complete it.
bool ready(Machine& machine, Warp& warp, Split& split) {
  NamedBarrier& barrier = warp.cta->barriers[split.wait.value[0]];
  const bool counted = split.wait.value[2] != 0;
  if (barrier.generation == split.wait.value[1] && !counted &&
      barrier.arrived + ended_threads(*warp.cta) >= barrier.expected)
    complete(machine, barrier);
  return barrier.generation != split.wait.value[1];
}

void resume(Machine&, Warp& warp, Split& split) {
  const NamedBarrier& barrier = warp.cta->barriers[split.wait.value[0]];
  acquire(warp, barrier.published);
  const Program& program = *warp.cta->launch->program;
  const Inst& inst = program.code[static_cast<size_t>(split.pc) - 1];
  write_reduction(barrier, inst, program.operands_of(inst).front(), split.frame->registers, split.mask);
}

Outcome run(Step& s) {
  const int64_t kind = s.inst.imm[0];
  const Arrival a = arrival_of(s, kind == kReduces ? 1 : 0);
  NamedBarrier& barrier = s.cta.barriers[a.id];
  if (kind == kReduces) {
    const auto vote = s.lanes<uint32_t>(s.inst.operand_count - 1);
    for_lanes(s.mask, [&](uint32_t lane) {
      barrier.votes += (vote[lane] != 0) != predicate_negated(s.inst);
      ++barrier.voters;
    });
  }
  const uint64_t generation = barrier.generation;
  arrive(s, barrier, a);
  if (kind == kArrives) return Outcome::next;
  if (barrier.generation != generation) {
    acquire(s, barrier.published);
    write_reduction(barrier, s.inst, s.operands[0], s.registers, s.mask);
    return Outcome::next;
  }
  Wait& wait = s.split.wait;
  wait.kind = Wait::Kind::barrier;
  wait.value = {a.id, generation, a.counted};
  wait.ready = &ready;
  wait.resume = &resume;
  return Outcome::blocked;
}

/// bar{.cta}.sync|arrive|red{.aligned}: all forms run as aligned ones, since arrivals count by warps.
void barrier_operands(Decode& d, Kind kind) {
  d.imm(0, kind);
  d.in(Type::u32);
  const size_t last = kind == kReduces ? 1 : 0;
  const bool counted = d.operands_left() > last;
  if (kind == kArrives && !counted) d.invalid("bar.arrive needs a count of threads");
  if (counted) d.in(Type::u32);
  d.imm(1, counted);
  if (kind == kReduces) d.imm(3, d.in_predicate());
  d.emit(&run);
}

}  // namespace

void decode_bar_sync(Decode& d) {
  d.ignore({"aligned"});
  barrier_operands(d, kSyncs);
}

void decode_bar_arrive(Decode& d) {
  d.ignore({"aligned"});
  barrier_operands(d, kArrives);
}

void decode_bar_red(Decode& d) {
  const int operation = d.must_be_one_of({"popc", "and", "or"});
  d.ignore({"aligned"});
  const Type type = d.type({Type::u32, Type::pred});
  if ((operation == kPopc) != (type == Type::u32)) d.invalid("popc has type u32, and and or have type pred");
  d.imm(2, operation);
  d.out(type);
  barrier_operands(d, kReduces);
}

}  // namespace ptxsim
