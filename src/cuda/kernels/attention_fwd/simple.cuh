// SPDX-License-Identifier: Apache-2.0
// Exact forward attention in f32, for every Problem: the algorithm without its speed. A block of four warps computes 16
// query rows of one head, four a warp; a lane holds one key of a tile while scores are made, and every 32nd column of
// the output otherwise.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "cuda/kernels/attention_fwd/params.hpp"

namespace attend::cuda::attention_fwd {

inline constexpr int kLanes = 32, kRowsPerWarp = kSimpleRows / (kSimpleThreads / kLanes);
inline constexpr int kColumnsPerLane = kMaxColumns / kLanes;
inline constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

__device__ inline float load_element(const void* data, Element type, int64_t at) {
  switch (type) {
    case Element::f16: return __half2float(static_cast<const __half*>(data)[at]);
    case Element::bf16: return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[at]);
    default: return static_cast<const float*>(data)[at];
  }
}

__device__ inline void store_element(void* data, Element type, int64_t at, float x) {
  switch (type) {
    case Element::f16: static_cast<__half*>(data)[at] = __float2half_rn(x); break;
    case Element::bf16: static_cast<__nv_bfloat16*>(data)[at] = __float2bfloat16_rn(x); break;
    default: static_cast<float*>(data)[at] = x;
  }
}

/// `rows` rows into shared memory, `pitch` floats apart; zeros from `valid` on. `at` says where a row begins. All threads
/// of the block.
template <class At>
__device__ inline void load_tile(float* to, int pitch, const Tensor& from, const At& at, int columns, int rows,
                                 int valid) {
  for (int i = threadIdx.x; i < rows * columns; i += kSimpleThreads) {
    const int row = i / columns, column = i - row * columns;
    to[row * pitch + column] = row < valid ? load_element(from.data, from.type, at(row) + column) : 0.0f;
  }
}

__device__ inline float warp_max(float x) {
  for (int distance = kLanes / 2; distance > 0; distance /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, distance));
  return x;
}
__device__ inline float warp_sum(float x) {
  for (int distance = kLanes / 2; distance > 0; distance /= 2) x += __shfl_xor_sync(0xffffffffu, x, distance);
  return x;
}

/// s = scale q.k, then softcap, ALiBi, bias (attention.hpp), in units of log2.
__device__ inline float score_of(const Params& p, const Sequence& sequence, int n, int head, int row, int key,
                                 float dot) {
  float s = p.scale * dot;
  if (p.softcap > 0) s = p.softcap * tanhf(s / p.softcap);
  if (p.alibi_slopes != nullptr) {
    const float slope = p.alibi_slopes[n * p.alibi_sequence + head];
    const int64_t away = int64_t{row} + sequence.sk - sequence.sq - key;
    s -= slope * static_cast<float>(away < 0 ? -away : away);
  }
  if (p.bias != nullptr) s += p.bias[sequence.bias + head * p.bias_head + row * p.bias_row + key];
  return s * kLog2E;
}

/// Online softmax (Dao 2023, arXiv:2307.08691, algorithm 1). Blocks of threads take blocks of rows in turn: all, or those
/// that another kernel left (Params::redo). A row without a kept key keeps m = -inf and sum = 0: output 0, lse -inf or
/// the sink.
__device__ inline void simple_forward(const Params& p, float* shared) {
  float* const q_tile = shared;
  float* const k_tile = q_tile + kSimpleRows * p.d;
  float* const v_tile = k_tile + kSimpleKeys * (p.d + 1);
  const int warp = threadIdx.x / kLanes, lane = threadIdx.x % kLanes, first = warp * kRowsPerWarp;

  const int blocks = p.tile_rows / kSimpleRows, words = (p.tile_keys + 31) / 32;
  const int count = p.redo == nullptr ? p.item_count * blocks : *p.redo_count;
  for (int index = blockIdx.x; index < count; index += gridDim.x) {
    const int block = p.redo == nullptr ? index : p.redo[index];
    Item item = p.items[block / blocks];
    const int skipped = block % blocks * kSimpleRows;  // rows of the item before this block
    item.first_row += skipped >> p.pack_shift;
    item.rows = min(item.rows - skipped, kSimpleRows);
    if (item.rows <= 0) continue;
    const Sequence sequence = p.sequences[item.sequence];
    const int key_head = item.head / p.group;
    __syncthreads();  // the item before is done with its queries
    const auto q_at = [&](int r) {
      return sequence.q + head_of(p, item, r) * p.q.head + row_of(p, item, r) * p.q.row;
    };
    load_tile(q_tile, p.d, p.q, q_at, p.d, kSimpleRows, item.rows);

    float m[kRowsPerWarp], sum[kRowsPerWarp], out[kRowsPerWarp][kColumnsPerLane];
#pragma unroll
    for (int r = 0; r < kRowsPerWarp; ++r) {
      m[r] = -INFINITY;
      sum[r] = 0;
#pragma unroll
      for (int c = 0; c < kColumnsPerLane; ++c) out[r][c] = 0;
    }

    for (int t = 0; t < item.tiles * words; ++t) {  // a word of a tile's bits, 32 keys, at a time
      KeyTile tile = p.tiles[item.first_tile + t / words];
      const int word = t % words;
      tile.key += word * kSimpleKeys;
      const int valid = min(min(kSimpleKeys, p.tile_keys - word * kSimpleKeys), sequence.sk - tile.key);
      if (valid <= 0) continue;
      __syncthreads();  // the tile before has been used
      const auto k_at = [&](int r) { return sequence.k + key_head * p.k.head + (tile.key + r) * p.k.row; };
      const auto v_at = [&](int r) { return sequence.v + key_head * p.v.head + (tile.key + r) * p.v.row; };
      load_tile(k_tile, p.d + 1, p.k, k_at, p.d, kSimpleKeys, valid);
      load_tile(v_tile, p.dv, p.v, v_at, p.dv, kSimpleKeys, valid);
      __syncthreads();

      float dot[kRowsPerWarp] = {};
      for (int c = 0; c < p.d; ++c) {
        const float k = k_tile[lane * (p.d + 1) + c];
#pragma unroll
        for (int r = 0; r < kRowsPerWarp; ++r) dot[r] += q_tile[(first + r) * p.d + c] * k;
      }
#pragma unroll
      for (int r = 0; r < kRowsPerWarp; ++r) {
        if (first + r >= item.rows) break;
        uint32_t kept = valid == kSimpleKeys ? 0xffffffffu : (1u << valid) - 1;
        if (tile.bits >= 0) kept &= p.bits[(int64_t{tile.bits} * p.tile_rows + skipped + first + r) * words + word];
        if (kept == 0) continue;
        const int row = row_of(p, item, first + r), head = head_of(p, item, first + r);
        // What lies in a slot that is not kept is never looked at: it may be anything.
        const bool keep = (kept >> lane & 1) != 0;
        const float s = keep ? score_of(p, sequence, item.sequence, head, row, tile.key + lane, dot[r]) : -INFINITY;
        // fmaxf drops NaN; the sum below keeps it.
        const float new_m = fmaxf(m[r], warp_max(s));
        const float base = new_m == -INFINITY ? 0.0f : new_m;
        const float prob = exp2f(s - base), shrink = exp2f(m[r] - base);
        m[r] = new_m;
        sum[r] = sum[r] * shrink + prob;  // of this lane's keys
#pragma unroll
        for (int c = 0; c < kColumnsPerLane; ++c)
          if (c * kLanes < p.dv) out[r][c] *= shrink;
        for (uint32_t rest = kept; rest != 0; rest &= rest - 1) {
          const int key = __ffs(static_cast<int>(rest)) - 1;
          const float weight = __shfl_sync(0xffffffffu, prob, key);
#pragma unroll
          for (int c = 0; c < kColumnsPerLane; ++c)
            if (c * kLanes + lane < p.dv) out[r][c] += weight * v_tile[key * p.dv + c * kLanes + lane];
        }
      }
    }

#pragma unroll
    for (int r = 0; r < kRowsPerWarp; ++r) {
      if (first + r >= item.rows) break;
      const int row = row_of(p, item, first + r), head = head_of(p, item, first + r);
      float total = warp_sum(sum[r]), shrink = 1;
      if (p.sink != nullptr) {  // one key more, of value 0
        const float sink = p.sink[head] * kLog2E, new_m = fmaxf(m[r], sink);
        const float base = new_m == -INFINITY ? 0.0f : new_m;
        shrink = exp2f(m[r] - base);
        total = total * shrink + exp2f(sink - base);
        m[r] = new_m;
      }
      const bool empty = total == 0.0f;
      const float factor = shrink / total;
      const int64_t at = sequence.o + head * p.o.head + row * p.o.row;
#pragma unroll
      for (int c = 0; c < kColumnsPerLane; ++c)
        if (c * kLanes + lane < p.dv)
          store_element(const_cast<void*>(p.o.data), p.o.type, at + c * kLanes + lane,
                        empty ? 0.0f : out[r][c] * factor);
      if (p.lse != nullptr && lane == 0)
        p.lse[sequence.lse + head * p.lse_head + row] = empty ? -INFINITY : m[r] * kLn2 + logf(total);
    }
  }
}

}  // namespace attend::cuda::attention_fwd
