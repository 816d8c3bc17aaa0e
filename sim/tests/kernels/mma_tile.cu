// SPDX-License-Identifier: Apache-2.0
// C[64, 64] = A[64, k] B[64, k]^T by mma.sync: four warps, each 16 rows; slices of 128 bytes of k by cp.async and
// ldmatrix.
#include "sim/tests/kernels/ptx.cuh"

namespace {

enum class Fault { none, no_copy_wait, no_sync_after_copy, no_sync_before_reuse };

constexpr int kRows = 64, kSlice = 128, kPitch = kSlice + 16;  // bytes; the pitch spreads rows over the banks

__device__ void copy_slice(uint32_t to, const char* from, int row_bytes) {
  for (int chunk = threadIdx.x; chunk < kRows * (kSlice / 16); chunk += blockDim.x) {
    const int row = chunk / (kSlice / 16), column = chunk % (kSlice / 16) * 16;
    ptx::copy_async(to + row * kPitch + column, from + int64_t{row} * row_bytes + column, 16);
  }
}

template <ptx::Kind K, Fault F>
__device__ void tile(ptx::Accumulator<K>* c, const char* a, const char* b, int row_bytes) {
  __shared__ __align__(16) char a_tile[kRows * kPitch], b_tile[kRows * kPitch];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const uint32_t a_at = ptx::shared_address(a_tile), b_at = ptx::shared_address(b_tile);
  ptx::Accumulator<K> sum[8][4] = {};
  for (int begin = 0; begin < row_bytes; begin += kSlice) {
    copy_slice(a_at, a + begin, row_bytes);
    copy_slice(b_at, b + begin, row_bytes);
    ptx::copy_async_commit();
    if (F != Fault::no_copy_wait) ptx::copy_async_wait<0>();
    if (F != Fault::no_sync_after_copy) __syncthreads();
    for (int k = 0; k < kSlice; k += 32) {
      uint32_t left[4];
      ptx::load_matrices(left, a_at + (16 * warp + lane % 16) * kPitch + k + lane / 16 * 16);
      for (int pair = 0; pair < 4; ++pair) {  // 16 columns: two matrices along n, each with two along k
        uint32_t right[4];
        const int row = 16 * pair + lane % 8 + lane / 16 * 8;
        ptx::load_matrices(right, b_at + row * kPitch + k + lane / 8 % 2 * 16);
        ptx::mma<K>(sum[2 * pair], left, right[0], right[1]);
        ptx::mma<K>(sum[2 * pair + 1], left, right[2], right[3]);
      }
    }
    if (F != Fault::no_sync_before_reuse) __syncthreads();
  }
  for (int block = 0; block < 8; ++block) {
    for (int i = 0; i < 4; ++i) {
      const int row = 16 * warp + lane / 4 + i / 2 * 8, column = 8 * block + lane % 4 * 2 + i % 2;
      c[row * kRows + column] = sum[block][i];
    }
  }
}

}  // namespace

#define KERNEL(kind, fault)                                                                                           \
  extern "C" __global__ void mma_##kind##_##fault(ptx::Accumulator<ptx::Kind::kind>* c, const char* a, const char* b, \
                                                  int row_bytes) {                                                    \
    tile<ptx::Kind::kind, Fault::fault>(c, a, b, row_bytes);                                                          \
  }
KERNEL(f16, none)
KERNEL(bf16, none)
KERNEL(e4m3, none)
KERNEL(s8, none)
KERNEL(bf16, no_copy_wait)
KERNEL(bf16, no_sync_after_copy)
KERNEL(bf16, no_sync_before_reuse)
