// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

namespace attend::cuda::atoms {

/// What instructions call an address in shared memory.
__device__ inline uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

}  // namespace attend::cuda::atoms
