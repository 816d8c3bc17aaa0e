// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "sim/hazard/report.hpp"

namespace ptxsim {

class Machine;
struct Cluster;
struct Cta;

/// Nothing can run: what each warp waits for, the barriers and mbarriers it waits on, the operations in flight.
Hazard deadlock(Machine& machine, const std::vector<std::unique_ptr<Cluster>>& resident);
/// The budget of instructions is used up: where the CTA's warps are.
Hazard livelock(const Cta& cta, uint64_t instructions);

}  // namespace ptxsim
