// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/device.hpp>
#include <vector>

#include "plan/kernel_row.hpp"

namespace attend::cuda {

/// The rows of this backend, slowest first, as this device has them.
std::vector<plan_detail::KernelRow> attention_fwd_rows(const Device& device);

}  // namespace attend::cuda
