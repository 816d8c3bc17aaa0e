// SPDX-License-Identifier: Apache-2.0
#include "sim/isa/mbarrier_form.hpp"

namespace ptxsim {
namespace {

// Bits of a state: 20 pending, 1 noComplete, 1 always set, 15 the address in units of 8 bytes, 27 the phase.
constexpr uint64_t kPendingMask = (1 << 20) - 1, kNoCompleteBit = 1 << 20, kStateBit = 1 << 21, kAddressMask = 0x7fff,
                   kPhaseMask = (1 << 27) - 1;
constexpr int kAddressShift = 22, kPhaseShift = 37;

}  // namespace

int64_t mbarrier_order(Decode& d, const char* sem) {
  int64_t form = 0;
  if (d.flag("relaxed"))
    form = kRelaxed;
  else if (sem == nullptr || !d.flag(sem))
    return 0;
  if (d.must_be_one_of({"cta", "cluster"}) == 1) form |= kClusterScope;
  return form;
}

Space mbarrier_space_modifier(Decode& d, bool remote) {
  if (d.flag("shared") || d.flag("shared::cta")) return Space::shared;
  if (remote && d.flag("shared::cluster")) return Space::shared_cluster;
  return Space::generic;
}

void mbarrier_address(Decode& d, Space space) {
  d.imm(0, d.address());
  d.imm(2, static_cast<int64_t>(space));
}

MbarrierState::MbarrierState(uint64_t bits)
    : valid((bits & kStateBit) != 0),
      no_complete((bits & kNoCompleteBit) != 0),
      pending(static_cast<uint32_t>(bits & kPendingMask)),
      address(static_cast<uint32_t>(bits >> kAddressShift & kAddressMask) * 8),
      phase(bits >> kPhaseShift) {}

uint64_t mbarrier_state(const MbarrierPlace& place, const Mbarrier& object, bool no_complete) {
  return kStateBit | (no_complete ? kNoCompleteBit : 0) | (static_cast<uint64_t>(object.pending) & kPendingMask) |
         uint64_t{place.address / 8 & kAddressMask} << kAddressShift | (object.phase & kPhaseMask) << kPhaseShift;
}

}  // namespace ptxsim
