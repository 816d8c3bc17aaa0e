// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/mask/tile.hpp>

namespace attend {

/// StreamingLLM's mask (arXiv:2309.17453): the first keys of a sequence, which the paper calls attention sinks, and
/// those from `left` before the query's own key position on (bottom-right aligned). What lies between is hidden,
/// nothing is hidden after the query: usually intersected with causal.
struct Streaming {
  int64_t first = 0, left = 0;  ///< keys

  /// Keys that query q does not see, if it is not empty. Its end rises with the query.
  ATTEND_HD constexpr Range hole(const Frame& frame, int64_t q) const { return {first, frame.key_position(q) - left}; }
  TileClass classify(const Frame& frame, Range q, Range k) const;
  bool keep(const Frame& frame, int64_t q, int64_t k) const;
  void restrict_row(const Frame& frame, int64_t q, Range k, uint64_t* bits) const;
  Range key_span(const Frame& frame, Range q) const;
};

}  // namespace attend
