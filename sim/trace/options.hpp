// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

namespace ptxsim {

struct Trace;  // trace/trace.hpp

/// What a launch records beside its result; each costs time and memory.
struct TraceOptions {
  bool timeline = false;                 ///< warps, barriers, copies, matrix operations over time (in scheduler steps)
  bool coverage = false;                 ///< how often each PTX line ran, and each side of its branches
  bool bank_conflicts = false;           ///< wavefronts of every shared access by line
  uint32_t first_cta = 0, last_cta = 0;  ///< timeline of these CTAs alone
};

}  // namespace ptxsim
