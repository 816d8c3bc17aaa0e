// SPDX-License-Identifier: Apache-2.0
// C = A B^T by specialised warpgroups, the shape of a FlashAttention-3 kernel: one warpgroup gives up registers and
// feeds a ring of stages by tensor copies; two take them and multiply, taking turns at the tensor cores by named
// barriers; results leave through swizzled shared memory and tensor stores. A block walks over tiles, so ring and
// barriers outlive one tile.
//
// Entry of the speed bar: `specialised_4_none`, 384 threads, shared bytes as below; with m = n = 256 and k = 128 one
// block does the work of a 256 x 256 attention head of dimension 128. Maps: A, B boxes of 64 columns x 128 rows, C
// boxes of 64 x 64, all swizzled over 128 bytes. Shared bytes: stages * 32768 + 32768.
#include "sim/tests/kernels/ptx.cuh"

namespace {

enum class Fault {
  none,
  no_full_wait,
  no_empty_wait,
  no_release,
  no_expect,
  short_expect,
  wrong_phase,
  wrong_count,
  no_wgmma_fence,
  no_wgmma_wait,       // the stage is released while products may still read it
  no_proxy_fence,      // results are stored from shared memory that the asynchronous proxy may not see yet
  no_read_wait,        // staged results are overwritten before the store has read them
  no_final_read_wait,  // the block ends while a store may still read
  no_turn,             // the other warpgroup is not given its turn
  no_registers,        // the producer keeps its registers
};

constexpr int kTileM = 128, kTileN = 128, kSlice = 64, kConsumers = 2, kGroup = 128;
constexpr uint32_t kOperandBytes = kTileM * kSlice * 2, kStageBytes = 2 * kOperandBytes;
constexpr uint32_t kResultBytes = 64 * kTileN * 2;  // of one warpgroup
enum Named { everyone = 0, turn = 1, staged = 3 };  // turn and staged: one for each consumer

struct Shape {
  int m, n, k;
  __device__ int tiles_n() const { return (n + kTileN - 1) / kTileN; }
  __device__ int tiles() const { return (m + kTileM - 1) / kTileM * tiles_n(); }
  __device__ int slices() const { return (k + kSlice - 1) / kSlice; }
};

/// Where the ring stands: phase arithmetic is here alone.
template <int Stages>
struct Cursor {
  uint32_t stages, full, empty;  // shared addresses
  int step = 0;
  __device__ uint32_t stage() const { return stages + step % Stages * kStageBytes; }
  __device__ uint32_t full_barrier() const { return full + step % Stages * 8; }
  __device__ uint32_t empty_barrier() const { return empty + step % Stages * 8; }
  __device__ uint32_t parity() const { return step / Stages & 1; }
};

template <int Stages, Fault F>
__device__ void produce(Cursor<Stages> ring, const ptx::TensorMap& a, const ptx::TensorMap& b, Shape shape) {
  for (int tile = blockIdx.x; tile < shape.tiles(); tile += gridDim.x) {
    const int row = tile / shape.tiles_n() * kTileM, column = tile % shape.tiles_n() * kTileN;
    for (int slice = 0; slice < shape.slices(); ++slice, ++ring.step) {
      if (F != Fault::no_empty_wait) ptx::barrier_wait(ring.empty_barrier(), ring.parity() ^ 1);
      const uint32_t full = ring.full_barrier();
      if (F == Fault::no_expect)
        ptx::barrier_arrive(full);
      else
        ptx::barrier_expect(full, F == Fault::short_expect ? kOperandBytes : kStageBytes);
      ptx::tensor_load(ring.stage(), a, slice * kSlice, row, full);
      ptx::tensor_load(ring.stage() + kOperandBytes, b, slice * kSlice, column, full);
    }
  }
}

/// 64 x 128 results of one warpgroup as two boxes of 64 x 64, rows of 128 bytes swizzled.
template <Fault F>
__device__ void store_results(const float (&d)[64], uint32_t staging, const ptx::TensorMap& c, int row, int column,
                              int group) {
  const int thread = threadIdx.x % kGroup, lane = thread % 32, warp = thread / 32;
  if (F != Fault::no_read_wait && thread == 0) ptx::bulk_wait_read<0>();
  ptx::named_sync(staged + group, kGroup);
#pragma unroll
  for (int block = 0; block < 8; ++block) {  // 16 columns
    const float* v = d + 8 * block;
    const uint32_t packed[4] = {ptx::pack_bf16(v[0], v[1]), ptx::pack_bf16(v[2], v[3]), ptx::pack_bf16(v[4], v[5]),
                                ptx::pack_bf16(v[6], v[7])};
    const int r = 16 * warp + lane % 16, byte = block % 4 * 32 + lane / 16 * 16;
    ptx::store_matrices(staging + block / 4 * (kResultBytes / 2) + r * 128 + (byte ^ (r % 8 * 16)), packed);
  }
  if (F != Fault::no_proxy_fence) ptx::fence_proxy_async();
  ptx::named_sync(staged + group, kGroup);
  if (thread == 0) {
    for (int half = 0; half < 2; ++half)
      ptx::tensor_store(c, column + 64 * half, row, staging + half * (kResultBytes / 2));
    ptx::bulk_commit();
  }
}

template <int Stages, Fault F>
__device__ void consume(Cursor<Stages> ring, uint32_t staging, const ptx::TensorMap& c, Shape shape, int group) {
  const int thread = threadIdx.x % kGroup;
  const int last =
      ((shape.tiles() - 1 - static_cast<int>(blockIdx.x)) / static_cast<int>(gridDim.x) + 1) * shape.slices();
  if (group == 1) ptx::named_arrive(turn + 0, 2 * kGroup);  // the first turn is warpgroup 0's
  for (int tile = blockIdx.x; tile < shape.tiles(); tile += gridDim.x) {
    float d[64];
    for (int i = 0; i < 64; ++i) d[i] = 0;
    for (int slice = 0; slice < shape.slices(); ++slice, ++ring.step) {
      if (F != Fault::no_full_wait)
        ptx::barrier_wait(ring.full_barrier(), ring.parity() ^ (F == Fault::wrong_phase ? 1 : 0));
      ptx::named_sync(turn + group, 2 * kGroup);
      ptx::hold(d);
      if (F != Fault::no_wgmma_fence) ptx::wgmma_fence();
#pragma unroll
      for (int step = 0; step < kSlice / 16; ++step) {
        const uint32_t a = ring.stage() + group * 64 * 128 + step * 32, b = ring.stage() + kOperandBytes + step * 32;
        ptx::wgmma_n128(d, ptx::descriptor(a, 0, 1024, 128), ptx::descriptor(b, 0, 1024, 128), 1);
      }
      ptx::wgmma_commit();
      // The very last turn is nobody's: no arrival may be left behind.
      const bool next = group == 0 || ring.step + 1 < last;
      if (F != Fault::no_turn && next) ptx::named_arrive(turn + (group ^ 1), 2 * kGroup);
      if (F != Fault::no_wgmma_wait) ptx::wgmma_wait<0>();
      ptx::hold(d);
      if (F != Fault::no_release && thread == 0) ptx::barrier_arrive(ring.empty_barrier());
    }
    if (F == Fault::no_wgmma_wait) ptx::wgmma_wait<0>();
    ptx::hold(d);
    store_results<F>(d, staging, c, tile / shape.tiles_n() * kTileM + 64 * group, tile % shape.tiles_n() * kTileN,
                     group);
  }
  if (F != Fault::no_final_read_wait && thread == 0) ptx::bulk_wait<0>();
}

template <int Stages, Fault F>
__device__ void multiply(const ptx::TensorMap& a, const ptx::TensorMap& b, const ptx::TensorMap& c, Shape shape) {
  extern __shared__ __align__(1024) char memory[];
  __shared__ uint64_t full[Stages], empty[Stages];
  const uint32_t begin = ptx::shared_address(memory);
  const Cursor<Stages> ring{begin, ptx::shared_address(full), ptx::shared_address(empty)};
  if (threadIdx.x == 0) {
    ptx::prefetch_map(a);
    ptx::prefetch_map(b);
    ptx::prefetch_map(c);
    for (int i = 0; i < Stages; ++i) {
      ptx::barrier_init(ring.full + 8 * i, 1);
      ptx::barrier_init(ring.empty + 8 * i, F == Fault::wrong_count ? 1 : kConsumers);
    }
    ptx::fence_barrier_init();
  }
  __syncthreads();
  const int group = __shfl_sync(0xffffffff, threadIdx.x / kGroup, 0);
  if (group == kConsumers) {
    if (F != Fault::no_registers) ptx::registers_release<24>();
    if (threadIdx.x % kGroup < 32 && ptx::elect_one()) produce<Stages, F>(ring, a, b, shape);
  } else {
    ptx::registers_take<240>();
    consume<Stages, F>(ring, begin + Stages * kStageBytes + group * kResultBytes, c, shape, group);
  }
}

}  // namespace

#define KERNEL(stages, fault)                                                                 \
  extern "C" __global__ void __launch_bounds__(3 * kGroup, 1) specialised_##stages##_##fault( \
      const __grid_constant__ ptx::TensorMap a, const __grid_constant__ ptx::TensorMap b,     \
      const __grid_constant__ ptx::TensorMap c, int m, int n, int k) {                        \
    multiply<stages, Fault::fault>(a, b, c, Shape{m, n, k});                                  \
  }
KERNEL(2, none)
KERNEL(4, none)
KERNEL(2, no_full_wait)
KERNEL(2, no_empty_wait)
KERNEL(2, no_release)
KERNEL(2, no_expect)
KERNEL(2, short_expect)
KERNEL(2, wrong_phase)
KERNEL(2, wrong_count)
KERNEL(2, no_wgmma_fence)
KERNEL(2, no_wgmma_wait)
KERNEL(2, no_proxy_fence)
KERNEL(2, no_read_wait)
KERNEL(2, no_final_read_wait)
KERNEL(2, no_turn)
KERNEL(2, no_registers)
