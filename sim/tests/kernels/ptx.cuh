// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

// The PTX instructions that the kernels of this folder are made of, one thin function each. Shared addresses are 32-bit
// numbers.
namespace ptx {

/// The 128 opaque bytes of a tensor map, passed as a __grid_constant__ parameter.
struct alignas(64) TensorMap {
  char bytes[128];
};

__device__ inline uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}
__device__ inline bool elect_one() {
  uint32_t chosen;
  asm volatile(
      "{\n"
      "  .reg .pred p;\n"
      "  elect.sync _|p, 0xffffffff;\n"
      "  selp.u32 %0, 1, 0, p;\n"
      "}"
      : "=r"(chosen));
  return chosen != 0;
}

// Clusters.
__device__ inline uint32_t cluster_rank() {
  uint32_t rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
__device__ inline uint32_t map_to_rank(uint32_t address, uint32_t rank) {
  uint32_t mapped;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(mapped) : "r"(address), "r"(rank));
  return mapped;
}
__device__ inline void cluster_arrive() { asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory"); }
__device__ inline void cluster_arrive_relaxed() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
}
__device__ inline void cluster_wait() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }
__device__ inline void cluster_sync() {
  cluster_arrive();
  cluster_wait();
}
__device__ inline void store_remote(uint32_t address, float value) {
  asm volatile("st.shared::cluster.f32 [%0], %1;" ::"r"(address), "f"(value) : "memory");
}
__device__ inline void store_async(uint32_t address, float value, uint32_t barrier) {
  asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];" ::"r"(address),
               "r"(__float_as_uint(value)), "r"(barrier)
               : "memory");
}

// Barriers in shared memory.
__device__ inline void barrier_init(uint32_t barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
__device__ inline void fence_barrier_init() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
__device__ inline void barrier_arrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
__device__ inline void barrier_arrive_cluster(uint32_t barrier) {
  asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(barrier) : "memory");
}
__device__ inline void barrier_expect(uint32_t barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
__device__ inline void barrier_wait(uint32_t barrier, uint32_t parity) {
  asm volatile(
      "{\n"
      "  .reg .pred done;\n"
      "again:\n"
      "  mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "  @done bra.uni passed;\n"
      "  bra.uni again;\n"
      "passed:\n"
      "}" ::"r"(barrier),
      "r"(parity)
      : "memory");
}
__device__ inline void barrier_wait_cluster(uint32_t barrier, uint32_t parity) {
  uint32_t done = 0;
  while (done == 0) {
    asm volatile(
        "{\n"
        "  .reg .pred p;\n"
        "  mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\n"
        "  selp.u32 %0, 1, 0, p;\n"
        "}"
        : "=r"(done)
        : "r"(barrier), "r"(parity)
        : "memory");
  }
}

// Named barriers.
__device__ inline void named_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
__device__ inline void named_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// Copies by threads.
__device__ inline void copy_async(uint32_t to, const void* from, uint32_t bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}
__device__ inline void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int Pending>
__device__ inline void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

// Copies by the asynchronous proxy.
__device__ inline void fence_proxy_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
__device__ inline void bulk_load(uint32_t to, const void* from, uint32_t bytes, uint32_t barrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to),
               "l"(from), "r"(bytes), "r"(barrier)
               : "memory");
}
__device__ inline void bulk_store(void* to, uint32_t from, uint32_t bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(to), "r"(from), "r"(bytes)
               : "memory");
}
__device__ inline void bulk_add(float* to, uint32_t from, uint32_t bytes) {
  asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%0], [%1], %2;" ::"l"(to), "r"(from),
               "r"(bytes)
               : "memory");
}
__device__ inline void bulk_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
template <int Pending>
__device__ inline void bulk_wait() {
  asm volatile("cp.async.bulk.wait_group %0;" ::"n"(Pending) : "memory");
}
template <int Pending>
__device__ inline void bulk_wait_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(Pending) : "memory");
}
__device__ inline void prefetch_map(const TensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}
__device__ inline void tensor_load(uint32_t to, const TensorMap& map, int x, int y, uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::
          "r"(to),
      "l"(&map), "r"(x), "r"(y), "r"(barrier)
      : "memory");
}
__device__ inline void tensor_load_multicast(uint32_t to, const TensorMap& map, int x, int y, uint32_t barrier,
                                             uint16_t ctas) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster"
      " [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(to),
      "l"(&map), "r"(x), "r"(y), "r"(barrier), "h"(ctas)
      : "memory");
}
__device__ inline void tensor_store(const TensorMap& map, int x, int y, uint32_t from) {
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%1, %2}], [%3];" ::"l"(&map), "r"(x),
               "r"(y), "r"(from)
               : "memory");
}
__device__ inline void tensor_add(const TensorMap& map, int x, int y, uint32_t from) {
  asm volatile(
      "cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.tile.bulk_group [%0, {%1, %2}], [%3];" ::"l"(&map), "r"(x),
      "r"(y), "r"(from)
      : "memory");
}

// Matrix fragments of a warp.
__device__ inline void load_matrices(uint32_t (&out)[4], uint32_t row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(row)
               : "memory");
}
__device__ inline void store_matrices(uint32_t row, const uint32_t (&in)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row), "r"(in[0]), "r"(in[1]),
               "r"(in[2]), "r"(in[3])
               : "memory");
}
__device__ inline uint32_t pack_bf16(float low, float high) {
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}

/// Elements of a matrix product.
enum class Kind { f16, bf16, e4m3, e5m2, s8 };
template <Kind K>
inline constexpr int kBytes = K == Kind::f16 || K == Kind::bf16 ? 2 : 1;
template <Kind K>
struct AccumulatorOf {
  using type = float;
};
template <>
struct AccumulatorOf<Kind::s8> {
  using type = int;
};
template <Kind K>
using Accumulator = typename AccumulatorOf<K>::type;

#define PTX_MMA(kind, shape, types, constraint)                                                         \
  if constexpr (K == Kind::kind)                                                                        \
  asm volatile("mma.sync.aligned." shape ".row.col." types                                              \
               " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                       \
               : "+" constraint(d[0]), "+" constraint(d[1]), "+" constraint(d[2]), "+" constraint(d[3]) \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1))
/// d += a * b: 16 rows, 8 columns, 32 bytes of k.
template <Kind K>
__device__ inline void mma(Accumulator<K> (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  PTX_MMA(f16, "m16n8k16", "f32.f16.f16.f32", "f");
  PTX_MMA(bf16, "m16n8k16", "f32.bf16.bf16.f32", "f");
  PTX_MMA(e4m3, "m16n8k32", "f32.e4m3.e4m3.f32", "f");
  PTX_MMA(e5m2, "m16n8k32", "f32.e5m2.e5m2.f32", "f");
  PTX_MMA(s8, "m16n8k32", "s32.s8.s8.s32", "r");
}
#undef PTX_MMA

// Warpgroup products.
template <int Registers>
__device__ inline void registers_release() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Registers));
}
template <int Registers>
__device__ inline void registers_take() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Registers));
}
__device__ inline void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int Pending>
__device__ inline void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
}
/// Keeps the compiler from moving uses of the registers across; emits nothing.
template <class T, int N>
__device__ inline void hold(T (&d)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) {
    if constexpr (sizeof(T) == 4 && T(0.5) != T(0))
      asm volatile("" : "+f"(d[i])::"memory");
    else
      asm volatile("" : "+r"(d[i])::"memory");
  }
}

/// Matrix descriptor of a shared-memory operand whose rows are swizzled over `width` bytes (16: not swizzled).
__device__ inline uint64_t descriptor(uint32_t start, uint32_t leading_bytes, uint32_t stride_bytes, int width) {
  const uint64_t layout = width == 128 ? 1 : width == 64 ? 2 : width == 32 ? 3 : 0;
  return uint64_t{(start & 0x3ffff) >> 4} | uint64_t{leading_bytes >> 4} << 16 | uint64_t{stride_bytes >> 4} << 32 |
         layout << 62;
}

#define PTX_8(c, i) c(d[i]), c(d[i + 1]), c(d[i + 2]), c(d[i + 3]), c(d[i + 4]), c(d[i + 5]), c(d[i + 6]), c(d[i + 7])
#define PTX_32(c) PTX_8(c, 0), PTX_8(c, 8), PTX_8(c, 16), PTX_8(c, 24)
#define PTX_64(c) PTX_32(c), PTX_8(c, 32), PTX_8(c, 40), PTX_8(c, 48), PTX_8(c, 56)
#define PTX_LIST_32                                                                                           \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, " \
  "%23, %24, %25, %26, %27, %28, %29, %30, %31"
#define PTX_LIST_64                                                                                        \
  PTX_LIST_32                                                                                              \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, " \
  "%52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define PTX_F(x) "+f"(x)
#define PTX_R(x) "+r"(x)

// d = a * b + (add ? d : 0), 64 rows, 64 columns, 32 bytes of k; `tail` holds the modifiers behind the predicate.
#define PTX_WGMMA_SHARED(kind, types, outs, tail, ...)                                                                \
  if constexpr (K == Kind::kind)                                                                                      \
  asm volatile("{\n  .reg .pred p;\n  setp.ne.b32 p, %34, 0;\n  wgmma.mma_async.sync.aligned." types " {" PTX_LIST_32 \
               "}, %32, %33, p" tail ";\n}"                                                                           \
               : outs                                                                                                 \
               : "l"(a), "l"(b), "r"(add)__VA_ARGS__)
#define PTX_WGMMA_REGISTERS(kind, types, outs, tail, ...)                                                             \
  if constexpr (K == Kind::kind)                                                                                      \
  asm volatile("{\n  .reg .pred p;\n  setp.ne.b32 p, %37, 0;\n  wgmma.mma_async.sync.aligned." types " {" PTX_LIST_32 \
               "}, {%32, %33, %34, %35}, %36, p" tail ";\n}"                                                          \
               : outs                                                                                                 \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add)__VA_ARGS__)
#define PTX_COMMA ,
template <Kind K, int TransA = 0, int TransB = 0>
__device__ inline void wgmma(Accumulator<K> (&d)[32], uint64_t a, uint64_t b, int add) {
  PTX_WGMMA_SHARED(f16, "m64n64k16.f32.f16.f16", PTX_32(PTX_F), ", 1, 1, %35, %36", PTX_COMMA "n"(TransA), "n"(TransB));
  PTX_WGMMA_SHARED(bf16, "m64n64k16.f32.bf16.bf16", PTX_32(PTX_F), ", 1, 1, %35, %36", PTX_COMMA "n"(TransA),
                   "n"(TransB));
  PTX_WGMMA_SHARED(e4m3, "m64n64k32.f32.e4m3.e4m3", PTX_32(PTX_F), ", 1, 1", );
  PTX_WGMMA_SHARED(e5m2, "m64n64k32.f32.e5m2.e5m2", PTX_32(PTX_F), ", 1, 1", );
  PTX_WGMMA_SHARED(s8, "m64n64k32.s32.s8.s8", PTX_32(PTX_R), "", );
}
template <Kind K, int TransB = 0>
__device__ inline void wgmma(Accumulator<K> (&d)[32], const uint32_t (&a)[4], uint64_t b, int add) {
  PTX_WGMMA_REGISTERS(f16, "m64n64k16.f32.f16.f16", PTX_32(PTX_F), ", 1, 1, %38", PTX_COMMA "n"(TransB));
  PTX_WGMMA_REGISTERS(bf16, "m64n64k16.f32.bf16.bf16", PTX_32(PTX_F), ", 1, 1, %38", PTX_COMMA "n"(TransB));
  PTX_WGMMA_REGISTERS(e4m3, "m64n64k32.f32.e4m3.e4m3", PTX_32(PTX_F), ", 1, 1", );
  PTX_WGMMA_REGISTERS(e5m2, "m64n64k32.f32.e5m2.e5m2", PTX_32(PTX_F), ", 1, 1", );
  PTX_WGMMA_REGISTERS(s8, "m64n64k32.s32.s8.s8", PTX_32(PTX_R), "", );
}
/// d = a * b + (add ? d : 0), 64 rows, 128 columns, 16 deep, both K-major.
__device__ inline void wgmma_n128(float (&d)[64], uint64_t a, uint64_t b, int add) {
  asm volatile(
      "{\n  .reg .pred p;\n  setp.ne.b32 p, %66, 0;\n"
      "  wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" PTX_LIST_64 "}, %64, %65, p, 1, 1, 0, 0;\n}"
      : PTX_64(PTX_F)
      : "l"(a), "l"(b), "r"(add));
}

}  // namespace ptx
