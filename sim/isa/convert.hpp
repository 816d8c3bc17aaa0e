// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "sim/isa/decode.hpp"
#include "sim/numeric/format.hpp"

namespace ptxsim {

/// The modifiers of cvt; Inst::detail of its handlers.
struct Conversion {
  Round round = Round::rn;
  bool rounded = false;   ///< .rn .rz .rm .rp .rna was there
  bool integral = false;  ///< .rni .rzi .rmi .rpi was: a real number becomes an integral one
  bool ftz = false, sat = false, relu = false, satfinite = false;
  bool plain = false;                           ///< the usual rounding and no other modifier
  uint32_t result_bytes = 0, source_bytes = 0;  ///< of the registers, which may be wider than the types
};

/// cvt with a packed type or .tf32.
void decode_packed_conversion(Decode& d, const Conversion& how, Type to, Type from);

}  // namespace ptxsim
