// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "sim/hazard/report.hpp"
#include "sim/isa/program.hpp"

namespace ptxsim {

struct Cta;

/// Where `inst` stands in the text and who runs it; warp and lane -1: the whole CTA, the whole warp.
Site site_of(const Program& program, const Inst& inst, const Cta& cta, int warp = -1, int lane = -1);

}  // namespace ptxsim
