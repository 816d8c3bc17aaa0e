// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/mask/tile.hpp>

namespace attend {

/// Key positions are cut into chunks of `size`; a query sees the chunk that its own key position lies in
/// (FlashAttention-3's `attention_chunk`, Llama 4). Usually intersected with causal.
struct Chunk {
  int64_t size = 1;

  ATTEND_HD constexpr Range keys(const Frame& frame, int64_t q) const {
    const int64_t at = frame.key_position(q);
    if (at < 0) return {0, 0};
    const int64_t begin = at / size * size;
    return intersect({begin, begin + size}, {0, frame.sk});
  }
};

}  // namespace attend
