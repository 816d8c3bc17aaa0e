// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <attend/array.hpp>
#include <attend/mask/tile.hpp>

namespace attend {

/// Several documents packed into one sequence: a query sees the keys of its own document. Documents are cut at key
/// positions; queries stand at theirs bottom-right aligned. Time of one lookup: O(log documents).
struct Documents {
  Array<int64_t>
      offsets;  ///< rising, from 0; the same for all sequences of the batch. What lies past the last is in no document.

  Range keys(const Frame& frame, int64_t q) const {
    const int64_t at = frame.key_position(q);
    const auto next = std::upper_bound(offsets.begin(), offsets.end(), at);
    if (next == offsets.begin()) return {0, 0};
    if (next == offsets.end()) return {frame.sk, frame.sk};
    return intersect({next[-1], next[0]}, {0, frame.sk});
  }
};

}  // namespace attend
