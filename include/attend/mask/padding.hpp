// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/array.hpp>
#include <attend/mask/tile.hpp>

namespace attend {

/// Key padding: sequence n uses keys [begin[n], end[n]) only, counted from the sequence's start. Positions of other
/// masks do not move.
struct Padding {
  Array<int64_t> begin;  ///< [b], or empty for 0 (no left padding)
  Array<int64_t> end;    ///< [b]

  Range keys(const Frame& frame, int64_t) const {
    return intersect({begin.empty() ? 0 : begin[frame.batch], end[frame.batch]}, {0, frame.sk});
  }
  bool differs_by_batch() const { return true; }
};

}  // namespace attend
