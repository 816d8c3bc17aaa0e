// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "sim/machine/cta.hpp"
#include "sim/machine/step.hpp"
#include "sim/memory/scope.hpp"
#include "sim/memory/sync_object.hpp"

// Fences around relaxed synchronisation instructions (PTX ISA 8.9.4 "Release and acquire patterns").
namespace ptxsim {

/// A relaxed arrival publishes what the step's lanes knew at their last fence of at least the scope.
inline void release_fenced(const Step& step, Scope least, Clocks& object) {
  const uint32_t uid = step.cta.cluster->uid;
  for (size_t at = static_cast<size_t>(least); at < kScopes; ++at) {
    const FenceState::Fenced& fenced = step.warp.fences.fenced[at];
    if ((fenced.lanes & step.mask) == 0) continue;
    object.join(uid, fenced.clocks, uid);
  }
}

/// What a relaxed wait saw is acquired by a later fence of at least the scope.
inline void acquire_at_fence(const Step& step, Scope least, const Clocks& object) {
  const uint32_t uid = step.cta.cluster->uid;
  for (size_t at = static_cast<size_t>(least); at < kScopes; ++at) {
    step.warp.fences.observed[at].join(uid, object, uid);
    step.warp.fences.has_observed[at] = true;
  }
}

}  // namespace ptxsim
