// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

namespace ptxsim {

/// Semantics and scope of a memory operation (PTX ISA, chapter 8 "Memory consistency model").
enum class Order : uint8_t { weak, relaxed, acquire, release, acq_rel, is_volatile };
enum class Scope : uint8_t { cta, cluster, gpu, sys };

/// A CTA, as scopes see it.
struct Party {
  uint32_t cluster = 0;  ///< unique on the device
  uint32_t rank = 0;     ///< of the CTA in it
  friend auto operator<=>(const Party&, const Party&) = default;
};

/// Whether the scope of an operation by `a` has `b` in it.
inline bool includes(Scope scope, const Party& a, const Party& b) {
  return scope == Scope::cta ? a == b : scope == Scope::cluster ? a.cluster == b.cluster : true;
}

}  // namespace ptxsim
