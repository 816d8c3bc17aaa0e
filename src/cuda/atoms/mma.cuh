// SPDX-License-Identifier: Apache-2.0
// Products of one warp, and what brings their operands: mma.sync m16n8k16 and ldmatrix (PTX ISA 9.7.14), cp.async
// (9.7.9). From compute capability 8.0 on. All lanes of a warp call the first two together.
#pragma once
#include <cstdint>

#include "cuda/atoms/element.hpp"

namespace attend::cuda::atoms {

/// d += a.b for 16 rows and 8 columns, summed over 16. With g = lane / 4, c = 2 (lane % 4), a thread has
///   d    rows g and g + 8: columns c, c + 1
///   a    rows g and g + 8 at c, c + 1 of the sum, then both at c + 8, c + 9
///   b    column g at c, c + 1 of the sum, then at c + 8, c + 9
template <Element kElement>
__device__ inline void mma(float* d, const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  if constexpr (kElement == Element::f16)
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// Four matrices of 8 x 8 elements of 16 bits: lane 8 i + r has the shared address of row r of matrix i, 16 bytes. A
/// thread gets elements c, c + 1 of row g of each; of column g when transposed.
__device__ inline void load_matrices(uint32_t (&to)[4], uint32_t row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(row)
               : "memory");
}
__device__ inline void load_matrices_transposed(uint32_t (&to)[4], uint32_t row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(row)
               : "memory");
}

/// 16 bytes to shared memory in the background, past the first-level cache: the first `bytes` are copied, the rest are
/// zeros. Both addresses are multiples of 16.
__device__ inline void copy_async(uint32_t to, const void* from, uint32_t bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(__cvta_generic_to_global(from)),
               "r"(bytes)
               : "memory");
}
/// Ends this thread's group of copies.
__device__ inline void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Until all but the newest kPending groups of this thread have landed; other threads see them behind a barrier.
template <int kPending>
__device__ inline void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

}  // namespace attend::cuda::atoms
