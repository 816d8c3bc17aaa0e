// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "sim/isa/decode.hpp"
#include "sim/memory/access.hpp"

namespace ptxsim {

/// Modifiers that ld, st, atom and red share. The assembler takes them in any order before the type.
struct MemoryModifiers {
  Space space = Space::generic;
  Order order = Order::weak;
  Scope scope = Scope::sys;
  bool scoped = false;        ///< a scope was written
  bool ordered = false;       ///< an order was written, .weak included
  bool non_coherent = false;  ///< .nc
  bool cache_policy = false;  ///< .L2::cache_hint: one more operand
  uint32_t parts = 1;         ///< .v2, .v4, .v8

  /// Consumes the next modifier when it is one of them.
  bool read(Decode& d);
  /// The operand that .L2::cache_hint announces; without effect.
  void read_policy(Decode& d) const {
    if (cache_policy) d.in(Type::b64);
  }
};

}  // namespace ptxsim
