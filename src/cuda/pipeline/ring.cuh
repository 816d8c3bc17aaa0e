// SPDX-License-Identifier: Apache-2.0
// A ring of stages between a producer and its consumers. Phases are counted here and nowhere else.
#pragma once
#include "cuda/atoms/barrier.cuh"

namespace attend::cuda::pipeline {

/// In shared memory. `full` completes when the bytes of a stage have landed, `empty` when every consuming warp has let go.
template <int kStages>
struct RingBarriers {
  uint64_t full[kStages], empty[kStages];

  /// One thread, before others use it.
  __device__ void init(uint32_t consumers) {
    for (int i = 0; i < kStages; ++i) {
      atoms::mbarrier_init(full[i], 1);
      atoms::mbarrier_init(empty[i], consumers);
    }
  }
};

/// Where one side stands in the ring.
template <int kStages>
class RingCursor {
 public:
  __device__ int stage() const { return stage_; }
  __device__ void advance() {
    if (++stage_ == kStages) {
      stage_ = 0;
      phase_ ^= 1;
    }
  }

  // The producer's side; one thread. Stages are free at the start.
  /// Waits until the stage is free, and has its barrier count `bytes`. Returns that barrier, for the copies.
  __device__ uint64_t& acquire(RingBarriers<kStages>& ring, uint32_t bytes) const {
    atoms::mbarrier_wait(ring.empty[stage_], phase_ ^ 1);
    atoms::mbarrier_expect(ring.full[stage_], bytes);
    return ring.full[stage_];
  }

  // The consumers' side.
  /// Waits until the stage is full.
  __device__ void wait(RingBarriers<kStages>& ring) const { atoms::mbarrier_wait(ring.full[stage_], phase_); }
  /// The warp lets go of the stage. Its lanes are together behind their last use: a wait for products is such a point,
  /// loads and stores by lanes need a __syncwarp().
  __device__ void release(RingBarriers<kStages>& ring) const {
    if (threadIdx.x % 32 == 0) atoms::mbarrier_arrive(ring.empty[stage_]);
  }

 private:
  int stage_ = 0;
  uint32_t phase_ = 0;
};

}  // namespace attend::cuda::pipeline
