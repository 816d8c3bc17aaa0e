// SPDX-License-Identifier: Apache-2.0
// FlashAttention-2 forward (Dao 2023, arXiv:2307.08691) for 16-bit elements: a block of threads takes one block of
// query rows, its warps own 16 or 32 of them each and see all keys. The schedule is in README.md of this folder.
#pragma once
#include "cuda/atoms/address.cuh"
#include "cuda/kernels/attention_fwd/scores.cuh"
#include "cuda/kernels/attention_fwd/sm80_params.hpp"
#include "cuda/tiles/swizzled.cuh"

namespace attend::cuda::attention_fwd {

template <atoms::Element kElement_, int kD_, int kDv_, int kRows_, int kKeys_, int kWarps, int kStages_>
struct Sm80Config {
  static constexpr atoms::Element kElement = kElement_;
  static constexpr int kD = kD_, kDv = kDv_, kRows = kRows_, kKeys = kKeys_, kStages = kStages_;
  static constexpr Sm80Shape kShape{kD, kDv, kRows, kKeys, kWarps, kStages};
  static constexpr int kThreads = kShape.threads();
  static constexpr int kWarpRows = kRows / kWarps, kBlocks = kWarpRows / 16;  ///< of 16 rows that a warp owns
  static constexpr int kWords = (kKeys + 31) / 32;
  static_assert(kWarpRows % 16 == 0 && kRows % kWarps == 0 && kKeys % 16 == 0 && kDv <= kD);
};

/// What copies and products of one item need.
template <class C>
struct Sm80Item {
  const Params& p;
  const Item& item;
  const Sequence& sequence;
  uint32_t shared;  ///< queries, stages of keys, stages of values

  __device__ uint32_t q() const { return shared; }
  __device__ uint32_t k(int stage) const { return shared + C::kShape.q_bytes() + stage * C::kShape.k_bytes(); }
  __device__ uint32_t v(int stage) const {
    return shared + C::kShape.q_bytes() + C::kStages * C::kShape.k_bytes() + stage * C::kShape.v_bytes();
  }

  __device__ void load_q() const {
    const auto* from = static_cast<const uint16_t*>(p.q.data) + sequence.q;
    const auto row_at = [&](int row) {
      return from + head_of(p, item, row) * p.q.head + row_of(p, item, row) * p.q.row;
    };
    tiles::load_rows<C::kD, C::kRows, C::kThreads>(q(), row_at, p.d, item.rows);
  }
  // Tiles past the last are nothing: groups are counted all the same.
  __device__ void load_k(int t) const {
    if (t < item.tiles) load_tile<C::kD>(k(t % C::kStages), p.k, sequence.k, p.d, t);
  }
  __device__ void load_v(int t) const {
    if (t < item.tiles) load_tile<C::kDv>(v(t % C::kStages), p.v, sequence.v, p.dv, t);
  }

 private:
  template <int kColumns>
  __device__ void load_tile(uint32_t to, const Tensor& tensor, int64_t first, int columns, int t) const {
    const int key = p.tiles[item.first_tile + t].key;
    const auto* from = static_cast<const uint16_t*>(tensor.data) + first + item.head / p.group * tensor.head;
    tiles::load_rows<kColumns, C::kKeys, C::kThreads>(
        to, [&](int row) { return from + (key + row) * tensor.row; }, columns, sequence.sk - key);
  }
};

/// scores += Q.K^T of this warp's rows.
template <class C>
__device__ inline void multiply_keys(float (&scores)[C::kBlocks][C::kKeys / 2], uint32_t q, uint32_t k) {
  const auto q_row = tiles::LaneRow<C::kD>::rows_first(q);
  const auto k_row = tiles::LaneRow<C::kD>::columns_first(k);
#pragma unroll
  for (int column = 0; column < C::kD; column += 16) {
    uint32_t queries[C::kBlocks][4];
#pragma unroll
    for (int b = 0; b < C::kBlocks; ++b) atoms::load_matrices(queries[b], q_row.at(16 * b, column));
#pragma unroll
    for (int key = 0; key < C::kKeys; key += 16) {
      uint32_t keys[4];
      atoms::load_matrices(keys, k_row.at(key, column));
#pragma unroll
      for (int b = 0; b < C::kBlocks; ++b) {
        atoms::mma<C::kElement>(scores[b] + key / 2, queries[b], keys[0], keys[1]);
        atoms::mma<C::kElement>(scores[b] + key / 2 + 4, queries[b], keys[2], keys[3]);
      }
    }
  }
}

/// out += P.V
template <class C>
__device__ inline void multiply_values(float (&out)[C::kBlocks][C::kDv / 2],
                                       const uint32_t (&probs)[C::kBlocks][C::kKeys / 4], uint32_t v) {
  const auto v_row = tiles::LaneRow<C::kDv>::rows_first(v);
#pragma unroll
  for (int key = 0; key < C::kKeys; key += 16)
#pragma unroll
    for (int column = 0; column < C::kDv; column += 16) {
      uint32_t values[4];
      atoms::load_matrices_transposed(values, v_row.at(key, column));
#pragma unroll
      for (int b = 0; b < C::kBlocks; ++b) {
        const uint32_t weights[4] = {probs[b][key / 4], probs[b][key / 4 + 1], probs[b][key / 4 + 2],
                                     probs[b][key / 4 + 3]};
        atoms::mma<C::kElement>(out[b] + column / 2, weights, values[0], values[1]);
        atoms::mma<C::kElement>(out[b] + column / 2 + 4, weights, values[2], values[3]);
      }
    }
}

/// 16 rows of a warp, as 16-bit numbers, to memory: through its own rows of the queries, which nobody needs any more.
template <class C>
__device__ inline void store_block(const Sm80Item<C>& work, const Place& at, char* q, const float (&out)[C::kDv / 2]) {
  using Tile = tiles::Swizzled<C::kD>;
  const Params& p = work.p;
#pragma unroll
  for (int i = 0; i < C::kDv / 4; ++i)
    *reinterpret_cast<uint32_t*>(q + Tile::offset(at.first_row + 8 * (i % 2), 8 * (i / 2) + at.column)) =
        tiles::pack<C::kElement>(out[2 * i], out[2 * i + 1]);
  __syncwarp();
  auto* o = static_cast<uint16_t*>(const_cast<void*>(p.o.data)) + work.sequence.o;
  const int chunk = at.lane % Tile::kChunks;
#pragma unroll 1
  for (int i = at.lane / Tile::kChunks; i < 16; i += 32 / Tile::kChunks) {
    const int row = at.warp_row + i;
    if (row >= work.item.rows) break;
    uint16_t* to_row = o + head_of(p, work.item, row) * p.o.head + row_of(p, work.item, row) * p.o.row;
    for (int column = 8 * chunk; column < p.dv; column += Tile::kPanel) {
      const uint4 eight = *reinterpret_cast<const uint4*>(q + Tile::offset(row, column));
      uint16_t* to = to_row + column;
      if (column + 8 <= p.dv) {
        *reinterpret_cast<uint4*>(to) = eight;
      } else {
        const uint32_t words[4] = {eight.x, eight.y, eight.z, eight.w};
#pragma unroll
        for (int e = 0; e < 8; ++e)
          if (column + e < p.dv) to[e] = static_cast<uint16_t>(words[e / 2] >> 16 * (e % 2));
      }
    }
  }
}

/// Copies are in the order of their use: K0 (with Q), V0, K1, V1, ..., one group each, 2 * stages - 1 of them in
/// flight. A step waits for the oldest; behind its barrier all warps have it, and are done with what the step before
/// used: its place takes the next copy.
template <class C>
__device__ inline void sm80_forward(const Params& p, char* memory) {
  const Item item = p.items[blockIdx.x];
  const Sequence& sequence = p.sequences[item.sequence];
  const int warp_row = threadIdx.x / 32 * C::kWarpRows;
  if (item.tiles == 0) {
#pragma unroll 1
    for (int b = 0; b < C::kBlocks; ++b) store_empty<C>(p, sequence, item, Place(warp_row + 16 * b));
    return;
  }
  const Sm80Item<C> work{p, item, sequence, atoms::shared_address(memory)};
  const uint32_t q = work.q() + warp_row * 2 * C::kD;
  const bool terms = p.softcap > 0 || p.alibi_slopes != nullptr || p.bias != nullptr;
  const float scale = terms ? 1.0f : p.scale * 1.4426950408889634f;

  float out[C::kBlocks][C::kDv / 2];
  SoftmaxRow rows[C::kBlocks][2];
#pragma unroll
  for (int b = 0; b < C::kBlocks; ++b) {
    rows[b][0] = rows[b][1] = SoftmaxRow::empty();
#pragma unroll
    for (int i = 0; i < C::kDv / 2; ++i) out[b][i] = 0;
  }
  const auto arrive = [] {
    atoms::copy_wait<2 * C::kStages - 2>();
    __syncthreads();
  };

  work.load_q();
#pragma unroll
  for (int i = 0; i < 2 * C::kStages - 1; ++i) {
    if (i % 2 == 0)
      work.load_k(i / 2);
    else
      work.load_v(i / 2);
    atoms::copy_commit();
  }
#pragma unroll 1
  for (int t = 0; t < item.tiles; ++t) {
    float scores[C::kBlocks][C::kKeys / 2];
    uint32_t probs[C::kBlocks][C::kKeys / 4];
#pragma unroll
    for (int b = 0; b < C::kBlocks; ++b)
#pragma unroll
      for (int i = 0; i < C::kKeys / 2; ++i) scores[b][i] = 0;

    arrive();
    work.load_v(t + C::kStages - 1);
    atoms::copy_commit();
    multiply_keys<C>(scores, q, work.k(t % C::kStages));
    arrive();
    work.load_k(t + C::kStages);
    atoms::copy_commit();

    const KeyTile tile = p.tiles[item.first_tile + t];
#pragma unroll
    for (int b = 0; b < C::kBlocks; ++b) {
      const Place at(warp_row + 16 * b);
      float factor[2];
      if (terms) apply_terms<C>(p, sequence, item, at, tile.key, scores[b]);
      if (tile.bits >= 0) apply_mask<C>(p, tile.bits, at, scores[b]);
      softmax<C>(rows[b], factor, scores[b], scale);
      tiles::scale_rows(out[b], factor);
      tiles::round<C::kElement>(probs[b], scores[b]);
    }
    multiply_values<C>(out, probs, work.v(t % C::kStages));
  }

#pragma unroll
  for (int b = 0; b < C::kBlocks; ++b) {
    const Place at(warp_row + 16 * b);
    finish<C>(p, sequence, item, blockIdx.x, at, rows[b], out[b]);
    store_block<C>(work, at, memory, out[b]);
  }
}

}  // namespace attend::cuda::attention_fwd
