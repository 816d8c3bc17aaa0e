// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/array.hpp>
#include <attend/mask/tile.hpp>

namespace attend {

/// Every query sees the first `prefix` keys, and beyond them those up to its own position (bottom-right aligned).
struct PrefixLm {
  Array<int64_t> prefix;  ///< one for all sequences, or [b]

  Range keys(const Frame& frame, int64_t q) const {
    const int64_t n = prefix[prefix.size() == 1 ? 0 : frame.batch], causal = frame.key_position(q) + 1;
    return intersect({0, n > causal ? n : causal}, {0, frame.sk});
  }
  bool differs_by_batch() const { return prefix.size() > 1; }
};

}  // namespace attend
