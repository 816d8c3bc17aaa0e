// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "sim/memory/access.hpp"

namespace ptxsim {

/// How often the 32 banks of 4 bytes have to be read or written for an access to shared memory.
struct BankCost {
  uint32_t groups = 0;      ///< lanes go together as far as 128 bytes reach: the least there can be
  uint32_t wavefronts = 0;  ///< per group, the most different words of one bank
};
BankCost bank_cost(const WarpAccess& access);
/// Adds it to the launch's counts and, when asked for, to the line's.
void count_banks(const Step& step, const WarpAccess& access);

}  // namespace ptxsim
