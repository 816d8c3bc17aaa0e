// SPDX-License-Identifier: Apache-2.0
// Sums over warps and blocks, and twins of the block's sum that lack a barrier each.

namespace {

enum class Fault { none, no_sync_before_read, no_sync_before_reuse, diverged_shuffle };

__device__ float warp_sum(float value) {
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffff, value, distance);
  return value;
}

/// Sums of `rows` rows of `columns` elements, one row after the other, by one block.
template <Fault F>
__device__ void row_sums(float* out, const float* in, int rows, int columns) {
  __shared__ float partial[32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  for (int row = 0; row < rows; ++row) {
    float sum = 0;
    for (int column = threadIdx.x; column < columns; column += blockDim.x) sum += in[row * columns + column];
    if constexpr (F == Fault::diverged_shuffle) {
      if (lane < 31) sum = warp_sum(sum);
    } else {
      sum = warp_sum(sum);
    }
    if (lane == 0) partial[warp] = sum;
    if (F != Fault::no_sync_before_read) __syncthreads();
    if (warp == 0) {
      sum = warp_sum(lane < warps ? partial[lane] : 0.f);
      if (lane == 0) out[row] = sum;
    }
    if (F != Fault::no_sync_before_reuse) __syncthreads();
  }
}

}  // namespace

#define KERNEL(fault)                                                                               \
  extern "C" __global__ void row_sums_##fault(float* out, const float* in, int rows, int columns) { \
    row_sums<Fault::fault>(out, in, rows, columns);                                                 \
  }
KERNEL(none)
KERNEL(no_sync_before_read)
KERNEL(no_sync_before_reuse)
KERNEL(diverged_shuffle)

/// Integer reductions that have instructions of their own: sum, smallest, largest, and, or, xor, votes.
extern "C" __global__ void warp_reductions(unsigned* out, const unsigned* in) {
  const unsigned value = in[threadIdx.x];
  const unsigned all = 0xffffffff;
  const unsigned found[8] = {__reduce_add_sync(all, value),      __reduce_min_sync(all, value),
                             __reduce_max_sync(all, value),      __reduce_and_sync(all, value),
                             __reduce_or_sync(all, value),       __reduce_xor_sync(all, value),
                             __ballot_sync(all, value % 3 == 0), __match_any_sync(all, value % 4)};
  for (int i = 0; i < 8; ++i) out[i * blockDim.x + threadIdx.x] = found[i];
}
