// SPDX-License-Identifier: Apache-2.0
#include "sim/isa/copy_target.hpp"

#include <bit>
#include <string>

#include "sim/memory/access.hpp"

namespace ptxsim {

CopyPlace copy_place(const Step& one, Space space, uint64_t address, uint32_t bytes, uint32_t alignment,
                     uint64_t mbarrier) {
  const uint32_t lane = one.first_lane();
  const Place to = resolve(one, space, address, bytes, lane, alignment);
  const CopyPlace place{static_cast<uint32_t>(to.offset), mbarrier_of_copy(one, space, mbarrier, lane)};
  if (to.cta != place.mbarrier.cta)
    one.fault(HazardId::H22,
              "the destination is in CTA " + std::to_string(to.cta->index) + ", its " + mbarrier_name(place.mbarrier),
              static_cast<int>(lane));
  return place;
}

std::byte* add_targets(const Step& one, CopyOp& op, const CopyPlace& place, std::optional<uint16_t> multicast) {
  const auto memory = [&](Cta& cta) { return cta.shared.data() + (place.offset - kSharedWindow); };
  if (!multicast) {
    add_target(one, op, place.mbarrier, place.offset);
    return memory(*place.mbarrier.cta);
  }
  auto& ctas = one.cta.cluster->ctas;
  const uint32_t lane = one.first_lane();
  if (*multicast == 0) one.fault(HazardId::H19, "the mask of the multicast names no CTA", static_cast<int>(lane));
  for (uint32_t rest = *multicast; rest != 0; rest &= rest - 1) {
    const uint32_t rank = static_cast<uint32_t>(std::countr_zero(rest));
    if (rank >= ctas.size())
      one.fault(HazardId::H19,
                "the multicast names rank " + std::to_string(rank) + " of a cluster of " + std::to_string(ctas.size()) +
                    " CTAs",
                static_cast<int>(lane));
    Cta& cta = *ctas[rank];
    if (cta.exited)
      one.fault(HazardId::H19, "the multicast goes to CTA " + std::to_string(cta.index) + ", which has exited",
                static_cast<int>(lane));
    add_target(one, op, mbarrier_of_copy(one, cta, place.mbarrier.address, lane), place.offset);
  }
  return memory(*ctas[static_cast<uint32_t>(std::countr_zero(*multicast))]);
}

}  // namespace ptxsim
