// SPDX-License-Identifier: Apache-2.0
// The C++ core libraries of the toolkit: barriers, pipelines, asynchronous copies, block-wide algorithms.
#include <cooperative_groups.h>
#include <cub/block/block_radix_sort.cuh>
#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>
#include <cuda/atomic>
#include <cuda/barrier>
#include <cuda/pipeline>

// The libraries' shared objects are initialised by hand: init(), make_pipeline().
#pragma nv_diag_suppress static_var_with_dynamic_init

namespace cg = cooperative_groups;
using Barrier = cuda::barrier<cuda::thread_scope_block>;

/// Each thread writes, arrives, and reads its neighbour's number, `rounds` times.
extern "C" __global__ void barrier_rounds(int* out, int rounds) {
  __shared__ Barrier barrier;
  __shared__ int row[2][256];
  if (threadIdx.x == 0) init(&barrier, blockDim.x);
  __syncthreads();
  int value = threadIdx.x;
  for (int round = 0; round < rounds; ++round) {
    row[round % 2][threadIdx.x] = value;
    Barrier::arrival_token token = barrier.arrive();
    barrier.wait(std::move(token));
    value = row[round % 2][(threadIdx.x + 1) % blockDim.x] + 1;
  }
  out[threadIdx.x] = value;
}

/// Tiles come by cuda::memcpy_async on a barrier; out is the tile reversed.
extern "C" __global__ void copies_on_a_barrier(int4* out, const int4* in, int tiles) {
  __shared__ __align__(16) int4 tile[128];
  __shared__ Barrier barrier;
  const cg::thread_block block = cg::this_thread_block();
  if (block.thread_rank() == 0) init(&barrier, block.size());
  block.sync();
  for (int i = 0; i < tiles; ++i) {
    cuda::memcpy_async(block, tile, in + i * block.size(), cuda::aligned_size_t<16>(sizeof(int4) * block.size()),
                       barrier);
    barrier.arrive_and_wait();
    out[i * block.size() + threadIdx.x] = tile[block.size() - 1 - threadIdx.x];
    block.sync();
  }
}

/// The same through a pipeline of two stages.
extern "C" __global__ void copies_in_a_pipeline(int4* out, const int4* in, int tiles) {
  __shared__ __align__(16) int4 stages[2][128];
  const cg::thread_block block = cg::this_thread_block();
  __shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, 2> state;
  auto pipe = cuda::make_pipeline(block, &state);
  const size_t bytes = sizeof(int4) * block.size();
  for (int i = 0, next = 0; i < tiles; ++i) {
    for (; next < tiles && next < i + 2; ++next) {
      pipe.producer_acquire();
      cuda::memcpy_async(block, stages[next % 2], in + next * block.size(), cuda::aligned_size_t<16>(bytes), pipe);
      pipe.producer_commit();
    }
    pipe.consumer_wait();
    out[i * block.size() + threadIdx.x] = stages[i % 2][block.size() - 1 - threadIdx.x];
    pipe.consumer_release();
  }
}

extern "C" __global__ void block_algorithms(const int* in, int* sum, int* largest, int* scanned, unsigned* sorted) {
  constexpr int kThreads = 128, kItems = 4;
  using Reduce = cub::BlockReduce<int, kThreads>;
  using Scan = cub::BlockScan<int, kThreads>;
  using Sort = cub::BlockRadixSort<unsigned, kThreads, kItems>;
  __shared__ union {
    Reduce::TempStorage reduce;
    Scan::TempStorage scan;
    Sort::TempStorage sort;
  } shared;
  const int mine = in[threadIdx.x];
  const int total = Reduce(shared.reduce).Sum(mine);
  __syncthreads();
  const int most = Reduce(shared.reduce).Reduce(mine, [](int a, int b) { return a > b ? a : b; });
  if (threadIdx.x == 0) {
    *sum = total;
    *largest = most;
  }
  __syncthreads();
  int before;
  Scan(shared.scan).ExclusiveSum(mine, before);
  scanned[threadIdx.x] = before;
  __syncthreads();
  unsigned keys[kItems];
  for (int i = 0; i < kItems; ++i) keys[i] = in[threadIdx.x * kItems + i] * 2654435761u;
  Sort(shared.sort).Sort(keys);
  for (int i = 0; i < kItems; ++i) sorted[threadIdx.x * kItems + i] = keys[i];
}

/// A lock in global memory that blocks hold in turn.
extern "C" __global__ void locked_sum(int* value, cuda::atomic<int, cuda::thread_scope_device>* lock) {
  if (threadIdx.x != 0) return;
  int free = 0;
  while (!lock->compare_exchange_weak(free, 1, cuda::memory_order_acquire)) free = 0;
  *value += blockIdx.x + 1;
  lock->store(0, cuda::memory_order_release);
}
