// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "plan/kernel_row.hpp"

namespace attend {

/// Kernel rows for the device, slowest first. registry.cpp is the one file that names backends.
std::vector<plan_detail::KernelRow> attention_fwd_rows(const Device& device);
/// Of the CPU.
std::vector<plan_detail::BwdKernelRow> attention_bwd_rows();

}  // namespace attend
