// SPDX-License-Identifier: Apache-2.0
// Rings of shared-memory stages that copies fill and threads empty: cp.async, bulk copies and tensor copies, with one
// CTA or a cluster of two. Every kernel has twins that lack one step.
#include "sim/tests/kernels/ptx.cuh"

namespace {

enum class Fault {
  none,
  no_wait,              // stages are read without waiting for their copy
  no_sync_after_wait,   // a thread waits for its own copies and reads those of others
  no_sync_before_copy,  // a stage is filled again while others may still read it
  no_empty_wait,        // the producer does not wait for the stage to be empty
  no_release,           // consumers do not say that it is
  no_expect,            // arrives without the number of bytes
  short_expect,         // expects fewer bytes than land
  wrong_phase,          // consumers begin with the parity of a phase that is complete
  wrong_count,          // the stage counts as empty when one of the consumers has left it
  outside,              // the copy ends behind the stages
  no_init_fence,        // barriers are not published to the cluster
  no_start_sync,        // the other CTA may not have its barriers yet
  local_release,        // only the own CTA learns that a stage is empty
  early_exit,           // a CTA ends while the other still sends to it
};

/// out[i] = 2 * in[i of the neighbour thread] + 1 over `count` floats, a stage of 4 * blockDim elements at a time.
template <int Stages, Fault F>
__device__ void by_threads(float* out, const float* in, int count) {
  extern __shared__ float4 stages[];
  const int thread = threadIdx.x, threads = blockDim.x, stage_size = 4 * threads;
  const int steps = (count + stage_size - 1) / stage_size;
  const auto fill = [&](int step) {
    const int begin = step * stage_size + 4 * thread;
    const int left = step < steps ? max(0, min(4, count - begin)) : 0;
    const uint32_t to = ptx::shared_address(&stages[step % Stages * threads + thread]);
    if (step < steps) ptx::copy_async(to, left > 0 ? in + begin : in, 4 * left);
    ptx::copy_async_commit();
  };
  for (int step = 0; step < Stages - 1; ++step) fill(step);
  for (int step = 0; step < steps; ++step) {
    if (F != Fault::no_wait) ptx::copy_async_wait<Stages - 2>();
    if (F == Fault::no_sync_before_copy) fill(step + Stages - 1);
    if (F != Fault::no_sync_after_wait) __syncthreads();
    const int neighbour = threads - 1 - thread;
    const float4 v = stages[step % Stages * threads + neighbour];
    const float values[4] = {v.x, v.y, v.z, v.w};
    for (int i = 0; i < 4; ++i) {
      const int index = step * stage_size + 4 * neighbour + i;
      if (index < count) out[index] = 2 * values[i] + 1;
    }
    if (F == Fault::no_sync_after_wait) __syncthreads();
    // The stage filled here is the one that was read before this step's barrier.
    if (F != Fault::no_sync_before_copy) fill(step + Stages - 1);
  }
}

struct Ring {
  uint32_t stages, full, empty, stage_bytes;
  __device__ uint32_t stage(int i) const { return stages + i * stage_bytes; }
  __device__ uint32_t full_at(int i) const { return full + 8 * i; }
  __device__ uint32_t empty_at(int i) const { return empty + 8 * i; }
};

constexpr int kRows = 8, kColumns = 64;  // of a box of floats
constexpr int kConsumers = 2;            // warps

template <int Stages, Fault F>
__device__ Ring make_ring(char* memory, int empty_arrivals) {
  __shared__ uint64_t full[Stages], empty[Stages];
  const Ring ring{ptx::shared_address(memory), ptx::shared_address(full), ptx::shared_address(empty),
                  kRows * kColumns * sizeof(float)};
  if (threadIdx.x == 0) {
    for (int i = 0; i < Stages; ++i) {
      ptx::barrier_init(ring.full_at(i), 1);
      ptx::barrier_init(ring.empty_at(i), empty_arrivals);
    }
    if (F != Fault::no_init_fence) ptx::fence_barrier_init();
  }
  return ring;
}

/// One warp adds its half of the stage's columns to `sum`.
__device__ void add_stage(float& sum, const char* memory, const Ring& ring, int stage, int warp, int lane) {
  const float* tile = reinterpret_cast<const float*>(memory + stage * ring.stage_bytes);
  for (int row = 0; row < kRows; ++row) sum += tile[row * kColumns + 32 * warp + lane];
}

/// Column sums of a matrix of `rows` rows and 64 columns, a box at a time; rows beyond the matrix read as zero.
/// Block: two consumer warps and one that produces. A fault is a property of one step.
template <int Stages, Fault F, bool Tensor>
__device__ void by_proxy(float* out, const ptx::TensorMap* map, const float* in, int rows) {
  extern __shared__ __align__(1024) char memory[];
  const Ring ring = make_ring<Stages, F>(memory, F == Fault::wrong_count ? 1 : kConsumers);
  __syncthreads();
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, steps = (rows + kRows - 1) / kRows;
  if (warp == kConsumers) {
    if (!ptx::elect_one()) return;
    for (int step = 0; step < steps; ++step) {
      const int stage = step % Stages, round = step / Stages;
      if (F != Fault::no_empty_wait) ptx::barrier_wait(ring.empty_at(stage), (round + 1) & 1);
      const uint32_t box = Tensor ? ring.stage_bytes : min(kRows, rows - step * kRows) * kColumns * 4;
      if (F == Fault::no_expect)
        ptx::barrier_arrive(ring.full_at(stage));
      else
        ptx::barrier_expect(ring.full_at(stage), F == Fault::short_expect ? box - 128 : box);
      const uint32_t to = F == Fault::outside ? ring.stage(stage + Stages) : ring.stage(stage);
      if constexpr (Tensor)
        ptx::tensor_load(to, *map, 0, step * kRows, ring.full_at(stage));
      else
        ptx::bulk_load(to, in + step * kRows * kColumns, box, ring.full_at(stage));
    }
    return;
  }
  float sum = 0;
  for (int step = 0; step < steps; ++step) {
    const int stage = step % Stages, round = step / Stages;
    if (F != Fault::no_wait) ptx::barrier_wait(ring.full_at(stage), (round + (F == Fault::wrong_phase)) & 1);
    const float* tile = reinterpret_cast<const float*>(memory + stage * ring.stage_bytes);
    const int filled = Tensor ? kRows : min(kRows, rows - step * kRows);
    for (int row = 0; row < filled; ++row) sum += tile[row * kColumns + 32 * warp + lane];
    __syncwarp();
    if (F != Fault::no_release && lane == 0) ptx::barrier_arrive(ring.empty_at(stage));
  }
  out[32 * warp + lane] = sum;
}

/// Two CTAs share every box: each one loads half of its rows and sends them to both. CTA r adds columns times (r + 1).
template <int Stages, Fault F>
__device__ void by_pair(float* out, const ptx::TensorMap& map, int rows) {
  extern __shared__ __align__(1024) char memory[];
  const Ring ring = make_ring<Stages, F>(memory, 2 * kConsumers);
  if (F != Fault::no_start_sync)
    ptx::cluster_sync();
  else
    __syncthreads();
  const uint32_t rank = ptx::cluster_rank();
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, steps = (rows + kRows - 1) / kRows;
  if (warp == kConsumers && ptx::elect_one()) {
    for (int step = 0; step < steps; ++step) {
      const int stage = step % Stages, round = step / Stages;
      if (F != Fault::no_empty_wait) ptx::barrier_wait_cluster(ring.empty_at(stage), (round + 1) & 1);
      ptx::barrier_expect(ring.full_at(stage), ring.stage_bytes);
      ptx::tensor_load_multicast(ring.stage(stage) + rank * ring.stage_bytes / 2, map, 0,
                                 step * kRows + rank * kRows / 2, ring.full_at(stage), 3);
    }
  }
  if (warp < kConsumers) {
    float sum = 0;
    for (int step = 0; step < steps; ++step) {
      const int stage = step % Stages, round = step / Stages;
      if (F != Fault::no_wait) ptx::barrier_wait(ring.full_at(stage), round & 1);
      add_stage(sum, memory, ring, stage, warp, lane);
      __syncwarp();
      if (lane < 2 && F != Fault::no_release) {
        const uint32_t to = F == Fault::local_release ? rank : lane;
        ptx::barrier_arrive_cluster(ptx::map_to_rank(ring.empty_at(stage), to));
      }
    }
    out[kColumns * rank + 32 * warp + lane] = sum * (rank + 1);
  }
  __syncwarp();
  if (F != Fault::early_exit) ptx::cluster_sync();
}

}  // namespace

#define BY_THREADS(stages, fault)                                                                \
  extern "C" __global__ void threads##stages##_##fault(float* out, const float* in, int count) { \
    by_threads<stages, Fault::fault>(out, in, count);                                            \
  }
#define BULK(stages, fault)                                                                  \
  extern "C" __global__ void bulk##stages##_##fault(float* out, const float* in, int rows) { \
    by_proxy<stages, Fault::fault, false>(out, nullptr, in, rows);                           \
  }
#define TENSOR(stages, fault)                                                                                 \
  extern "C" __global__ void tensor##stages##_##fault(const __grid_constant__ ptx::TensorMap map, float* out, \
                                                      int rows) {                                             \
    by_proxy<stages, Fault::fault, true>(out, &map, nullptr, rows);                                           \
  }
#define PAIR(stages, fault)                                                                      \
  extern "C" __global__ void __cluster_dims__(2, 1, 1)                                           \
      pair##stages##_##fault(const __grid_constant__ ptx::TensorMap map, float* out, int rows) { \
    by_pair<stages, Fault::fault>(out, map, rows);                                               \
  }

BY_THREADS(2, none)
BY_THREADS(3, none)
BY_THREADS(4, none)
BY_THREADS(3, no_wait)
BY_THREADS(3, no_sync_after_wait)
BY_THREADS(3, no_sync_before_copy)

BULK(2, none)
BULK(3, none)
BULK(4, none)
TENSOR(2, none)
TENSOR(3, none)
TENSOR(4, none)
#define BROKEN(kernel)                                                                                           \
  kernel(2, no_wait) kernel(2, no_empty_wait) kernel(2, no_release) kernel(2, no_expect) kernel(2, short_expect) \
      kernel(2, wrong_phase) kernel(2, wrong_count) kernel(2, outside)
BROKEN(BULK)
BROKEN(TENSOR)

PAIR(2, none)
PAIR(3, none)
PAIR(4, none)
PAIR(2, no_wait)
PAIR(2, no_empty_wait)
PAIR(2, no_release)
PAIR(2, no_init_fence)
PAIR(2, no_start_sync)
PAIR(2, local_release)
PAIR(2, early_exit)
