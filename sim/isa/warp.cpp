// SPDX-License-Identifier: Apache-2.0
// Between the lanes of a warp: shfl of PTX ISA 9.7.9; vote, match, redux, elect, activemask, bar.warp.sync of 9.7.13.
// The machine runs these once per group of lanes with the same member mask: Step::mask are the members.
#include "sim/isa/lanes.hpp"
#include "sim/machine/machine.hpp"
#include "sim/memory/access.hpp"

namespace ptxsim {
namespace {

enum class Shuffle { up, down, bfly, idx };

struct Source {
  uint32_t lane;
  bool valid;
};

/// Where a lane reads: b is the distance or index; c has the segments' mask in bits 8 to 12 and the bound in bits 0
/// to 4.
template <Shuffle mode>
constexpr Source source_of(uint32_t lane, uint32_t b, uint32_t c) {
  const uint32_t segment = c >> 8 & 31;
  const uint32_t bound = (lane & segment) | (c & 31 & ~segment);
  const uint32_t by = b & 31;
  switch (mode) {
    case Shuffle::up: {
      const bool valid = lane >= by && lane - by >= bound;
      return {valid ? lane - by : lane, valid};
    }
    case Shuffle::down: {
      const bool valid = lane + by <= bound;
      return {valid ? lane + by : lane, valid};
    }
    case Shuffle::bfly: {
      const bool valid = (lane ^ by) <= bound;
      return {valid ? lane ^ by : lane, valid};
    }
    case Shuffle::idx: break;
  }
  const uint32_t from = (lane & segment) | (by & ~segment);
  return {from <= bound ? from : lane, from <= bound};
}

template <Shuffle mode>
Outcome shfl(Step& s) {
  constexpr uint32_t kUndefined = ~0u;
  const auto a = s.lanes<uint32_t>(2), b = s.lanes<uint32_t>(3), c = s.lanes<uint32_t>(4);
  Cells<uint32_t> value{}, valid{};
  for_lanes(s.mask, [&](uint32_t lane) {
    const Source source = source_of<mode>(lane, b[lane], c[lane]);
    const bool member = (s.mask >> source.lane & 1) != 0;
    if (!member)
      s.hazard(HazardId::H20, "reads from lane " + std::to_string(source.lane) + ", which does not take part",
               static_cast<int>(lane));
    value.at[lane] = member ? a[source.lane] : kUndefined;
    valid.at[lane] = source.valid ? 1 : 0;
  });
  commit(s, 0, value);
  commit(s, 1, valid);
  return Outcome::next;
}

/// Sets all running lanes.
void broadcast(Step& s, int index, uint32_t value) {
  write_lanes<uint32_t>(s, index, [&](uint32_t) { return value; });
}

/// Members whose predicate, operand 1, is true; imm[0] negates it.
uint32_t votes(const Step& s) {
  const auto a = s.lanes<uint32_t>(1);
  uint32_t set = 0;
  for (uint32_t lane = 0; lane < kLanes; ++lane) set |= (a[lane] & 1) << lane;
  return (s.inst.imm[0] != 0 ? ~set : set) & s.mask;
}

enum class Vote { all, any, uni, ballot };

template <Vote mode>
Outcome vote(Step& s) {
  const uint32_t set = votes(s);
  switch (mode) {
    case Vote::all: broadcast(s, 0, set == s.mask); break;
    case Vote::any: broadcast(s, 0, set != 0); break;
    case Vote::uni: broadcast(s, 0, set == s.mask || set == 0); break;
    case Vote::ballot: broadcast(s, 0, set); break;
  }
  return Outcome::next;
}

/// Members whose operand `index` equals that of `lane`.
template <class T>
uint32_t equal_lanes(const Step& s, int index, uint32_t lane) {
  const auto a = s.lanes<T>(index);
  uint32_t equal = 0;
  for (uint32_t other = 0; other < kLanes; ++other) equal |= uint32_t{a[other] == a[lane]} << other;
  return equal & s.mask;
}

template <class T>
Outcome match_any(Step& s) {
  write_lanes<uint32_t>(s, 0, [&](uint32_t lane) { return equal_lanes<T>(s, 1, lane); });
  return Outcome::next;
}
template <class T>
Outcome match_all(Step& s) {
  const bool all = equal_lanes<T>(s, 2, s.first_lane()) == s.mask;
  broadcast(s, 0, all ? s.mask : 0);
  broadcast(s, 1, all);
  return Outcome::next;
}

struct Sum {
  static uint32_t combine(uint32_t a, uint32_t b) { return a + b; }
};
template <class T, bool take_max>
struct Extreme {
  static uint32_t combine(uint32_t a, uint32_t b) {
    return (static_cast<T>(a) < static_cast<T>(b)) == take_max ? b : a;
  }
};
struct And {
  static uint32_t combine(uint32_t a, uint32_t b) { return a & b; }
};
struct Or {
  static uint32_t combine(uint32_t a, uint32_t b) { return a | b; }
};
struct Xor {
  static uint32_t combine(uint32_t a, uint32_t b) { return a ^ b; }
};

template <class Op>
Outcome redux(Step& s) {
  const auto a = s.lanes<uint32_t>(1);
  uint32_t result = a[s.first_lane()];
  for (uint32_t rest = s.mask & (s.mask - 1); rest != 0; rest &= rest - 1)
    result = Op::combine(result, a[static_cast<uint32_t>(std::countr_zero(rest))]);
  broadcast(s, 0, result);
  return Outcome::next;
}

Outcome elect(Step& s) {
  const uint32_t leader =
      s.machine.schedule().elect_highest ? 31 - static_cast<uint32_t>(std::countl_zero(s.mask)) : s.first_lane();
  broadcast(s, 0, leader);
  write_lanes<uint32_t>(s, 1, [&](uint32_t lane) { return lane == leader; });
  return Outcome::next;
}

Outcome activemask(Step& s) {
  broadcast(s, 0, s.mask);
  return Outcome::next;
}

Outcome bar_warp_sync(Step& s) {
  converge(s);
  return Outcome::next;
}

void decode_members(Decode& d) { d.member_mask(d.in(Type::b32)); }

}  // namespace

void decode_shfl(Decode& d) {
  const int mode = d.must_be_one_of({"up", "down", "bfly", "idx"});
  d.type({Type::b32});
  d.out_pair(Type::b32, Type::pred);
  d.in(Type::b32), d.in(Type::b32), d.in(Type::b32);
  decode_members(d);
  constexpr Handler kHandlers[] = {&shfl<Shuffle::up>, &shfl<Shuffle::down>, &shfl<Shuffle::bfly>, &shfl<Shuffle::idx>};
  d.emit(kHandlers[mode]);
}

void decode_vote(Decode& d) {
  const int mode = d.must_be_one_of({"all", "any", "uni", "ballot"});
  const bool ballot = mode == 3;
  d.out(d.type({ballot ? Type::b32 : Type::pred}));
  d.imm(0, d.in_predicate() ? 1 : 0);
  decode_members(d);
  constexpr Handler kHandlers[] = {&vote<Vote::all>, &vote<Vote::any>, &vote<Vote::uni>, &vote<Vote::ballot>};
  d.emit(kHandlers[mode]);
}

void decode_match_any(Decode& d) {
  const Type type = d.type({Type::b32, Type::b64});
  d.out(Type::b32), d.in(type);
  decode_members(d);
  d.emit(type == Type::b64 ? &match_any<uint64_t> : &match_any<uint32_t>);
}

void decode_match_all(Decode& d) {
  const Type type = d.type({Type::b32, Type::b64});
  d.out_pair(Type::b32, Type::pred);
  d.in(type);
  decode_members(d);
  d.emit(type == Type::b64 ? &match_all<uint64_t> : &match_all<uint32_t>);
}

void decode_redux(Decode& d) {
  const int op = d.must_be_one_of({"add", "min", "max", "and", "or", "xor"});
  const Type type = op < 3 ? d.type({Type::u32, Type::s32}) : d.type({Type::b32});
  d.out(type), d.in(type);
  decode_members(d);
  const bool is_signed = type == Type::s32;
  switch (op) {
    case 0: return d.emit(&redux<Sum>);
    case 1: return d.emit(is_signed ? &redux<Extreme<int32_t, false>> : &redux<Extreme<uint32_t, false>>);
    case 2: return d.emit(is_signed ? &redux<Extreme<int32_t, true>> : &redux<Extreme<uint32_t, true>>);
    case 3: return d.emit(&redux<And>);
    case 4: return d.emit(&redux<Or>);
    default: return d.emit(&redux<Xor>);
  }
}

void decode_elect(Decode& d) {
  d.out_pair(Type::b32, Type::pred);
  if (d.register_bytes(1) == 0) d.invalid("a predicate for the elected lane is required");
  decode_members(d);
  d.emit(&elect);
}

void decode_activemask(Decode& d) {
  d.type({Type::b32});
  d.out(Type::b32);
  d.emit(&activemask);
}

void decode_bar_warp_sync(Decode& d) {
  decode_members(d);
  d.emit(&bar_warp_sync);
}

}  // namespace ptxsim
