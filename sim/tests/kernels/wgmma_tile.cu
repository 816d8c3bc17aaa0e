// SPDX-License-Identifier: Apache-2.0
// C[64, 64] = A B^T by wgmma on one tile of 128 bytes of k: every element type, order and swizzle of the operands, each
// brought by tensor copies whose box is as wide as the swizzle.
#include "sim/tests/kernels/ptx.cuh"

namespace {

enum class Fault {
  none,
  no_fence,            // accumulators are zeroed and used without wgmma.fence
  no_wait,             // results are read without wait_group
  fragment_overwrite,  // registers of A change before the product is waited for
  no_proxy_fence,      // the tile is written by threads and not handed to the asynchronous proxy
  misaligned,          // the tile does not begin where the swizzle repeats
  outside,             // the descriptor reaches behind the CTA's shared memory
  differing,           // one warp has another descriptor
};

/// How an operand of `Rows` rows lies in shared memory: chunks of `width` bytes along the contiguous dimension, behind
/// each other.
struct Layout {
  int width;
  bool mn_major;
};

constexpr int kRows = 64;

template <ptx::Kind K, Layout L>
struct Operand {
  static constexpr int kElement = ptx::kBytes<K>;
  static constexpr int kDepth = 128 / kElement;               // elements of k
  static constexpr int kLines = L.mn_major ? kDepth : kRows;  // rows of a chunk
  static constexpr int kLineBytes = L.mn_major ? kRows * kElement : 128;
  static constexpr int kChunk = kLines * L.width;  // bytes
  static constexpr int kChunks = kLineBytes / L.width;

  uint32_t start;

  __device__ void load(const ptx::TensorMap& map, uint32_t barrier) const {
    for (int i = 0; i < kChunks; ++i) ptx::tensor_load(start + i * kChunk, map, i * L.width / kElement, 0, barrier);
  }
  /// Of the 32 bytes of k that begin at `step`: section "Matrix descriptor" of the PTX ISA, one formula for each order.
  __device__ uint64_t at(int step) const {
    if constexpr (L.mn_major) {
      const uint32_t begin = start + step * 16 * L.width;
      return L.width == 16 ? ptx::descriptor(begin, 128, kChunk, 16)
                           : ptx::descriptor(begin, kChunk, 8 * L.width, L.width);
    } else {
      const int byte = 32 * step;
      if constexpr (L.width == 16) return ptx::descriptor(start + byte / 16 * kChunk, kChunk, 128, 16);
      return ptx::descriptor(start + byte / L.width * kChunk + byte % L.width, 0, 8 * L.width, L.width);
    }
  }
};

template <ptx::Kind K>
__device__ void store_tile(ptx::Accumulator<K>* c, const ptx::Accumulator<K> (&d)[32]) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int i = 0; i < 32; ++i)
    c[(16 * warp + lane / 4 + i / 2 % 2 * 8) * kRows + i / 4 * 8 + lane % 4 * 2 + i % 2] = d[i];
}

/// A's rows of this warp as fragments, 32 bytes of k at a time, from a K-major matrix in global memory.
template <ptx::Kind K>
__device__ void load_fragment(uint32_t (&a)[4], const char* matrix, int step) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int j = 0; j < 4; ++j) {
    const int row = 16 * warp + lane / 4 + j % 2 * 8, byte = 32 * step + lane % 4 * 4 + j / 2 * 16;
    a[j] = *reinterpret_cast<const uint32_t*>(matrix + row * 128 + byte);
  }
}

template <ptx::Kind K, Layout LA, Layout LB, bool Registers, Fault F>
__device__ void tile(ptx::Accumulator<K>* c, const ptx::TensorMap& map_a, const ptx::TensorMap& map_b, const char* a) {
  extern __shared__ __align__(1024) char memory[];
  __shared__ uint64_t barrier;
  const uint32_t full = ptx::shared_address(&barrier), begin = ptx::shared_address(memory);
  const Operand<K, LA> left{begin};
  const Operand<K, LB> right{begin + 8192};
  if (threadIdx.x == 0) {
    ptx::barrier_init(full, 1);
    ptx::fence_barrier_init();
    ptx::barrier_expect(full, Registers ? 8192 : 16384);
    if (!Registers) left.load(map_a, full);
    right.load(map_b, full);
  }
  __syncthreads();
  ptx::barrier_wait(full, 0);

  ptx::Accumulator<K> d[32];
  for (int i = 0; i < 32; ++i) d[i] = 0;
  uint32_t fragments[4][4];
  if constexpr (Registers) {
#pragma unroll
    for (int step = 0; step < 4; ++step) load_fragment<K>(fragments[step], a, step);
  }
  ptx::hold(d);
  if (F != Fault::no_fence) ptx::wgmma_fence();
#pragma unroll
  for (int step = 0; step < 4; ++step) {
    if constexpr (Registers)
      ptx::wgmma<K, LB.mn_major>(d, fragments[step], right.at(step), step > 0);
    else if constexpr (F == Fault::misaligned)
      ptx::wgmma<K, LA.mn_major, LB.mn_major>(d, left.at(step) + 128 / 16, right.at(step), step > 0);
    else if constexpr (F == Fault::outside)
      ptx::wgmma<K, LA.mn_major, LB.mn_major>(d, left.at(step) + 16384 / 16, right.at(step), step > 0);
    else if constexpr (F == Fault::differing)
      ptx::wgmma<K, LA.mn_major, LB.mn_major>(d, left.at(threadIdx.x < 32 ? 0 : step), right.at(step), step > 0);
    else
      ptx::wgmma<K, LA.mn_major, LB.mn_major>(d, left.at(step), right.at(step), step > 0);
  }
  ptx::wgmma_commit();
  if constexpr (F == Fault::fragment_overwrite) {
#pragma unroll
    for (int step = 0; step < 4; ++step) asm volatile("add.u32 %0, %0, 1;" : "+r"(fragments[step][0]));
  }
  if (F != Fault::no_wait) ptx::wgmma_wait<0>();
  ptx::hold(d);
  store_tile<K>(c, d);
}

/// The same product of tiles that the threads write to shared memory, without swizzle: K-major, 8 rows of 16 bytes
/// after each other.
template <Fault F>
__device__ void written_by_threads(float* c, const char* a, const char* b) {
  __shared__ __align__(128) char memory[2][8192];
  for (int chunk = threadIdx.x; chunk < 1024; chunk += blockDim.x) {
    const char* from = chunk < 512 ? a : b;
    const int row = chunk % 512 / 8, column = chunk % 8;
    *reinterpret_cast<uint4*>(memory[chunk / 512] + column * 1024 + row * 16) =
        *reinterpret_cast<const uint4*>(from + row * 128 + column * 16);
  }
  if (F != Fault::no_proxy_fence) ptx::fence_proxy_async();
  __syncthreads();
  const Operand<ptx::Kind::bf16, Layout{16, false}> left{ptx::shared_address(memory[0])},
      right{ptx::shared_address(memory[1])};
  float d[32];
  ptx::wgmma_fence();
#pragma unroll
  for (int step = 0; step < 4; ++step) ptx::wgmma<ptx::Kind::bf16>(d, left.at(step), right.at(step), step > 0);
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  ptx::hold(d);
  store_tile<ptx::Kind::bf16>(c, d);
}

}  // namespace

#define TILE(name, kind, a_width, a_mn, b_width, b_mn, registers, fault)                                              \
  extern "C" __global__ void name(ptx::Accumulator<ptx::Kind::kind>* c, const __grid_constant__ ptx::TensorMap map_a, \
                                  const __grid_constant__ ptx::TensorMap map_b, const char* a) {                      \
    tile<ptx::Kind::kind, Layout{a_width, a_mn}, Layout{b_width, b_mn}, registers, Fault::fault>(c, map_a, map_b, a); \
  }
// wgmma_<type>_<swizzle bytes>_<order of A><order of B>; order r: A in registers
#define K_MAJOR(kind, width)                                                       \
  TILE(wgmma_##kind##_##width##_kk, kind, width, false, width, false, false, none) \
  TILE(wgmma_##kind##_##width##_rk, kind, width, false, width, false, true, none)
#define MN_MAJOR(kind, width)                                                     \
  TILE(wgmma_##kind##_##width##_mk, kind, width, true, width, false, false, none) \
  TILE(wgmma_##kind##_##width##_km, kind, width, false, width, true, false, none) \
  TILE(wgmma_##kind##_##width##_mm, kind, width, true, width, true, false, none)  \
  TILE(wgmma_##kind##_##width##_rm, kind, width, false, width, true, true, none)
#define ALL_WIDTHS(order, kind) order(kind, 16) order(kind, 32) order(kind, 64) order(kind, 128)
ALL_WIDTHS(K_MAJOR, bf16)
ALL_WIDTHS(MN_MAJOR, bf16)
ALL_WIDTHS(K_MAJOR, e4m3)
ALL_WIDTHS(K_MAJOR, s8)
K_MAJOR(e5m2, 128)
K_MAJOR(f16, 128)
MN_MAJOR(f16, 128)

#define BROKEN(fault, registers) TILE(wgmma_##fault, bf16, 128, false, 128, false, registers, fault)
BROKEN(no_fence, false)
BROKEN(no_wait, false)
BROKEN(fragment_overwrite, true)
BROKEN(misaligned, false)
BROKEN(outside, false)
BROKEN(differing, false)

#define WRITTEN(fault)                                                                       \
  extern "C" __global__ void wgmma_written_##fault(float* c, const char* a, const char* b) { \
    written_by_threads<Fault::fault>(c, a, b);                                               \
  }
WRITTEN(none)
WRITTEN(no_proxy_fence)
