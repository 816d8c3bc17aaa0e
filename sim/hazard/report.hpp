// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

namespace ptxsim {

/// Rows of hazard/hazards.def: H01 to H25, and what ends a launch.
enum class HazardId : uint8_t {
#define PTXSIM_HAZARD(id, name, text) id,
#include "sim/hazard/hazards.def"
#undef PTXSIM_HAZARD
};
const char* hazard_id(HazardId id);    ///< "H09"
const char* hazard_name(HazardId id);  ///< "shared_war_race"
const char* hazard_text(HazardId id);  ///< one sentence: what the rule is

/// Where in the program and in the grid.
struct Site {
  int32_t line = 0;              ///< of the PTX text; 0: none
  std::string source;            ///< "kernel.cu:41" from .loc; empty: no line information
  uint32_t cta = 0;              ///< linear index in the grid
  int32_t warp = -1, lane = -1;  ///< -1: the whole CTA, the whole warp
};

struct Hazard {
  HazardId id;
  std::string kernel;
  Site site;             ///< who noticed
  Site other;            ///< the other party; line 0: none
  std::string what;      ///< one sentence with addresses and numbers
  std::string schedule;  ///< replays it
  uint64_t count = 1;
  std::string text() const;
};

}  // namespace ptxsim
