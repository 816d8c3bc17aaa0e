// SPDX-License-Identifier: Apache-2.0
// Two CTAs that exchange rows through each other's shared memory, and blocks that add tiles into one matrix by reducing
// copies.
#include "sim/tests/kernels/ptx.cuh"

namespace {

enum class Fault {
  none,
  no_start_sync,     // the other CTA may not have begun: its barrier may not exist
  no_init_fence,     // the barrier is not published
  no_exchange_sync,  // rows are read before the other CTA has written them
  no_final_sync,     // a CTA ends while the other still reads from it
  no_expect,
  no_wait,
  no_proxy_fence,
  no_read_wait,
  no_final_wait,
  outside,
};

/// Thread i of CTA r gets in[(1 - r) * block + block - 1 - i]: written by the other CTA into its shared memory.
template <Fault F>
__device__ void push(float* out, const float* in) {
  __shared__ float row[256];
  const uint32_t rank = ptx::cluster_rank(), threads = blockDim.x;
  const uint32_t mine = ptx::shared_address(row + threads - 1 - threadIdx.x);
  ptx::cluster_sync();  // the other CTA has begun
  ptx::store_remote(ptx::map_to_rank(mine, rank ^ 1), in[rank * threads + threadIdx.x]);
  if (F != Fault::no_exchange_sync) ptx::cluster_sync();
  out[rank * threads + threadIdx.x] = row[threadIdx.x];
  if (F == Fault::no_exchange_sync) ptx::cluster_sync();
}

/// The same by reading from the other CTA, which must not end before.
template <Fault F>
__device__ void pull(float* out, const float* in) {
  __shared__ float row[256];
  const uint32_t rank = ptx::cluster_rank(), threads = blockDim.x;
  row[threadIdx.x] = in[rank * threads + threadIdx.x];
  if (F != Fault::no_exchange_sync) ptx::cluster_sync();
  float value;
  asm volatile("ld.shared::cluster.f32 %0, [%1];"
               : "=f"(value)
               : "r"(ptx::map_to_rank(ptx::shared_address(row + threads - 1 - threadIdx.x), rank ^ 1))
               : "memory");
  out[rank * threads + threadIdx.x] = value;
  if (F != Fault::no_final_sync) ptx::cluster_sync();
}

/// The same by asynchronous stores that count their bytes on a barrier of the receiver.
template <Fault F>
__device__ void send(float* out, const float* in) {
  __shared__ float row[256];
  __shared__ uint64_t arrived;
  const uint32_t rank = ptx::cluster_rank(), threads = blockDim.x, barrier = ptx::shared_address(&arrived);
  if (threadIdx.x == 0) {
    ptx::barrier_init(barrier, 1);
    if (F != Fault::no_init_fence) ptx::fence_barrier_init();
    if (F == Fault::no_expect)
      ptx::barrier_arrive(barrier);
    else
      ptx::barrier_expect(barrier, threads * sizeof(float));
  }
  if (F != Fault::no_start_sync) {
    ptx::cluster_arrive_relaxed();  // the fence has what the other CTA must know
    ptx::cluster_wait();
  } else {
    __syncthreads();
  }
  const uint32_t to = ptx::shared_address(row + threads - 1 - threadIdx.x);
  ptx::store_async(ptx::map_to_rank(to, rank ^ 1), in[rank * threads + threadIdx.x],
                   ptx::map_to_rank(barrier, rank ^ 1));
  if (F != Fault::no_wait) ptx::barrier_wait_cluster(barrier, 0);
  out[rank * threads + threadIdx.x] = row[threadIdx.x];
  ptx::cluster_sync();
}

constexpr int kTile = 32;

/// Every block adds its 32 x 32 tile of ones and columns, `rounds` times, into the matrix behind the map at (0, 8 *
/// block).
template <Fault F>
__device__ void add_tiles(const ptx::TensorMap& map, int rounds) {
  __shared__ __align__(128) float tile[kTile * kTile];
  const uint32_t from = ptx::shared_address(tile) + (F == Fault::outside ? 4096 : 0);
  for (int round = 0; round < rounds; ++round) {
    if (F != Fault::no_read_wait && threadIdx.x == 0) ptx::bulk_wait_read<0>();
    __syncthreads();
    for (int i = threadIdx.x; i < kTile * kTile; i += blockDim.x) tile[i] = 1 + i % kTile + round;
    if (F != Fault::no_proxy_fence) ptx::fence_proxy_async();
    __syncthreads();
    if (threadIdx.x == 0) {
      ptx::tensor_add(map, 0, 8 * blockIdx.x, from);
      ptx::bulk_commit();
    }
  }
  if (F != Fault::no_final_wait && threadIdx.x == 0) ptx::bulk_wait<0>();
}

/// Every block adds `count` numbers (a multiple of 4, at most 256) to out by one reducing copy and stores them to
/// copies[block].
template <Fault F>
__device__ void add_row(float* out, float* copies, int count) {
  __shared__ __align__(128) float row[256];
  for (int i = threadIdx.x; i < count; i += blockDim.x) row[i] = i + blockIdx.x;
  if (F != Fault::no_proxy_fence) ptx::fence_proxy_async();
  __syncthreads();
  if (threadIdx.x == 0) {
    ptx::bulk_add(out, ptx::shared_address(row), count * sizeof(float));
    ptx::bulk_store(copies + blockIdx.x * count, ptx::shared_address(row), count * sizeof(float));
    ptx::bulk_commit();
    if (F != Fault::no_final_wait) ptx::bulk_wait_read<0>();
  }
}

}  // namespace

#define PAIR(kernel, fault)                                                                            \
  extern "C" __global__ void __cluster_dims__(2, 1, 1) kernel##_##fault(float* out, const float* in) { \
    kernel<Fault::fault>(out, in);                                                                     \
  }
PAIR(push, none)
PAIR(push, no_exchange_sync)
PAIR(pull, none)
PAIR(pull, no_exchange_sync)
PAIR(pull, no_final_sync)
PAIR(send, none)
PAIR(send, no_start_sync)
PAIR(send, no_init_fence)
PAIR(send, no_expect)
PAIR(send, no_wait)

#define TILES(fault)                                                                                     \
  extern "C" __global__ void add_tiles_##fault(const __grid_constant__ ptx::TensorMap map, int rounds) { \
    add_tiles<Fault::fault>(map, rounds);                                                                \
  }
TILES(none)
TILES(no_proxy_fence)
TILES(no_read_wait)
TILES(no_final_wait)
TILES(outside)

#define ROW(fault)                                                                   \
  extern "C" __global__ void add_row_##fault(float* out, float* copies, int count) { \
    add_row<Fault::fault>(out, copies, count);                                       \
  }
ROW(none)
ROW(no_proxy_fence)
ROW(no_final_wait)
