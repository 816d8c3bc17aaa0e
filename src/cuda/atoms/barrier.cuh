// SPDX-License-Identifier: Apache-2.0
// Barriers: of bytes and arrivals in shared memory (mbarrier), of threads by number, and the split of registers. The last
// two are not in cuda::ptx.
#pragma once
#include <cuda/ptx>

#include "cuda/atoms/address.cuh"

namespace attend::cuda::atoms {

namespace ptx = ::cuda::ptx;

__device__ inline void mbarrier_init(uint64_t& barrier, uint32_t arrivals) { ptx::mbarrier_init(&barrier, arrivals); }
/// Behind the inits, before another thread or a copy uses the barriers.
__device__ inline void mbarrier_init_fence() { ptx::fence_mbarrier_init(ptx::sem_release, ptx::scope_cluster); }
__device__ inline void mbarrier_arrive(uint64_t& barrier) { (void)ptx::mbarrier_arrive(&barrier); }
/// Arrives, and has the phase wait for so many bytes of copies.
__device__ inline void mbarrier_expect(uint64_t& barrier, uint32_t bytes) {
  (void)ptx::mbarrier_arrive_expect_tx(ptx::sem_release, ptx::scope_cta, ptx::space_shared, &barrier, bytes);
}
/// Until the phase of that parity is complete. The loop is inside: around cuda::ptx's try_wait it makes the rows of 192
/// columns spill.
__device__ inline void mbarrier_wait(uint64_t& barrier, uint32_t parity) {
  asm volatile(
      "{\n.reg .pred done;\nagain:\nmbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n@!done bra again;\n}" ::"r"(
          shared_address(&barrier)),
      "r"(parity)
      : "memory");
}

/// Named barrier `id` of `threads` threads; whole warps.
__device__ inline void named_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
__device__ inline void named_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

/// Registers of each thread of the warpgroup from here on.
template <int kRegisters>
__device__ inline void registers_give() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ inline void registers_take() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

}  // namespace attend::cuda::atoms
