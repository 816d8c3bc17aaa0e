// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "sim/hazard/report.hpp"
#include "sim/ptxsim.hpp"

namespace ptxsim {

/// Collects hazards of a launch: the same (id, line, other line) once, with a count; suppressed ids not at all.
class Checker {
 public:
  Checker(const Checks& checks, std::string schedule);
  const Checks& checks() const { return checks_; }
  void note(Hazard hazard);
  const std::vector<Hazard>& hazards() const { return hazards_; }
  std::vector<Hazard> take();

 private:
  Checks checks_;
  std::string schedule_;
  std::vector<Hazard> hazards_;
  std::map<std::tuple<HazardId, int32_t, int32_t>, size_t> index_;
};

}  // namespace ptxsim
