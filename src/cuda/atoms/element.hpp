// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace attend::cuda::atoms {

/// What products multiply.
enum class Element { f16, bf16 };

}  // namespace attend::cuda::atoms
