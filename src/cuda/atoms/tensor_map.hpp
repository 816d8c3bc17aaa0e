// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace attend::cuda::atoms {

/// The 128 opaque bytes of a CUtensorMap, in a __grid_constant__ parameter.
struct alignas(64) TensorMap {
  char bytes[128];
};

}  // namespace attend::cuda::atoms
