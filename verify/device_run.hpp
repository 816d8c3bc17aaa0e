// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "verify.hpp"

namespace attend::verify {

/// Runs the plan, which is for a device, on copies of the inputs there; o and lse come back into `inputs`, gaps and
/// all. Errors: those of the device, of the plan's run and of what it found wrong.
Status run_on_device(const AttentionFwdPlan& plan, const Device& device, const Inputs& inputs);

}  // namespace attend::verify
