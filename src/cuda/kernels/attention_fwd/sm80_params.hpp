// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/mask/tile.hpp>
#include <cstdint>

namespace attend::cuda::attention_fwd {

/// Everything about one row of sm80.def that the host must know.
struct Sm80Shape {
  int32_t d, dv, rows, keys, warps, stages;
  ATTEND_HD constexpr int32_t threads() const { return 32 * warps; }
  ATTEND_HD constexpr int32_t q_bytes() const { return 2 * rows * d; }
  ATTEND_HD constexpr int32_t k_bytes() const { return 2 * keys * d; }
  ATTEND_HD constexpr int32_t v_bytes() const { return 2 * keys * dv; }
  ATTEND_HD constexpr int32_t shared_bytes() const { return q_bytes() + stages * (k_bytes() + v_bytes()); }
};

}  // namespace attend::cuda::attention_fwd
