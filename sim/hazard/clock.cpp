// SPDX-License-Identifier: Apache-2.0
#include "sim/hazard/clock.hpp"

#include <algorithm>

namespace ptxsim {
namespace {

void raise(Clock::Entry& entry, const Clock::Entry& by) {
  entry.all = std::max(entry.all, by.all);
  if (by.lanes != 0) {
    entry.some = std::max(entry.some, by.some);
    entry.lanes |= by.lanes;
  }
  if (entry.some <= entry.all) entry.some = entry.lanes = 0;
}

void raise(std::vector<Clock::Entry>& entries, const std::vector<Clock::Entry>& by) {
  if (entries.size() < by.size()) entries.resize(by.size());
  for (size_t i = 0; i < by.size(); ++i) raise(entries[i], by[i]);
}

bool covers(const std::vector<Clock::Entry>& entries, const Event& event) {
  if (event.actor >= entries.size()) return event.tick == 0;
  const Clock::Entry& entry = entries[event.actor];
  return entry.all >= event.tick || (entry.some >= event.tick && (event.lanes & ~entry.lanes) == 0);
}

}  // namespace

bool Clock::knows(uint32_t cluster, const Event& event) const {
  if (event.cluster == cluster) return covers(own_, event);
  if (event.cluster < before_) return true;
  const auto found = foreign_.find(event.cluster);
  return found != foreign_.end() && covers(*found->second, event);
}

void Clock::see(ActorId actor, const Entry& entry) {
  if (own_.size() <= actor) own_.resize(actor + 1);
  raise(own_[actor], entry);
}

void Clock::see(uint32_t, ActorId actor, Tick all) { see(actor, {all, 0, 0}); }

void Clock::see_lanes(uint32_t, ActorId actor, Tick some, uint32_t lanes) { see(actor, {0, some, lanes}); }

void Clock::see_foreign(uint32_t cluster, const std::shared_ptr<const Entries>& entries) {
  if (cluster < before_) return;
  auto& mine = foreign_[cluster];
  if (mine == nullptr) {
    mine = entries;
  } else if (mine != entries) {
    auto joined = std::make_shared<Entries>(*mine);
    raise(*joined, *entries);
    mine = std::move(joined);
  }
}

void Clock::see_before(uint32_t cluster) {
  before_ = std::max(before_, cluster);
  foreign_.erase(foreign_.begin(), foreign_.lower_bound(before_));
}

void Clock::join(uint32_t own_cluster, const Clock& other, uint32_t other_cluster) {
  if (other.before_ > before_) see_before(other.before_);
  if (other_cluster == own_cluster)
    raise(own_, other.own_);
  else if (!other.own_.empty())
    see_foreign(other_cluster, std::make_shared<const Entries>(other.own_));
  for (const auto& [cluster, entries] : other.foreign_) {
    if (cluster == own_cluster)
      raise(own_, *entries);
    else
      see_foreign(cluster, entries);
  }
}

void Clock::limit(const Clock& other) {
  own_.resize(std::min(own_.size(), other.own_.size()));
  const auto top = [](const Entry& entry) { return entry.lanes != 0 ? entry.some : entry.all; };
  for (size_t i = 0; i < own_.size(); ++i) {
    Entry& mine = own_[i];
    const Entry& their = other.own_[i];
    const Tick some = std::min(top(mine), top(their));
    const auto lanes_at = [&](const Entry& entry) { return entry.all >= some ? ~uint32_t{0} : entry.lanes; };
    const uint32_t lanes = lanes_at(mine) & lanes_at(their);
    mine = {std::min(mine.all, their.all), some, lanes};
    if (lanes == ~uint32_t{0}) mine.all = some;
    if (lanes == 0 || some <= mine.all) mine.some = mine.lanes = 0;
  }
}

void Clock::clear() {
  own_.clear();
  foreign_.clear();
  before_ = 0;
}

}  // namespace ptxsim
