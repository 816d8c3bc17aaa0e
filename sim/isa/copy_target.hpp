// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>

#include "sim/isa/copy_op.hpp"

// Destinations in shared memory of the cluster, each with the mbarrier that counts what lands there.
namespace ptxsim {

/// A destination and its mbarrier, in one CTA.
struct CopyPlace {
  uint32_t offset = 0;  ///< in the window of the mbarrier's CTA
  MbarrierPlace mbarrier;
};

/// The addresses of a lane's copy (the step's one lane), both in `space`: .shared::cta or .shared::cluster. H22 where
/// they are in different CTAs, outside or misaligned.
CopyPlace copy_place(const Step& one, Space space, uint64_t address, uint32_t bytes, uint32_t alignment,
                     uint64_t mbarrier);

/// Adds the destination, or with the mask of a multicast the same offset in each of its CTAs (H19 for one that is not
/// there, and for an empty mask). After what the checks need (`reduce`, `bytes`) is set. Returns the first
/// destination's memory.
std::byte* add_targets(const Step& one, CopyOp& op, const CopyPlace& place, std::optional<uint16_t> multicast);

}  // namespace ptxsim
