// SPDX-License-Identifier: Apache-2.0
// A sum of products split over blocks that meet through global memory: the last one to finish adds up all partial
// results, or each waits for its turn at a semaphore. For launches whose blocks run at the same time.

namespace {

enum class Fault { none, no_fence, no_acquire, plain_poll, no_sync };

constexpr int kColumns = 128;  // one per thread

__device__ float partial_product(const float* a, const float* b, int k, int splits) {
  const int begin = blockIdx.x * k / splits, end = (blockIdx.x + 1) * k / splits;
  float sum = 0;
  for (int i = begin; i < end; ++i) sum += a[i] * b[i * kColumns + threadIdx.x];
  return sum;
}

/// c[n] = sum over k of a[k] b[k, n]; `partials` holds a row per block, `done` counts blocks from zero.
template <Fault F>
__device__ void last_adds(float* c, const float* a, const float* b, int k, float* partials, unsigned* done) {
  __shared__ bool last;
  partials[blockIdx.x * kColumns + threadIdx.x] = partial_product(a, b, k, gridDim.x);
  if (F != Fault::no_fence) __threadfence();
  if (F != Fault::no_sync) __syncthreads();
  if (threadIdx.x == 0) last = atomicAdd(done, 1) == gridDim.x - 1;
  __syncthreads();
  if (!last) return;
  if (F != Fault::no_acquire) __threadfence();
  float sum = 0;
  for (int block = 0; block < gridDim.x; ++block) sum += partials[block * kColumns + threadIdx.x];
  c[threadIdx.x] = sum;
}

/// The same, each block adding to c itself in the order of blocks: bitwise the same in every run.
template <Fault F>
__device__ void in_turn(float* c, const float* a, const float* b, int k, unsigned* turn) {
  const float mine = partial_product(a, b, k, gridDim.x);
  if (threadIdx.x == 0) {
    unsigned now = 0;
    do {
      if (F == Fault::plain_poll)
        asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(now) : "l"(turn) : "memory");
      else
        asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(now) : "l"(turn) : "memory");
    } while (now != blockIdx.x);
  }
  __syncthreads();
  c[threadIdx.x] = mine + (blockIdx.x == 0 ? 0.f : c[threadIdx.x]);
  if (F != Fault::no_sync) __syncthreads();
  if (threadIdx.x == 0) {
    const unsigned next = blockIdx.x + 1;
    if (F == Fault::no_fence)
      asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(turn), "r"(next) : "memory");
    else
      asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(turn), "r"(next) : "memory");
  }
}

}  // namespace

#define LAST(fault)                                                                                              \
  extern "C" __global__ void last_adds_##fault(float* c, const float* a, const float* b, int k, float* partials, \
                                               unsigned* done) {                                                 \
    last_adds<Fault::fault>(c, a, b, k, partials, done);                                                         \
  }
#define TURN(fault)                                                                                             \
  extern "C" __global__ void in_turn_##fault(float* c, const float* a, const float* b, int k, unsigned* turn) { \
    in_turn<Fault::fault>(c, a, b, k, turn);                                                                    \
  }
LAST(none)
LAST(no_fence)
LAST(no_acquire)
LAST(no_sync)
TURN(none)
TURN(no_fence)
TURN(plain_poll)
TURN(no_sync)
