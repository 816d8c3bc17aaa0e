// SPDX-License-Identifier: Apache-2.0
// Between the two products, the same for all kernels that multiply in tiles: score terms, mask, softmax of a warp's 16
// rows, and what becomes of its rows at the end. C says kKeys, kRows, kDv of the tile, kWords of a row of bits.
#pragma once
#include "cuda/algo/online_softmax.hpp"
#include "cuda/kernels/attention_fwd/params.hpp"
#include "cuda/tiles/accumulator.cuh"

namespace attend::cuda::attention_fwd {

using algo::SoftmaxRow;
using tiles::Place;

/// Softcap, ALiBi and bias, in the order of attention.hpp; scores become what is exponentiated, in units of log2.
template <class C>
__device__ inline void apply_terms(const Params& p, const Sequence& sequence, const Item& item, const Place& at,
                                   int key, float (&scores)[C::kKeys / 2]) {
  constexpr float kLog2E = 1.4426950408889634f;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = row_of(p, item, at.first_row + 8 * half), head = head_of(p, item, at.first_row + 8 * half);
    const float slope = p.alibi_slopes == nullptr ? 0 : p.alibi_slopes[item.sequence * p.alibi_sequence + head];
    const bool row_exists = at.first_row + 8 * half < item.rows;
    const int position = row + sequence.sk - sequence.sq;
    const float* bias = p.bias == nullptr ? nullptr : p.bias + sequence.bias + head * p.bias_head + row * p.bias_row;
#pragma unroll
    for (int i = 0; i < C::kKeys / 4; ++i) {
      const int index = 4 * (i / 2) + 2 * half + i % 2, this_key = key + 8 * (i / 2) + at.column + i % 2;
      float s = p.scale * scores[index];
      if (p.softcap > 0) s = p.softcap * tanhf(s / p.softcap);
      if (p.alibi_slopes != nullptr) {
        const int64_t away = int64_t{position} - this_key;
        s -= slope * static_cast<float>(away < 0 ? -away : away);
      }
      if (bias != nullptr && row_exists && this_key < sequence.sk) s += bias[this_key];
      scores[index] = s * kLog2E;
    }
  }
}

/// What the tile's bits do not keep becomes -inf, whatever it was.
template <class C>
__device__ inline void apply_mask(const Params& p, int block, const Place& at, float (&scores)[C::kKeys / 2]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const uint32_t* words = p.bits + (int64_t{block} * C::kRows + at.first_row + 8 * half) * C::kWords;
#pragma unroll
    for (int word = 0; word < C::kWords; ++word) {
      const uint32_t bits = words[word] >> at.column;
#pragma unroll
      for (int j = 4 * word; j < min(4 * word + 4, C::kKeys / 8); ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e)
          if ((bits >> (8 * (j % 4) + e) & 1) == 0) scores[4 * j + 2 * half + e] = -INFINITY;
    }
  }
}

/// Rows' references follow a tile's scores; `factor` is what earlier outputs are to be multiplied by.
template <class C>
__device__ inline void raise(SoftmaxRow (&rows)[2], float (&factor)[2], const float (&scores)[C::kKeys / 2],
                             float scale) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float largest = -INFINITY;
#pragma unroll
    for (int i = 0; i < C::kKeys / 4; ++i) largest = fmaxf(largest, scores[4 * (i / 2) + 2 * half + i % 2]);
    factor[half] = rows[half].raise(tiles::quad_max(largest) * scale);
  }
}

/// Makes probabilities of a tile's scores, behind raise().
template <class C>
__device__ inline void exponentiate(SoftmaxRow (&rows)[2], float (&scores)[C::kKeys / 2], float scale) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float base = rows[half].base();
    float sum = 0;
#pragma unroll
    for (int i = 0; i < C::kKeys / 4; ++i) {
      float& s = scores[4 * (i / 2) + 2 * half + i % 2];
      s = algo::exp2_fast(s * scale - base);
      sum += s;
    }
    rows[half].sum += sum;
  }
}

/// Both.
template <class C>
__device__ inline void softmax(SoftmaxRow (&rows)[2], float (&factor)[2], float (&scores)[C::kKeys / 2], float scale) {
  raise<C>(rows, factor, scores, scale);
  exponentiate<C>(rows, scores, scale);
}

/// Rows without any tile: zeros, lse -inf or the sink.
template <class C>
__device__ inline void store_empty(const Params& p, const Sequence& sequence, const Item& item, const Place& at) {
  auto* o = static_cast<uint16_t*>(const_cast<void*>(p.o.data));
  for (int row = at.warp_row; row < min(item.rows, at.warp_row + 16); ++row) {
    const int head = head_of(p, item, row), query = row_of(p, item, row);
    uint16_t* to = o + sequence.o + head * p.o.head + query * p.o.row;
    for (int column = at.lane; column < p.dv; column += 32) to[column] = 0;
    if (p.lse != nullptr && at.lane == 0)
      p.lse[sequence.lse + head * p.lse_head + query] = p.sink == nullptr ? -INFINITY : p.sink[head];
  }
}

/// Sums, sink, lse, the division; blocks of rows with a number that is not finite are left to the simple kernel.
template <class C>
__device__ inline void finish(const Params& p, const Sequence& sequence, const Item& item, int index, const Place& at,
                              SoftmaxRow (&rows)[2], float (&out)[C::kDv / 2]) {
  constexpr float kLog2E = 1.4426950408889634f;
  bool finite = true;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    SoftmaxRow& row = rows[half];
    row.sum = tiles::quad_sum(row.sum);
    const int tile_row = at.first_row + 8 * half, head = head_of(p, item, tile_row);
    float factor = 1;
    if (p.sink != nullptr) factor = row.add_sink(p.sink[head] * kLog2E);
    factor *= row.output_factor();
    const bool exists = tile_row < item.rows;
    const bool weightless = row.sum == 0;
#pragma unroll
    for (int i = 0; i < C::kDv / 4; ++i) {
      float& x = out[4 * (i / 2) + 2 * half + i % 2];
      finite = finite && (!exists || fabsf(x) < INFINITY);
      x = weightless ? 0 : x * factor;
    }
    finite = finite && (!exists || row.sum < INFINITY);
    if (p.lse != nullptr && exists && at.column == 0)
      p.lse[sequence.lse + head * p.lse_head + row_of(p, item, tile_row)] = row.lse();
  }
  if (!__all_sync(0xffffffffu, finite) && at.lane == 0)
    p.redo[atomicAdd(p.redo_count, 1)] = index * (C::kRows / kSimpleRows) + at.warp_row / kSimpleRows;
}

}  // namespace attend::cuda::attention_fwd
