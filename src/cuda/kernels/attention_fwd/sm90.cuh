// SPDX-License-Identifier: Apache-2.0
// FlashAttention-3 forward (Shah et al. 2024, arXiv:2407.08608) for 16-bit elements: one producer warp feeds rings of
// keys and values, each consumer warpgroup owns 64 query rows. The schedule is in README.md of this folder.
#pragma once
#include "cuda/atoms/tensor_copy.cuh"
#include "cuda/atoms/wgmma.cuh"
#include "cuda/kernels/attention_fwd/scores.cuh"
#include "cuda/kernels/attention_fwd/sm90_params.hpp"
#include "cuda/pipeline/ring.cuh"

namespace attend::cuda::attention_fwd {

using atoms::Wgmma;

/// How the two warpgroups share the tensor cores and the exponential units.
enum class Exclusion {
  none,
  issue,  ///< only one at a time issues products: the other's softmax runs under them (algorithm 1, "ping-pong")
};

template <atoms::Element kElement_, int kD_, int kDv_, int kRows_, int kKeys_, Exclusion kExclusion_, bool kOverlap_>
struct Sm90Config {
  static constexpr atoms::Element kElement = kElement_;
  static constexpr int kD = kD_, kDv = kDv_, kRows = kRows_, kKeys = kKeys_, kStages = 2;
  static constexpr Sm90Shape kShape{kD, kDv, kRows, kKeys, kStages};
  static constexpr Exclusion kExclusion = kExclusion_;
  static constexpr bool kOverlap = kOverlap_;  ///< softmax of a tile runs under the second product of the one before
  static constexpr int kConsumers = kRows / 64;
  static constexpr int kProducerRegisters = kConsumers == 3 ? 32 : 24, kConsumerRegisters = kConsumers == 3 ? 160 : 240;
  static constexpr int kPanelD = panel_columns(kD), kPanelDv = panel_columns(kDv);
  static constexpr int kWords = (kKeys + 31) / 32;
  static_assert(kKeys % 16 == 0 && kRows % 64 == 0 && kD % kPanelD == 0 && kDv <= kD && kPanelDv == kPanelD);
};

/// Named barriers; 0 is __syncthreads.
enum Barrier : int { kTurn = 1 };  ///< of consumer warpgroup 0, and of the others behind it

template <class C>
struct Sm90Shared {
  char *q, *k, *v;
  pipeline::RingBarriers<1>* q_ring;
  pipeline::RingBarriers<C::kStages>*k_ring, *v_ring;

  __device__ explicit Sm90Shared(char* base) {
    base += -atoms::shared_address(base) & 1023;
    q = base;
    k = q + C::kShape.q_bytes();
    v = k + C::kStages * C::kShape.k_bytes();
    auto* barriers = reinterpret_cast<uint64_t*>(v + C::kStages * C::kShape.v_bytes());
    q_ring = reinterpret_cast<pipeline::RingBarriers<1>*>(barriers);
    k_ring = reinterpret_cast<pipeline::RingBarriers<C::kStages>*>(barriers + 2);
    v_ring = reinterpret_cast<pipeline::RingBarriers<C::kStages>*>(barriers + 2 + 2 * C::kStages);
  }
};

// --- The producer: one thread.

/// `rows` rows of a tensor, panel by panel.
template <int kColumns, int kPanel, class BoxAt>
__device__ inline void load_panels(char* to, const atoms::TensorMap& map, int rows, BoxAt at, uint64_t& barrier) {
#pragma unroll
  for (int column = 0; column < kColumns; column += kPanel) {
    at.column = column;
    atoms::tensor_load(to + 2 * column * rows, map, at, barrier);
  }
}

/// Keys run one tile ahead of values, as they are used (paper, section 3.2).
template <class C>
__device__ inline void produce(const Sm90Params& p, const Sm90Shared<C>& shared) {
  pipeline::RingCursor<1> q;
  pipeline::RingCursor<C::kStages> k, v;
  atoms::prefetch_map(p.q);
  atoms::prefetch_map(p.k);
  atoms::prefetch_map(p.v);
  const int end = p.common.first_items[blockIdx.x + 1];
  for (int index = p.common.first_items[blockIdx.x]; index < end; ++index) {
    const Item item = p.common.items[index];
    if (item.tiles == 0) continue;
    const Sequence& sequence = p.common.sequences[item.sequence];
    const int key_head = item.head / p.common.group;
    const auto load_k = [&](int t) {
      uint64_t& full = k.acquire(*shared.k_ring, C::kShape.k_bytes());
      const int key = p.common.tiles[item.first_tile + t].key;
      load_panels<C::kD, C::kPanelD>(shared.k + k.stage() * C::kShape.k_bytes(), p.k, C::kKeys,
                                     atoms::BoxAt{0, sequence.k_row + key, key_head, sequence.k_index}, full);
      k.advance();
    };
    const auto load_v = [&](int t) {
      uint64_t& full = v.acquire(*shared.v_ring, C::kShape.v_bytes());
      const int key = p.common.tiles[item.first_tile + t].key;
      load_panels<C::kDv, C::kPanelDv>(shared.v + v.stage() * C::kShape.v_bytes(), p.v, C::kKeys,
                                       atoms::BoxAt{0, sequence.k_row + key, key_head, sequence.k_index}, full);
      v.advance();
    };
    load_k(0);
    uint64_t& full = q.acquire(*shared.q_ring, C::kShape.q_bytes());
    const atoms::PackedBoxAt rows{0, 0, sequence.q_row + item.first_row, item.head >> p.common.pack_shift,
                                  sequence.q_index};
    load_panels<C::kD, C::kPanelD>(shared.q, p.q, C::kRows, rows, full);
    q.advance();
    for (int t = 1; t < item.tiles; ++t) {
      load_k(t);
      load_v(t - 1);
    }
    load_v(item.tiles - 1);
  }
}

// --- A consumer: 128 threads, 64 rows of the item, two of them in each thread.

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

/// The other warpgroups' turn begins when this one has issued its products.
template <class C>
__device__ inline void take_turn(int warpgroup) {
  if constexpr (C::kExclusion == Exclusion::issue && C::kConsumers > 1) atoms::named_sync(kTurn + warpgroup, 256);
}
template <class C>
__device__ inline void pass_turn(int warpgroup) {
  if constexpr (C::kExclusion == Exclusion::issue && C::kConsumers > 1)
    atoms::named_arrive(kTurn + (warpgroup + 1) % C::kConsumers, 256);
}

template <class C>
__device__ inline void consume(const Sm90Params& params, const Sm90Shared<C>& shared) {
  const Params& p = params.common;
  const int warpgroup = threadIdx.x / 128 - 1;
  const Place at(16 * (threadIdx.x / 32 - 4));
  pipeline::RingCursor<1> q;
  pipeline::RingCursor<C::kStages> k, v;
  const uint32_t q_rows = atoms::shared_address(shared.q) + 64 * warpgroup * 2 * C::kPanelD;
  const bool terms = p.softcap > 0 || p.alibi_slopes != nullptr || p.bias != nullptr;
  const float scale = terms ? 1.0f : p.scale * 1.4426950408889634f;
  if (warpgroup == C::kConsumers - 1) pass_turn<C>(warpgroup);

  const int end = p.first_items[blockIdx.x + 1];
  for (int index = p.first_items[blockIdx.x]; index < end; ++index) {
    const Item item = p.items[index];
    const Sequence& sequence = p.sequences[item.sequence];
    if (item.tiles == 0) {
      store_empty<C>(p, sequence, item, at);
      continue;
    }
    float scores[C::kKeys / 2], out[C::kDv / 2], factor[2];
    uint32_t probs[C::kKeys / 4];
    SoftmaxRow rows[2] = {SoftmaxRow::empty(), SoftmaxRow::empty()};
#pragma unroll
    for (int i = 0; i < C::kDv / 2; ++i) out[i] = 0;
    const auto address_k = [&] { return atoms::shared_address(shared.k) + k.stage() * C::kShape.k_bytes(); };
    const auto address_v = [&] { return atoms::shared_address(shared.v) + v.stage() * C::kShape.v_bytes(); };
    // From scores to probabilities in f32.
    const auto weigh = [&](int t) {
      const KeyTile tile = p.tiles[item.first_tile + t];
      if (terms) apply_terms<C>(p, sequence, item, at, tile.key, scores);
      if (tile.bits >= 0) apply_mask<C>(p, tile.bits, at, scores);
      softmax<C>(rows, factor, scores, scale);
    };

    q.wait(*shared.q_ring);
    k.wait(*shared.k_ring);
    take_turn<C>(warpgroup);
    issue_scores<C>(scores, q_rows, address_k());
    pass_turn<C>(warpgroup);
    atoms::wgmma_wait<0>();
    atoms::wgmma_hold(scores);
    k.release(*shared.k_ring);
    k.advance();
    weigh(0);
    tiles::round<C::kElement>(probs, scores);

    for (int t = 1; t < item.tiles; ++t) {
      k.wait(*shared.k_ring);
      take_turn<C>(warpgroup);
      issue_scores<C>(scores, q_rows, address_k());
      v.wait(*shared.v_ring);
      issue_outputs<C>(out, probs, address_v());
      pass_turn<C>(warpgroup);
      if constexpr (C::kOverlap)
        atoms::wgmma_wait<1>();
      else
        atoms::wgmma_wait<0>();
      atoms::wgmma_hold(scores);
      k.release(*shared.k_ring);
      k.advance();
      weigh(t);
      atoms::wgmma_wait<0>();
      atoms::wgmma_hold(out);
      v.release(*shared.v_ring);
      v.advance();
      tiles::scale_rows(out, factor);
      tiles::round<C::kElement>(probs, scores);
    }

    v.wait(*shared.v_ring);
    take_turn<C>(warpgroup);
    issue_outputs<C>(out, probs, address_v());
    pass_turn<C>(warpgroup);
    atoms::wgmma_wait<0>();
    atoms::wgmma_hold(out);
    v.release(*shared.v_ring);
    v.advance();
    finish<C>(p, sequence, item, index, at, rows, out);
    store_rows<C>(params, sequence, item, at, shared.q, out);
    q.release(*shared.q_ring);
    q.advance();
  }
}

template <class C>
__device__ inline void sm90_forward(const Sm90Params& p, char* memory) {
  const Sm90Shared<C> shared(memory);
  if (threadIdx.x == 0) {
    constexpr int kWarps = 4 * C::kConsumers;
    shared.q_ring->init(kWarps);
    shared.k_ring->init(kWarps);
    shared.v_ring->init(kWarps);
    atoms::mbarrier_init_fence();
  }
  __syncthreads();
  if (threadIdx.x < 128) {
    atoms::registers_give<C::kProducerRegisters>();
    if (threadIdx.x == 0) produce<C>(p, shared);
  } else {
    atoms::registers_take<C::kConsumerRegisters>();
    consume<C>(p, shared);
  }
}

}  // namespace attend::cuda::attention_fwd
