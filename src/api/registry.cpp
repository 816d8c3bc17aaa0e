// SPDX-License-Identifier: Apache-2.0
#include "api/registry.hpp"

#include "cpu/attention_fwd.hpp"

namespace attend {

std::vector<plan_detail::KernelRow> attention_fwd_rows() { return cpu::attention_fwd_rows(); }

}  // namespace attend
