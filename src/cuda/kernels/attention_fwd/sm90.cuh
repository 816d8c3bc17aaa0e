// SPDX-License-Identifier: Apache-2.0
// FlashAttention-3 forward (Shah et al. 2024, arXiv:2407.08608) for 16-bit elements: one producer warp feeds rings of
// keys and values, each consumer warpgroup owns 64 query rows. The schedules are in README.md of this folder.
#pragma once
#include "cuda/atoms/address.cuh"
#include "cuda/kernels/attention_fwd/scores.cuh"
#include "cuda/kernels/attention_fwd/sm90_tile.cuh"

namespace attend::cuda::attention_fwd {

/// Keys run one tile ahead of values, as they are used (paper, section 3.2). One thread.
template <class C>
__device__ inline void produce(const Sm90Params& p, const Sm90Shared<C>& shared) {
  Sm90Loads<C> load(p, shared);
  load.prefetch_maps();
  const int end = p.common.first_items[blockIdx.x + 1];
  for (int index = p.common.first_items[blockIdx.x]; index < end; ++index) {
    const Item item = p.common.items[index];
    if (item.tiles == 0) continue;
    load.begin(item);
    load.k(0);
    load.q();
    for (int t = 1; t < item.tiles; ++t) {
      load.k(t);
      load.v(t - 1);
    }
    load.v(item.tiles - 1);
  }
}

/// Where C's exclusion is kWhat: begins what one warpgroup at a time may do, and lets the next one begin.
template <class C, Exclusion kWhat>
inline constexpr bool kTakesTurns = kWhat != Exclusion::none && C::kExclusion == kWhat && C::kConsumers > 1;
template <class C, Exclusion kWhat>
__device__ inline void take_turn(int warpgroup) {
  if constexpr (kTakesTurns<C, kWhat>) atoms::named_sync(kTurn + warpgroup, 256);
}
template <class C, Exclusion kWhat>
__device__ inline void pass_turn(int warpgroup) {
  if constexpr (kTakesTurns<C, kWhat>) atoms::named_arrive(kTurn + (warpgroup + 1) % C::kConsumers, 256);
}

/// What consumers do for the loads of tiles where a producer does everything.
struct NoLoads {
  __device__ void begin(const Item&) {}
  __device__ void next(int) {}
};

/// 128 threads, 64 rows of the item, two of them in each thread. `loads` is told of each item before its first tile,
/// and of each tile when the products of its step are in flight.
template <class C, class Loads>
__device__ inline void consume(const Sm90Params& params, const Sm90Shared<C>& shared, Loads& loads) {
  const Params& p = params.common;
  const int warpgroup = threadIdx.x / 128 - C::kFirstConsumer / 128;
  const Place at(16 * (threadIdx.x / 32 - C::kFirstConsumer / 32));
  pipeline::RingCursor<C::kQStages> q;
  pipeline::RingCursor<C::kStages> k, v;
  const bool terms = p.softcap > 0 || p.alibi_slopes != nullptr || p.bias != nullptr;
  const float scale = terms ? 1.0f : p.scale * 1.4426950408889634f;
  if (warpgroup == C::kConsumers - 1) pass_turn<C, C::kExclusion>(warpgroup);

  const int end = p.first_items[blockIdx.x + 1];
  for (int index = p.first_items[blockIdx.x]; index < end; ++index) {
    const Item item = p.items[index];
    const Sequence& sequence = p.sequences[item.sequence];
    if (item.tiles == 0) {
      store_empty<C>(p, sequence, item, at);
      continue;
    }
    loads.begin(item);
    float scores[C::kKeys / 2], out[C::kDv / 2], factor[2];
    uint32_t probs[C::kKeys / 4];
    SoftmaxRow rows[2] = {SoftmaxRow::empty(), SoftmaxRow::empty()};
#pragma unroll
    for (int i = 0; i < C::kDv / 2; ++i) out[i] = 0;
    char* const q_tile = shared.q + q.stage() * C::kShape.q_bytes();
    const uint32_t q_rows = atoms::shared_address(q_tile) + 64 * warpgroup * 2 * C::kPanelD;
    const auto address_k = [&] { return atoms::shared_address(shared.k) + k.stage() * C::kShape.k_bytes(); };
    const auto address_v = [&] { return atoms::shared_address(shared.v) + v.stage() * C::kShape.v_bytes(); };
    // Behind a wait for the products that read the stage.
    const auto scores_done = [&] {
      atoms::wgmma_hold(scores);
      k.release(*shared.k_ring);
      k.advance();
    };
    const auto outputs_done = [&] {
      atoms::wgmma_hold(out);
      v.release(*shared.v_ring);
      v.advance();
    };
    // From scores to probabilities in f32.
    const auto weigh = [&](int t) {
      const KeyTile tile = p.tiles[item.first_tile + t];
      if (terms) apply_terms<C>(p, sequence, item, at, tile.key, scores);
      if (tile.bits >= 0) apply_mask<C>(p, tile.bits, at, scores);
      raise<C>(rows, factor, scores, scale);
      take_turn<C, Exclusion::exp>(warpgroup);
      if constexpr (kTakesTurns<C, Exclusion::exp>) atoms::wgmma_hold(scores);  // nothing of it before the turn
      exponentiate<C>(rows, scores, scale);
      if constexpr (kTakesTurns<C, Exclusion::exp>) atoms::wgmma_hold(scores);
      pass_turn<C, Exclusion::exp>(warpgroup);
    };

    q.wait(*shared.q_ring);
    k.wait(*shared.k_ring);
    take_turn<C, Exclusion::issue>(warpgroup);
    issue_scores<C>(scores, q_rows, address_k());
    pass_turn<C, Exclusion::issue>(warpgroup);
    loads.next(0);
    atoms::wgmma_wait<0>();
    scores_done();
    weigh(0);
    tiles::round<C::kElement>(probs, scores);

    for (int t = 1; t < item.tiles; ++t) {
      k.wait(*shared.k_ring);
      take_turn<C, Exclusion::issue>(warpgroup);
      issue_scores<C>(scores, q_rows, address_k());
      v.wait(*shared.v_ring);
      issue_outputs<C>(out, probs, address_v());
      pass_turn<C, Exclusion::issue>(warpgroup);
      loads.next(t);
      atoms::wgmma_wait<C::kOverlap ? 1 : 0>();
      scores_done();
      if constexpr (!C::kOverlap) outputs_done();
      weigh(t);
      if constexpr (C::kOverlap) {
        atoms::wgmma_wait<0>();
        outputs_done();
      }
      tiles::scale_rows(out, factor);
      tiles::round<C::kElement>(probs, scores);
    }

    v.wait(*shared.v_ring);
    take_turn<C, Exclusion::issue>(warpgroup);
    issue_outputs<C>(out, probs, address_v());
    pass_turn<C, Exclusion::issue>(warpgroup);
    atoms::wgmma_wait<0>();
    outputs_done();
    finish<C>(p, sequence, item, index, at, rows, out);
    store_rows<C>(params, sequence, item, at, q_tile, out);
    q.release(*shared.q_ring);
    q.advance();
  }
}

template <class C>
__device__ inline void sm90_forward(const Sm90Params& p, char* memory) {
  const Sm90Shared<C> shared(memory);
  if (threadIdx.x == 0) shared.init();
  __syncthreads();
  if (threadIdx.x < C::kFirstConsumer) {
    atoms::registers_give<C::kProducerRegisters>();
    if (threadIdx.x == 0) produce<C>(p, shared);
  } else {
    atoms::registers_take<C::kConsumerRegisters>();
    NoLoads none;
    consume<C>(p, shared, none);
  }
}

}  // namespace attend::cuda::attention_fwd
