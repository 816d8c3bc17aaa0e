// SPDX-License-Identifier: Apache-2.0
#include "sim/hazard/report.hpp"

#include <array>

namespace ptxsim {
namespace {

struct Row {
  const char* id;
  const char* name;
  const char* text;
};
constexpr std::array kRows = {
#define PTXSIM_HAZARD(id, name, text) Row{#id, #name, text},
#include "sim/hazard/hazards.def"
#undef PTXSIM_HAZARD
};
const Row& row(HazardId id) { return kRows[static_cast<size_t>(id)]; }

std::string place(const Site& site) {
  std::string text = "line " + std::to_string(site.line);
  if (!site.source.empty()) text += " (" + site.source + ")";
  text += ", CTA " + std::to_string(site.cta);
  if (site.warp >= 0) text += ", warp " + std::to_string(site.warp);
  if (site.lane >= 0) text += ", lane " + std::to_string(site.lane);
  return text;
}

}  // namespace

const char* hazard_id(HazardId id) { return row(id).id; }
const char* hazard_name(HazardId id) { return row(id).name; }
const char* hazard_text(HazardId id) { return row(id).text; }

std::string Hazard::text() const {
  std::string text = std::string(hazard_id(id));
  if (std::string_view(hazard_id(id)) != hazard_name(id)) text += std::string(" ") + hazard_name(id);
  text += ": " + what + "\n  rule: " + hazard_text(id) + "\n  in " + kernel;
  if (site.line != 0) text += ", " + place(site);
  if (other.line != 0) text += "\n  other party: " + place(other);
  if (count > 1) text += "\n  seen " + std::to_string(count) + " times";
  if (!schedule.empty()) text += "\n  schedule: " + schedule;
  return text;
}

}  // namespace ptxsim
