// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <bit>
#include <cstdint>

#include "sim/isa/decode.hpp"
#include "sim/isa/mbarrier.hpp"
#include "sim/machine/step.hpp"

// What the mbarrier instructions have in common: their modifiers, their addresses, the state that arrivals return.
// Inst::imm[0] is the address's offset, imm[1] the form's bits, imm[2] the state space.
namespace ptxsim {

enum MbarrierForm : int64_t {
  kRelaxed = 1,
  kClusterScope = 2,
  kExpect = 4,
  kNoComplete = 8,
  kDrop = 16,
  kParity = 32,
  kTry = 64,
};
inline bool has(const Inst& inst, MbarrierForm bit) { return (inst.imm[1] & bit) != 0; }
inline Space mbarrier_space(const Inst& inst) { return static_cast<Space>(inst.imm[2]); }

/// {.sem.scope}: both or none. `sem` is the default, which may be written out; null: relaxed is the only one.
int64_t mbarrier_order(Decode& d, const char* sem);
/// {.shared{::cta}} or, where remote objects are allowed, .shared::cluster; generic when none is there.
Space mbarrier_space_modifier(Decode& d, bool remote);
/// The address operand; fills imm[0] and imm[2].
void mbarrier_address(Decode& d, Space space);

/// Calls f(place, lanes) once per distinct address among the running lanes, after the checks of mbarrier_of().
template <class F>
void for_address_groups(const Step& s, int operand, F&& f) {
  for (uint32_t rest = s.mask; rest != 0;) {
    const uint32_t lane = static_cast<uint32_t>(std::countr_zero(rest));
    const uint64_t address = s.address(operand, lane, s.inst.imm[0]);
    uint32_t group = 0;
    for_lanes(rest,
              [&](uint32_t other) { group |= uint32_t{s.address(operand, other, s.inst.imm[0]) == address} << other; });
    rest &= ~group;
    Step part = s;
    part.mask = group;
    f(mbarrier_of(part, mbarrier_space(s.inst), address, lane), group);
  }
}

/// The opaque result of an arrival, as it was before: phase, pending count, and which mbarrier it belongs to.
struct MbarrierState {
  explicit MbarrierState(uint64_t bits);
  bool valid, no_complete;
  uint32_t pending, address;
  uint64_t phase;
};
uint64_t mbarrier_state(const MbarrierPlace& place, const Mbarrier& object, bool no_complete);

}  // namespace ptxsim
