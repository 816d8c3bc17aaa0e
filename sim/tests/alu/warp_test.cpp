// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <random>

#include "sim/tests/alu/instruction.hpp"

// Instructions between the lanes of a warp: whole warps of results against what plain loops give.
namespace ptxsim::test {
namespace {

constexpr size_t kWarp = 32;
constexpr uint64_t kUntouched = 0xdead;

using Lanes = std::vector<Words>;

/// An instruction on warps: the last source is the member mask, the one before it whether a lane is a member; results
/// of lanes that are not stay kUntouched (false in predicates).
struct WarpCase {
  std::string text;
  std::string results, sources;
  std::function<Lanes(const Lanes&, uint32_t members)> expected;
};

uint32_t mask_at(size_t warp, std::mt19937_64& random) {
  constexpr std::array<uint32_t, 6> kMasks = {0xffffffff, 0x0000ffff, 0x80000001, 0x55555555, 0xfffffffe, 0x00000400};
  return warp < kMasks.size() ? kMasks[warp] : std::max<uint32_t>(static_cast<uint32_t>(random() & random()), 1);
}

/// `value(kind place, lane, members, random)` makes the operands before the two of the mask.
template <class V>
void run_case(const WarpCase& test, V value, bool partial = true, const Schedule& schedule = {}) {
  SCOPED_TRACE(test.text);
  std::mt19937_64 random(7);
  const size_t own = test.sources.size();
  Case the_case;
  the_case.results = test.results, the_case.sources = test.sources + "pr";
  for (size_t i = 0; i < test.results.size(); ++i) {
    const std::string to = "$" + std::to_string(i);
    if (test.results[i] == 'p')
      the_case.text += "setp.ne.u32 " + to + ", 0, 0; ";
    else
      the_case.text += "mov.b32 " + to + ", " + std::to_string(kUntouched) + "; ";
  }
  const size_t guard = test.results.size() + own;
  the_case.text += "@$" + std::to_string(guard) + " " + test.text;
  const size_t at = the_case.text.find("MASK");
  the_case.text.replace(at, 4, "$" + std::to_string(guard + 1));
  std::vector<Words> in;
  std::vector<uint32_t> masks;
  constexpr size_t kWarps = 64;
  for (size_t warp = 0; warp < kWarps; ++warp) {
    masks.push_back(partial ? mask_at(warp, random) : 0xffffffff);
    for (size_t lane = 0; lane < kWarp; ++lane) {
      Words words;
      for (size_t place = 0; place < own; ++place) words.push_back(value(place, lane, masks[warp], random));
      words.push_back(masks[warp] >> lane & 1);
      words.push_back(masks[warp]);
      in.push_back(words);
    }
  }
  const std::vector<Words> out = run(the_case, in, schedule);
  for (size_t warp = 0; warp < kWarps; ++warp) {
    const Lanes lanes(in.begin() + static_cast<ptrdiff_t>(warp * kWarp),
                      in.begin() + static_cast<ptrdiff_t>((warp + 1) * kWarp));
    const Lanes expected = test.expected(lanes, masks[warp]);
    for (size_t lane = 0; lane < kWarp; ++lane)
      for (size_t i = 0; i < test.results.size(); ++i) {
        const bool member = (masks[warp] >> lane & 1) != 0;
        const uint64_t idle = test.results[i] == 'p' ? 0 : kUntouched;
        ASSERT_EQ(out[warp * kWarp + lane][i], member ? expected[lane][i] : idle)
            << "result " << i << " of lane " << lane << ", members " << std::hex << masks[warp];
      }
  }
}

template <class F>
void for_members(uint32_t members, F f) {
  for (uint32_t lane = 0; lane < kWarp; ++lane)
    if ((members >> lane & 1) != 0) f(lane);
}

/// PTX ISA, shfl.sync, in integers without wrapping.
Words shuffled(const std::string& mode, const Lanes& in, int lane) {
  const int b = static_cast<int>(in[static_cast<size_t>(lane)][1] & 31);
  const int clamp = static_cast<int>(in[static_cast<size_t>(lane)][2] & 31);
  const int segment = static_cast<int>(in[static_cast<size_t>(lane)][2] >> 8 & 31);
  const int highest = (lane & segment) | (clamp & (31 - segment)), lowest = lane & segment;
  const int from = mode == "up"     ? lane - b
                   : mode == "down" ? lane + b
                   : mode == "bfly" ? lane ^ b
                                    : lowest | (b & (31 - segment));
  const bool valid = mode == "up" ? from >= highest : from <= highest;
  return {in[static_cast<size_t>(valid ? from : lane)][0], valid};
}

TEST(alu_warp, shuffles_read_other_lanes) {
  for (const std::string mode : {"up", "down", "bfly", "idx"})
    for (const bool usual : {true, false}) {
      uint64_t b = 0, c = 0;
      // Sections of 32, 16, 8, 4 or 2 lanes as compilers write them; then any b and c, lane by lane.
      run_case(
          {"shfl.sync." + mode + ".b32 $0|$1, $2, $3, $4, MASK;", "rp", "rrr",
           [&](const Lanes& in, uint32_t) {
             Lanes out;
             for (int lane = 0; lane < 32; ++lane) out.push_back(shuffled(mode, in, lane));
             return out;
           }},
          [&](size_t place, size_t lane, uint32_t, std::mt19937_64& random) -> uint64_t {
            if (usual && lane == 0 && place == 0) {
              const uint64_t section = 32u >> random() % 5;
              b = random() % section;
              c = (32 - section) << 8 | (mode == "up" ? 0 : 31);
            }
            if (place == 0 || !usual) return random() & 0xffffffff;
            return place == 1 ? b : c;
          },
          false);
    }
}

TEST(alu_warp, shuffles_among_members) {
  // The index of a member; the predicate is left out.
  run_case({"shfl.sync.idx.b32 $0, $1, $2, 31, MASK;", "r", "rr",
            [](const Lanes& in, uint32_t) {
              Lanes out;
              for (const Words& lane : in) out.push_back({in[lane[1]][0]});
              return out;
            }},
           [](size_t place, size_t, uint32_t members, std::mt19937_64& random) -> uint64_t {
             if (place == 0) return random() & 0xffffffff;
             uint64_t lane = random() % 32;
             while ((members >> lane & 1) == 0) lane = (lane + 1) % 32;
             return lane;
           });
}

TEST(alu_warp, votes) {
  for (const std::string mode : {"all", "any", "uni", "ballot"})
    for (const bool negated : {false, true}) {
      const bool ballot = mode == "ballot";
      run_case({"vote.sync." + mode + (ballot ? ".b32 $0, " : ".pred $0, ") + (negated ? "!" : "") + "$1, MASK;",
                ballot ? "r" : "p", "p",
                [&](const Lanes& in, uint32_t members) {
                  uint64_t set = 0;
                  for_members(members, [&](uint32_t lane) { set |= uint64_t{(in[lane][0] != 0) != negated} << lane; });
                  const bool all = set == members, any = set != 0;
                  return Lanes(kWarp, Words{ballot ? set : mode == "all" ? all : mode == "any" ? any : all || !any});
                }},
               [](size_t, size_t lane, uint32_t members, std::mt19937_64& random) -> uint64_t {
                 // In most warps all lanes agree, or all but one.
                 const uint64_t kind = members % 5;
                 return kind == 0 ? 1 : kind == 1 ? 0 : kind == 2 ? lane != 10 : random() & 1;
               });
    }
}

TEST(alu_warp, matches) {
  for (const bool wide : {false, true}) {
    const std::string type = wide ? ".b64" : ".b32", kind = wide ? "d" : "r";
    const auto value = [=](size_t, size_t lane, uint32_t members, std::mt19937_64& random) -> uint64_t {
      const uint64_t few = members % 3 == 0 ? 5 : members % 3 == 1 ? random() % 4 : static_cast<uint64_t>(lane == 10);
      return wide ? few << 40 : few;
    };
    run_case({"match.any.sync" + type + " $0, $1, MASK;", "r", kind,
              [](const Lanes& in, uint32_t members) {
                Lanes out(kWarp, Words{0});
                for_members(members, [&](uint32_t lane) {
                  for_members(members,
                              [&](uint32_t other) { out[lane][0] |= uint64_t{in[lane][0] == in[other][0]} << other; });
                });
                return out;
              }},
             value);
    run_case({"match.all.sync" + type + " $0|$1, $2, MASK;", "rp", kind,
              [](const Lanes& in, uint32_t members) {
                bool all = true;
                for_members(members, [&](uint32_t lane) {
                  for_members(members, [&](uint32_t other) { all = all && in[lane][0] == in[other][0]; });
                });
                return Lanes(kWarp, Words{all ? members : 0u, all});
              }},
             value);
  }
}

TEST(alu_warp, reductions) {
  using Op = uint32_t (*)(uint32_t, uint32_t);
  const std::pair<const char*, Op> ops[] = {
      {"add.u32", [](uint32_t a, uint32_t b) { return a + b; }},
      {"add.s32", [](uint32_t a, uint32_t b) { return a + b; }},
      {"min.u32", [](uint32_t a, uint32_t b) { return std::min(a, b); }},
      {"max.u32", [](uint32_t a, uint32_t b) { return std::max(a, b); }},
      {"min.s32", [](uint32_t a, uint32_t b) { return as<int32_t>(a) < as<int32_t>(b) ? a : b; }},
      {"max.s32", [](uint32_t a, uint32_t b) { return as<int32_t>(a) < as<int32_t>(b) ? b : a; }},
      {"and.b32", [](uint32_t a, uint32_t b) { return a & b; }},
      {"or.b32", [](uint32_t a, uint32_t b) { return a | b; }},
      {"xor.b32", [](uint32_t a, uint32_t b) { return a ^ b; }}};
  for (const auto& [name, op] : ops)
    run_case({std::string("redux.sync.") + name + " $0, $1, MASK;", "r", "r",
              [op = op](const Lanes& in, uint32_t members) {
                bool first = true;
                uint32_t result = 0;
                for_members(members, [&](uint32_t lane) {
                  const uint32_t x = as<uint32_t>(in[lane][0]);
                  result = first ? x : op(result, x);
                  first = false;
                });
                return Lanes(kWarp, Words{result});
              }},
             [](size_t, size_t, uint32_t, std::mt19937_64& random) -> uint64_t { return random() & 0xffffffff; });
}

TEST(alu_warp, one_member_is_elected) {
  for (const bool highest : {false, true}) {
    Schedule schedule;
    schedule.elect_highest = highest;
    run_case(
        {"elect.sync $0|$1, MASK;", "rp", "",
         [&](const Lanes&, uint32_t members) {
           uint64_t leader = 0;
           for_members(members,
                       [&](uint32_t lane) { leader = highest || (members & ((1u << lane) - 1)) == 0 ? lane : leader; });
           Lanes out(kWarp, Words{leader, 0});
           out[leader][1] = 1;
           return out;
         }},
        [](size_t, size_t, uint32_t, std::mt19937_64&) -> uint64_t { return 0; }, true, schedule);
  }
  const Case without_leader{"elect.sync _|$0, 0xffffffff;", "p", "r", [](const Words& in) { return in; }};
  std::vector<Words> in(128, Words{0});
  const auto out = run(without_leader, in);
  for (size_t lane = 0; lane < out.size(); ++lane) EXPECT_EQ(out[lane][0], lane % 32 == 0 ? 1u : 0u);
}

TEST(alu_warp, active_lanes_are_those_of_the_branch) {
  const Case both{"mov.u32 $0, 0; @$1 bra there; activemask.b32 $0; bra done; there: activemask.b32 $0; done:", "r",
                  "p", [](const Words& in) { return in; }};
  std::mt19937_64 random(3);
  std::vector<Words> in(2048);
  for (Words& each : in) each = {random() & 1};
  for (const uint64_t seed : {1, 2, 3}) {
    Schedule schedule;
    schedule.seed = seed;
    schedule.lanes = seed == 1 ? LanePolicy::reconverge : LanePolicy::any;
    const auto out = run(both, in, schedule);
    for (size_t first = 0; first < in.size(); first += kWarp) {
      uint64_t set = 0;
      for (size_t lane = 0; lane < kWarp; ++lane) set |= in[first + lane][0] << lane;
      for (size_t lane = 0; lane < kWarp; ++lane)
        ASSERT_EQ(out[first + lane][0], in[first + lane][0] != 0 ? set : ~set & 0xffffffff);
    }
  }
}

TEST(alu_warp, members_meet_from_different_places) {
  // Lanes reach the same instruction by two ways, and each way has a shuffle of its own before.
  const Case meet{
      "@$3 bra odd; shfl.sync.bfly.b32 $0, $2, 2, 31, 0x55555555; bra meet; odd: shfl.sync.bfly.b32 $0, $2, 4, 31, "
      "0xaaaaaaaa; "
      "meet: shfl.sync.bfly.b32 $1, $2, 1, 31, 0xffffffff;",
      "rr", "rp", [](const Words& in) { return in; }};
  std::vector<Words> in(256);
  for (size_t lane = 0; lane < in.size(); ++lane) in[lane] = {lane * 1000003, lane % 2};
  for (const uint64_t seed : {1, 2, 3, 4}) {
    Schedule schedule;
    schedule.seed = seed;
    schedule.lanes = seed == 1 ? LanePolicy::reconverge : LanePolicy::any;
    const auto out = run(meet, in, schedule);
    for (size_t lane = 0; lane < in.size(); ++lane) {
      ASSERT_EQ(out[lane][0], in[lane ^ (lane % 2 == 0 ? 2 : 4)][0]);
      ASSERT_EQ(out[lane][1], in[lane ^ 1][0]);
    }
  }
}

TEST(alu_warp, refuses_what_is_not_ptx) {
  for (const char* text :
       {"shfl.idx.b32 %r0, %r1, %r2, %r3;", "shfl.sync.b32 %r0, %r1, %r2, %r3, %r4;",
        "shfl.sync.idx.b64 %d0, %d1, %r2, %r3, %r4;", "shfl.sync.up.u32 %r0, %r1, %r2, %r3, %r4;",
        "vote.sync.ballot.pred %p0, %p1, %r1;", "vote.sync.all.b32 %r0, %p1, %r1;", "match.any.sync.u32 %r0, %r1, %r2;",
        "match.any.sync.b32 %r0|%p0, %r1, %r2;", "redux.sync.add.b32 %r0, %r1, %r2;",
        "redux.sync.xor.u32 %r0, %r1, %r2;", "redux.sync.min.abs.f32 %f0, %f1, %r2;", "elect.sync %r0, %r1;",
        "activemask.u32 %r0;", "redux.sync.add.u32 %r0, %r1;"})
    expect_refused(text);
}

}  // namespace
}  // namespace ptxsim::test
