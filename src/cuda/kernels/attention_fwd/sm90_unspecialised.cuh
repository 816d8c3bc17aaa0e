// SPDX-License-Identifier: Apache-2.0
// Copies and products by the same warps (Bikshandi and Shah 2023, arXiv:2312.11918; the ablation of arXiv:2407.08608,
// table 2): the consumers of sm90.cuh without a producer. One of their threads loads the next step's tiles when the
// products of this step are in flight.
#pragma once
#include "cuda/kernels/attention_fwd/sm90.cuh"

namespace attend::cuda::attention_fwd {

/// All consumers call; the copies are thread 0's. In step t a warpgroup multiplies with keys t and values t - 1, and
/// its keys t - 1 and values t - 2 are behind it: with two stages, the next ones wait for no more than the warpgroup
/// that is last in that.
template <class C>
class LoadsBetweenProducts {
 public:
  __device__ LoadsBetweenProducts(const Sm90Params& p, const Sm90Shared<C>& shared) : load_(p, shared) {
    if (threadIdx.x == 0) load_.prefetch_maps();
  }
  __device__ void begin(const Item& item) {
    tiles_ = item.tiles;
    load_.begin(item);  // by all: the registers of what they know anyway
    if (threadIdx.x == 0) {
      load_.k(0);
      load_.q();
    }
    __syncwarp();
  }
  __device__ void next(int t) {
    if (threadIdx.x == 0) {
      if (t + 1 < tiles_) load_.k(t + 1);
      load_.v(t);
    }
    __syncwarp();
  }

 private:
  Sm90Loads<C> load_;
  int tiles_ = 0;
};

template <class C>
__device__ inline void sm90_unspecialised_forward(const Sm90Params& p, char* memory) {
  const Sm90Shared<C> shared(memory);
  if (threadIdx.x == 0) shared.init();
  __syncthreads();
  LoadsBetweenProducts<C> loads(p, shared);
  consume<C>(p, shared, loads);
}

}  // namespace attend::cuda::attention_fwd
