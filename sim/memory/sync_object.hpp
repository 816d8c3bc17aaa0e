// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <utility>

#include "sim/hazard/clock.hpp"
#include "sim/memory/scope.hpp"

// Synchronisation through memory: release and acquire patterns (PTX ISA 8.9.4 and 8.9.5) on flags and counters.
namespace ptxsim {

inline constexpr size_t kScopes = 3;  ///< cta, cluster, and gpu, which stands for sys too
inline Scope effective(Scope scope) { return scope == Scope::sys ? Scope::gpu : scope; }
inline Scope narrower(Scope a, Scope b) { return a < b ? a : b; }

/// What fences and relaxed accesses of a warp have prepared.
struct FenceState {
  struct Fenced {
    Clocks clocks;
    uint32_t lanes = 0;  ///< that ran the fence
  };
  std::array<Fenced, kScopes> fenced;    ///< by scope: published by a later relaxed write
  std::array<Clocks, kScopes> observed;  ///< by scope: acquired by a later fence
  std::array<bool, kScopes> has_observed{};
};

/// By address, what the releases whose values may be read there have published.
class SyncObjects {
 public:
  /// A write to `key` publishes `clocks`, those of the cluster of `from`, to readers within `scope`.
  void release(uint64_t key, const Party& from, Scope scope, const Clocks& clocks);
  /// A write that is no read-modify-write ends the release sequences of those before it.
  void overwrite(uint64_t key);
  /// What a read of `key` with that scope learns; false when that is nothing.
  bool acquire(uint64_t key, const Party& reader, Scope scope, Clocks& into) const;
  bool empty() const { return objects_.empty(); }

 private:
  /// Clocks here have no cluster of their own: all their parts are foreign.
  struct Object {
    Clocks wide;  ///< of releases with gpu scope or wider
    std::map<std::pair<Party, Scope>, Clocks> by_party;
  };
  std::unordered_map<uint64_t, Object> objects_;
};

}  // namespace ptxsim
