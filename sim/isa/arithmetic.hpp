// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "sim/isa/decode.hpp"
#include "sim/numeric/approximate.hpp"
#include "sim/numeric/format.hpp"

// What the opcodes that exist for integers, floats and halves alike (add, mul, min, ...) share: their modifiers, which
// come before the type and whose right to be there depends on it.
namespace ptxsim {

enum class Part : uint8_t { none, lo, hi, wide };

struct Modifiers {
  Part part = Part::none;
  bool approx = false, full = false, rounded = false;
  Round round = Round::rn;
  bool ftz = false, nan = false, xorsign_abs = false, relu = false, sat = false, cc = false;

  /// Consumes them in the order of the PTX syntax.
  static Modifiers read(Decode& d);
  /// Error when one is present that the type does not have. `allowed`: "rnd ftz sat", of the names
  /// part approx rnd ftz nan relu sat cc.
  void allow(const Decode& d, std::string_view allowed) const;
};

enum class Arithmetic : uint8_t { add, sub, mul, div, fma, min, max, neg, abs };

// Each consumes the operands and names the handler.
void decode_integer(Decode& d, Arithmetic op, const Modifiers& m, Type type);
void decode_integer_mad(Decode& d, const Modifiers& m, Type type);
/// add.cc, addc and so on: `carry_in` adds or subtracts CC.CF, Modifiers::cc writes it.
void decode_carry(Decode& d, bool subtract, bool carry_in, const Modifiers& m, Type type);
void decode_carry_mad(Decode& d, bool carry_in, const Modifiers& m, Type type);
void decode_packed_integer(Decode& d, Arithmetic op, const Modifiers& m, Type type);
void decode_real(Decode& d, Arithmetic op, const Modifiers& m, Type type);
void decode_half(Decode& d, Arithmetic op, const Modifiers& m, Type type);
/// ex2 and tanh.
void decode_half_approximate(Decode& d, Approximate f, const Modifiers& m, Type type);
void decode_exact_rcp(Decode& d, const Modifiers& m, Type type);
void decode_exact_sqrt(Decode& d, const Modifiers& m, Type type);
void decode_approximate_div(Decode& d, const Modifiers& m, Type type);

}  // namespace ptxsim
