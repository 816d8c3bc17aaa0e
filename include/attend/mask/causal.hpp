// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/mask/tile.hpp>

namespace attend {

/// FlashAttention's causal mask (since its version 2.1): rows above sk - sq have no key when sq > sk.
struct CausalBottomRight {
  ATTEND_HD constexpr Range keys(const Frame& frame, int64_t q) const {
    return intersect({0, frame.key_position(q) + 1}, {0, frame.sk});
  }
};

/// The causal mask of PyTorch's `is_causal`.
struct CausalTopLeft {
  ATTEND_HD constexpr Range keys(const Frame& frame, int64_t q) const { return intersect({0, q + 1}, {0, frame.sk}); }
};

}  // namespace attend
