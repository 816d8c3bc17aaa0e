// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "plan/kernel_row.hpp"

namespace attend {

/// Kernel rows for the device, slowest first. registry.cpp is the one file that names backends.
std::vector<plan_detail::KernelRow> attention_fwd_rows(const Device& device);

}  // namespace attend
