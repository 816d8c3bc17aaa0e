// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/array.hpp>
#include <attend/mask/tile.hpp>

namespace attend {

/// One boolean for each pair, nonzero = attend (PyTorch's meaning): [b or 1][hq or 1][sq][sk], sq and sk of the
/// Problem. Classifying a tile reads it.
struct Dense {
  Array<uint8_t> allow;
  int64_t sq = 0, sk = 0;
  bool per_batch = false, per_head = false;
  int64_t heads = 1;  ///< hq when per_head

  TileClass classify(const Frame& frame, Range q, Range k) const;
  bool keep(const Frame& frame, int64_t q, int64_t k) const;
  void restrict_row(const Frame& frame, int64_t q, Range k, uint64_t* bits) const;
  bool differs_by_head() const { return per_head; }
  bool differs_by_batch() const { return per_batch; }
};

}  // namespace attend
