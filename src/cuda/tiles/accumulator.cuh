// SPDX-License-Identifier: Apache-2.0
// What a warp holds of a product's result: 16 rows, as mma.sync m16n8 and wgmma both leave it. Value 4 j + 2 h + e of a
// thread is of row 8 h + lane / 4, column 8 j + 2 (lane % 4) + e.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "cuda/atoms/element.hpp"

namespace attend::cuda::tiles {

/// Where a thread's values lie: rows first_row and first_row + 8 of the tile, columns 8 j + column and the next.
struct Place {
  int warp_row;  ///< first of the warp's 16 rows
  int lane, first_row, column;
  __device__ explicit Place(int warp_row)
      : warp_row(warp_row), lane(threadIdx.x % 32), first_row(warp_row + lane / 4), column(2 * (lane % 4)) {}
};

/// The largest (or the sum) over the four threads that share a row.
__device__ inline float quad_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
  return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}
__device__ inline float quad_sum(float x) {
  x += __shfl_xor_sync(0xffffffffu, x, 1);
  return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

/// Two values as neighbouring elements, the first in the low bits.
template <atoms::Element kElement>
__device__ inline uint32_t pack(float low, float high) {
  if constexpr (kElement == atoms::Element::f16) {
    const __half2 pair = __floats2half2_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&pair);
  } else {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&pair);
  }
}

/// An accumulator as the left operand of the next product, in 16 bits.
template <atoms::Element kElement, int n>
__device__ inline void round(uint32_t (&to)[n / 2], const float (&from)[n]) {
#pragma unroll
  for (int i = 0; i < n / 2; ++i) to[i] = pack<kElement>(from[2 * i], from[2 * i + 1]);
}

/// Rows times factors; none, if no row of the warp has one other than 1.
template <int n>
__device__ inline void scale_rows(float (&values)[n], const float (&factor)[2]) {
  if (__all_sync(0xffffffffu, factor[0] == 1.0f && factor[1] == 1.0f)) return;
#pragma unroll
  for (int i = 0; i < n; ++i) values[i] *= factor[i / 2 % 2];
}

}  // namespace attend::cuda::tiles
