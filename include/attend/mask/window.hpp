// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/mask/tile.hpp>

namespace attend {

/// Sliding window in FlashAttention's meaning: `left` keys before and `right` keys after the query's own key position
/// (bottom-right aligned), itself included; -1 means no limit on that side.
struct Window {
  int64_t left = -1, right = -1;

  ATTEND_HD constexpr Range keys(const Frame& frame, int64_t q) const {
    const int64_t at = frame.key_position(q);
    return intersect(
        {left < 0 || left > at ? 0 : at - left, right < 0 || right >= frame.sk - at ? frame.sk : at + right + 1},
        {0, frame.sk});
  }
};

}  // namespace attend
