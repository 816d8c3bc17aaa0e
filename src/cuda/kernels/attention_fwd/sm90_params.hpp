// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/mask/tile.hpp>

#include "cuda/atoms/tensor_map.hpp"
#include "cuda/kernels/attention_fwd/params.hpp"

namespace attend::cuda::attention_fwd {

/// Params and the maps of the four tensors. Keys and values: columns, rows, heads, sequences. Queries and outputs: columns,
/// heads of a pack, rows, packs, sequences.
struct Sm90Params {
  atoms::TensorMap q, k, v, o;
  Params common;
  int32_t o_clips;  ///< o's map ends where the rows of each sequence end: stores need no test
};

/// Who issues the copies of tiles.
enum class Loader {
  producer,  ///< a warp that does nothing else
  consumer,  ///< one thread of the consumers, between its own products
};

/// How the warpgroups share the tensor cores and the exponential units.
enum class Exclusion {
  none,
  issue,  ///< one at a time issues products: the others' softmax runs under them ("ping-pong")
  exp,    ///< one at a time exponentiates: the others' products run under it
};

/// Which columns lie together in shared memory: 128 bytes, or 64 where d does not divide.
ATTEND_HD constexpr int32_t panel_columns(int32_t columns) { return columns % 64 == 0 ? 64 : 32; }

/// Everything about one row of sm90.def that the host must know.
struct Sm90Shape {
  int32_t d, dv, rows, keys, stages;
  Loader loader;
  Exclusion exclusion;
  ATTEND_HD constexpr int32_t consumers() const { return rows / 64; }
  ATTEND_HD constexpr int32_t first_consumer() const { return loader == Loader::producer ? 128 : 0; }  ///< thread
  ATTEND_HD constexpr int32_t threads() const { return first_consumer() + 128 * consumers(); }
  /// Where exponentials take turns, nothing else should wait: the next item's queries come under this item's end.
  ATTEND_HD constexpr int32_t q_stages() const { return exclusion == Exclusion::exp ? 2 : 1; }
  ATTEND_HD constexpr int32_t q_bytes() const { return 2 * rows * d; }
  ATTEND_HD constexpr int32_t k_bytes() const { return 2 * keys * d; }
  ATTEND_HD constexpr int32_t v_bytes() const { return 2 * keys * dv; }
  /// Queries, keys, values, barriers, and room to begin at a multiple of 1024, where swizzles begin.
  ATTEND_HD constexpr int32_t shared_bytes() const {
    return q_stages() * q_bytes() + stages * (k_bytes() + v_bytes()) + 128 + 1024;
  }
};

}  // namespace attend::cuda::attention_fwd
