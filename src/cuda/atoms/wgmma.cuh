// SPDX-License-Identifier: Apache-2.0
// Products of a warpgroup's 64 rows (PTX ISA 9.7.15). All 128 threads call together.
#pragma once
#include <cstdint>

#include "cuda/atoms/element.hpp"

namespace attend::cuda::atoms {

/// A matrix in shared memory whose rows of `kRowBytes` (32, 64 or 128) are swizzled over that width, in panels: columns
/// beyond a row's width are in the next panel.
template <int kRowBytes>
struct WgmmaDesc {
  static_assert(kRowBytes == 32 || kRowBytes == 64 || kRowBytes == 128);
  static constexpr uint64_t kSwizzle = kRowBytes == 128 ? 1 : kRowBytes == 64 ? 2 : 3;
  static constexpr uint32_t kGroupBytes = 8 * kRowBytes;  ///< eight rows, over which the swizzle repeats

  /// Rows are the outer dimension of the product, their bytes the one that is summed over.
  __device__ static uint64_t k_major(uint32_t address) { return desc(address, 0, kGroupBytes); }
  /// Rows are what is summed over; `panel_bytes` from one panel of columns to the next.
  __device__ static uint64_t mn_major(uint32_t address, uint32_t panel_bytes) {
    return desc(address, panel_bytes, kGroupBytes);
  }

  /// The same matrix from `bytes` further on. Shared addresses have 18 bits: nothing carries out of the field.
  __device__ static uint64_t advance(uint64_t desc, uint32_t bytes) { return desc + (bytes >> 4); }

 private:
  __device__ static uint64_t desc(uint32_t address, uint32_t leading_bytes, uint32_t stride_bytes) {
    return static_cast<uint64_t>((address & 0x3ffff) >> 4) | static_cast<uint64_t>(leading_bytes >> 4) << 16 |
           static_cast<uint64_t>(stride_bytes >> 4) << 32 | kSwizzle << 62;
  }
};

/// Before the first product that reads or accumulates registers which other instructions have written.
__device__ inline void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/// Until all but the newest kPending groups are done.
template <int kPending>
__device__ inline void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}
/// The compiler must not move what touches the registers across a wait.
template <int n>
__device__ inline void wgmma_hold(float (&d)[n]) {
#pragma unroll
  for (int i = 0; i < n; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

/// Accumulators of 64 x n: thread's value 4 j + 2 h + e is of row 16 warp + 8 h + lane / 4, column 8 j + 2 (lane % 4) +
/// e.
template <int n, Element element>
struct Wgmma;

}  // namespace attend::cuda::atoms

namespace attend::cuda::atoms {
#include "wgmma_shapes.cuh"
}  // namespace attend::cuda::atoms
