// SPDX-License-Identifier: Apache-2.0
#include "sim/memory/sync_object.hpp"

namespace ptxsim {
namespace {
constexpr uint32_t kNowhere = 0;  ///< clusters count from 1
}  // namespace

void SyncObjects::release(uint64_t key, const Party& from, Scope scope, const Clocks& clocks) {
  Object& object = objects_[key];
  scope = effective(scope);
  object.by_party[{from, scope}].join(kNowhere, clocks, from.cluster);
  if (scope == Scope::gpu) object.wide.join(kNowhere, clocks, from.cluster);
}

void SyncObjects::overwrite(uint64_t key) { objects_.erase(key); }

bool SyncObjects::acquire(uint64_t key, const Party& reader, Scope scope, Clocks& into) const {
  const auto found = objects_.find(key);
  if (found == objects_.end()) return false;
  const Object& object = found->second;
  bool any = false;
  if (effective(scope) == Scope::gpu) {
    into.join(reader.cluster, object.wide, kNowhere);
    any = true;
  }
  // Of the rest only parties of the reader's cluster count: either its scope or theirs is no wider than that.
  const auto first = object.by_party.lower_bound({Party{reader.cluster, 0}, Scope::cta});
  for (auto at = first; at != object.by_party.end() && at->first.first.cluster == reader.cluster; ++at) {
    const auto& [from, released] = at->first;
    if (!includes(scope, reader, from) || !includes(released, from, reader)) continue;
    into.join(reader.cluster, at->second, kNowhere);
    any = true;
  }
  return any;
}

}  // namespace ptxsim
