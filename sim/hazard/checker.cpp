// SPDX-License-Identifier: Apache-2.0
#include "sim/hazard/checker.hpp"

#include <algorithm>

namespace ptxsim {

Checker::Checker(const Checks& checks, std::string schedule) : checks_(checks), schedule_(std::move(schedule)) {}

void Checker::note(Hazard hazard) {
  const auto& off = checks_.suppressed;
  if (std::find(off.begin(), off.end(), hazard.id) != off.end()) return;
  const auto [at, fresh] = index_.try_emplace({hazard.id, hazard.site.line, hazard.other.line}, hazards_.size());
  if (!fresh) {
    hazards_[at->second].count += hazard.count;
    return;
  }
  hazard.schedule = schedule_;
  hazards_.push_back(std::move(hazard));
}

std::vector<Hazard> Checker::take() {
  index_.clear();
  return std::exchange(hazards_, {});
}

}  // namespace ptxsim
