// SPDX-License-Identifier: Apache-2.0
#include "api/registry.hpp"

#include "cpu/attention_bwd.hpp"
#include "cpu/attention_fwd.hpp"
#include "cuda/attention_fwd.hpp"

namespace attend {

std::vector<plan_detail::KernelRow> attention_fwd_rows(const Device& device) {
  return device.is_cpu() ? cpu::attention_fwd_rows() : cuda::attention_fwd_rows(device);
}

std::vector<plan_detail::BwdKernelRow> attention_bwd_rows() { return cpu::attention_bwd_rows(); }

}  // namespace attend
