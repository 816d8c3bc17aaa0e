// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/machine.hpp>
#include <string>
#include <vector>

#include "cpu/kernel.hpp"

namespace attend::cpu {

/// One row of kernels.def as this machine has it.
struct Target {
  std::string name;
  std::string unavailable;  ///< empty: it runs here
  const PeakLoops* peaks = nullptr;
};

/// Rows of kernels.def, slowest first. ATTEND_MAX_ISA is read anew at each call.
std::vector<Target> targets();

std::string cpu_vendor();
std::string cpu_model();
/// Why bf16 dot products are not faster than f32 FMA on this CPU; empty where they are.
std::string slow_bf16_dot();

}  // namespace attend::cpu
