// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "plan/kernel_row.hpp"

namespace attend::cpu {

/// The CPU's rows of kernels.def, slowest first, as this machine has them.
std::vector<plan_detail::BwdKernelRow> attention_bwd_rows();

}  // namespace attend::cpu
