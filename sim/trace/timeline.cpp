// SPDX-License-Identifier: Apache-2.0
#include "sim/trace/timeline.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace ptxsim {
namespace {

/// Numbers in names compare as numbers: "warp 2" before "warp 10".
bool natural_less(const std::string& a, const std::string& b) {
  const auto key = [](const std::string& text) {
    const size_t digit = text.find_last_not_of("0123456789") + 1;
    return std::tuple(text.substr(0, digit), text.size() - digit, text.substr(digit));
  };
  return key(a) < key(b);
}

struct Track {
  uint32_t cta;
  bool in_flight;
  std::string name;
  bool operator<(const Track& other) const {
    if (cta != other.cta || in_flight != other.in_flight)
      return std::tuple(cta, in_flight) < std::tuple(other.cta, other.in_flight);
    return natural_less(name, other.name);
  }
};

}  // namespace

std::vector<TimelineRow> timeline_rows(const Trace& trace, bool one_row_each) {
  std::map<Track, std::vector<const Trace::Span*>> tracks;
  for (const Trace::Span& span : trace.spans) tracks[{span.cta, span.warp < 0, span.track}].push_back(&span);
  std::vector<TimelineRow> rows;
  for (auto& [track, spans] : tracks) {
    std::stable_sort(spans.begin(), spans.end(), [](const auto* a, const auto* b) { return a->begin < b->begin; });
    std::vector<TimelineRow> lanes;
    for (const Trace::Span* span : spans) {
      auto lane = std::find_if(lanes.begin(), lanes.end(), [&](const TimelineRow& row) {
        return one_row_each || row.spans.back()->end <= span->begin;
      });
      if (lane == lanes.end()) lane = lanes.insert(lanes.end(), {track.cta, track.name, {}});
      lane->spans.push_back(span);
    }
    for (size_t i = 1; i < lanes.size(); ++i) lanes[i].name += " (" + std::to_string(i + 1) + ")";
    std::move(lanes.begin(), lanes.end(), std::back_inserter(rows));
  }
  return rows;
}

}  // namespace ptxsim
