// SPDX-License-Identifier: Apache-2.0
// What the schedules of sm90.cuh and sm90_unspecialised.cuh put in order: loads of tiles, the two products, stores.
#pragma once
#include "cuda/atoms/tensor_copy.cuh"
#include "cuda/atoms/wgmma.cuh"
#include "cuda/kernels/attention_fwd/sm90_config.cuh"
#include "cuda/tiles/accumulator.cuh"

namespace attend::cuda::attention_fwd {

using atoms::Wgmma;
using tiles::Place;

// --- Loads: one thread.

/// `rows` rows of a tensor, panel by panel.
template <int kColumns, int kPanel, class BoxAt>
__device__ inline void load_panels(char* to, const atoms::TensorMap& map, int rows, BoxAt at, uint64_t& barrier) {
#pragma unroll
  for (int column = 0; column < kColumns; column += kPanel) {
    at.column = column;
    atoms::tensor_load(to + 2 * column * rows, map, at, barrier);
  }
}

/// Tiles of one item after the other, each into the next stage of its ring as soon as that is free.
template <class C>
class Sm90Loads {
 public:
  __device__ Sm90Loads(const Sm90Params& p, const Sm90Shared<C>& shared) : p_(p), shared_(shared) {}

  __device__ void prefetch_maps() const {
    atoms::prefetch_map(p_.q);
    atoms::prefetch_map(p_.k);
    atoms::prefetch_map(p_.v);
  }
  /// Before the item's tiles. Little is kept, since a producer has few registers.
  __device__ void begin(const Item& item) {
    item_ = item;
    sequence_ = p_.common.sequences + item.sequence;
    key_head_ = item.head / p_.common.group;
  }
  __device__ void q() {
    uint64_t& full = q_.acquire(*shared_.q_ring, C::kShape.q_bytes());
    const atoms::PackedBoxAt at{0, 0, sequence_->q_row + item_.first_row, item_.head >> p_.common.pack_shift,
                                sequence_->q_index};
    load_panels<C::kD, C::kPanelD>(shared_.q + q_.stage() * C::kShape.q_bytes(), p_.q, C::kRows, at, full);
    q_.advance();
  }
  __device__ void k(int t) {
    uint64_t& full = k_.acquire(*shared_.k_ring, C::kShape.k_bytes());
    load_panels<C::kD, C::kPanelD>(shared_.k + k_.stage() * C::kShape.k_bytes(), p_.k, C::kKeys, keys(t), full);
    k_.advance();
  }
  __device__ void v(int t) {
    uint64_t& full = v_.acquire(*shared_.v_ring, C::kShape.v_bytes());
    load_panels<C::kDv, C::kPanelDv>(shared_.v + v_.stage() * C::kShape.v_bytes(), p_.v, C::kKeys, keys(t), full);
    v_.advance();
  }

 private:
  __device__ atoms::BoxAt keys(int t) const {
    const int key = p_.common.tiles[item_.first_tile + t].key;
    return {0, sequence_->k_row + key, key_head_, sequence_->k_index};
  }

  const Sm90Params& p_;
  const Sm90Shared<C>& shared_;
  Item item_;
  const Sequence* sequence_;
  int key_head_;
  pipeline::RingCursor<C::kQStages> q_;
  pipeline::RingCursor<C::kStages> k_, v_;
};

// --- Products and stores: 128 threads, 64 rows of the item, two of them in each thread.

/// scores = Q.K^T of this warpgroup's rows, one group in flight.
template <class C>
__device__ inline void issue_scores(float (&scores)[C::kKeys / 2], uint32_t q, uint32_t k) {
  using Desc = atoms::WgmmaDesc<2 * C::kPanelD>;
  const uint64_t q_desc = Desc::k_major(q), k_desc = Desc::k_major(k);
  atoms::wgmma_fence();
#pragma unroll
  for (int column = 0; column < C::kD; column += 16) {
    const int panel = 2 * (column / C::kPanelD * C::kPanelD), inside = 2 * (column % C::kPanelD);
    Wgmma<C::kKeys, C::kElement>::shared(scores, Desc::advance(q_desc, panel * C::kRows + inside),
                                         Desc::advance(k_desc, panel * C::kKeys + inside), column != 0);
  }
  atoms::wgmma_commit();
}

/// out += P.V, one group in flight.
template <class C>
__device__ inline void issue_outputs(float (&out)[C::kDv / 2], const uint32_t (&probs)[C::kKeys / 4], uint32_t v) {
  constexpr uint32_t kPanelBytes = 2 * C::kPanelDv * C::kKeys;
  using Desc = atoms::WgmmaDesc<2 * C::kPanelDv>;
  const uint64_t v_desc = Desc::mn_major(v, kPanelBytes);
  atoms::wgmma_fence();
#pragma unroll
  for (int key = 0; key < C::kKeys; key += 16) {
    const uint32_t a[4] = {probs[key / 4], probs[key / 4 + 1], probs[key / 4 + 2], probs[key / 4 + 3]};
    Wgmma<C::kDv, C::kElement>::registers(out, a, Desc::advance(v_desc, key * 2 * C::kPanelDv));
  }
  atoms::wgmma_commit();
}

/// 16 rows of a warp, as 16-bit numbers, to memory: through the warp's own rows of the queries, which are no longer
/// needed, by the copy engine where all of them exist or the map ends with them.
template <class C>
__device__ inline void store_rows(const Sm90Params& p, const Sequence& sequence, const Item& item, const Place& at,
                                  char* q, const float (&out)[C::kDv / 2]) {
  constexpr int kRowBytes = 2 * C::kPanelDv, kPanelBytes = kRowBytes * C::kRows;
  constexpr uint32_t kSwizzle = kRowBytes == 128 ? 7 : 3;
  const int warp_row = at.warp_row;
  const int valid = min(16, item.rows - warp_row);
  if (valid <= 0) return;
  char* const staged = q + warp_row * kRowBytes;
#pragma unroll
  for (int i = 0; i < C::kDv / 4; ++i) {
    const int column = 8 * (i / 2) + at.column, row = at.lane / 4 + 8 * (i % 2);
    uint32_t offset = row * kRowBytes + 2 * (column % C::kPanelDv);
    offset ^= (offset >> 7 & kSwizzle) << 4;
    *reinterpret_cast<uint32_t*>(staged + column / C::kPanelDv * kPanelBytes + offset) =
        tiles::pack<C::kElement>(out[2 * i], out[2 * i + 1]);
  }
  if (valid == 16 || p.o_clips != 0) {
    atoms::fence_async_proxy();
    __syncwarp();
    if (at.lane == 0) {
#pragma unroll
      for (int column = 0; column < C::kDv; column += C::kPanelDv)
        atoms::tensor_store(p.o,
                            {column, 0, sequence.q_row + row_of(p.common, item, warp_row),
                             item.head >> p.common.pack_shift, sequence.q_index},
                            staged + column / C::kPanelDv * kPanelBytes);
      atoms::store_commit();
      atoms::store_wait_read();  // by the lane that lets go of the rows
    }
    return;
  }
  __syncwarp();
  // Rows of the next sequence follow: single elements, since dv may be anything.
  auto* o = static_cast<uint16_t*>(const_cast<void*>(p.common.o.data));
  for (int row = 0; row < valid; ++row) {
    uint16_t* to = o + sequence.o + head_of(p.common, item, row) * p.common.o.head +
                   row_of(p.common, item, warp_row + row) * p.common.o.row;
    for (int column = at.lane; column < p.common.dv; column += 32) {
      uint32_t offset = row * kRowBytes + 2 * (column % C::kPanelDv);
      offset ^= (offset >> 7 & kSwizzle) << 4;
      to[column] = *reinterpret_cast<const uint16_t*>(staged + column / C::kPanelDv * kPanelBytes + offset);
    }
  }
  atoms::fence_async_proxy();
  __syncwarp();
}

}  // namespace attend::cuda::attention_fwd
