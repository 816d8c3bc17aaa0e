// SPDX-License-Identifier: Apache-2.0
// A row of sm90.def as the kernels see it, and what lies where in shared memory.
#pragma once
#include "cuda/atoms/element.hpp"
#include "cuda/kernels/attention_fwd/sm90_params.hpp"
#include "cuda/pipeline/ring.cuh"

namespace attend::cuda::attention_fwd {

template <atoms::Element kElement_, int kD_, int kDv_, int kRows_, int kKeys_, Loader kLoader_, Exclusion kExclusion_,
          bool kOverlap_>
struct Sm90Config {
  static constexpr atoms::Element kElement = kElement_;
  static constexpr int kD = kD_, kDv = kDv_, kRows = kRows_, kKeys = kKeys_, kStages = 2;
  static constexpr Loader kLoader = kLoader_;
  static constexpr Exclusion kExclusion = kExclusion_;
  static constexpr Sm90Shape kShape{kD, kDv, kRows, kKeys, kStages, kLoader, kExclusion};
  static constexpr int kQStages = kShape.q_stages();
  static constexpr bool kOverlap = kOverlap_;  ///< softmax of a tile runs under the second product of the one before
  static constexpr int kConsumers = kShape.consumers(), kFirstConsumer = kShape.first_consumer();
  static constexpr int kProducerRegisters = kConsumers == 3 ? 32 : 24, kConsumerRegisters = kConsumers == 3 ? 160 : 240;
  static constexpr int kPanelD = panel_columns(kD), kPanelDv = panel_columns(kDv);
  static constexpr int kWords = (kKeys + 31) / 32;
  static_assert(kKeys % 16 == 0 && kRows % 64 == 0 && kD % kPanelD == 0 && kDv <= kD && kPanelDv == kPanelD);
  static_assert(kLoader == Loader::producer || kExclusion == Exclusion::none,
                "the thread that loads waits for the other warpgroups: turns would wait for each other");
};

/// Named barriers; 0 is __syncthreads.
enum Barrier : int { kTurn = 1 };  ///< of consumer warpgroup 0, and of the others behind it

template <class C>
struct Sm90Shared {
  char *q, *k, *v;
  pipeline::RingBarriers<C::kQStages>* q_ring;
  pipeline::RingBarriers<C::kStages>*k_ring, *v_ring;

  __device__ explicit Sm90Shared(char* base) {
    base += -atoms::shared_address(base) & 1023;
    q = base;
    k = q + C::kQStages * C::kShape.q_bytes();
    v = k + C::kStages * C::kShape.k_bytes();
    auto* barriers = reinterpret_cast<uint64_t*>(v + C::kStages * C::kShape.v_bytes());
    q_ring = reinterpret_cast<pipeline::RingBarriers<C::kQStages>*>(barriers);
    k_ring = reinterpret_cast<pipeline::RingBarriers<C::kStages>*>(barriers + 2 * C::kQStages);
    v_ring = reinterpret_cast<pipeline::RingBarriers<C::kStages>*>(barriers + 2 * C::kQStages + 2 * C::kStages);
  }

  /// One thread; all others wait behind it.
  __device__ void init() const {
    constexpr int kWarps = 4 * C::kConsumers;
    q_ring->init(kWarps);
    k_ring->init(kWarps);
    v_ring->init(kWarps);
    atoms::mbarrier_init_fence();
  }
};

}  // namespace attend::cuda::attention_fwd
