// SPDX-License-Identifier: Apache-2.0
// What the language offers and nvcc turns into calls, tables and local memory.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <cassert>
#include <cstdint>
#include <cstdio>

namespace {

struct Pair {
  int64_t sum;
  double mean;
};

__noinline__ __device__ Pair describe(const int* values, int count) {
  int64_t sum = 0;
  for (int i = 0; i < count; ++i) sum += values[i];
  return {sum, static_cast<double>(sum) / count};
}

/// A local array that is indexed by data, so it cannot live in registers.
__noinline__ __device__ int sorted_middle(const int* in) {
  int values[9];
  for (int i = 0; i < 9; ++i) {
    int at = i;
    for (; at > 0 && values[at - 1] > in[i]; --at) values[at] = values[at - 1];
    values[at] = in[i];
  }
  return values[4];
}

__noinline__ __device__ float chosen(int what, float x, float y) {
  switch (what) {
    case 0: return x + y;
    case 1: return x - y;
    case 2: return x * y;
    case 3: return y - x;
    case 4: return x / y;
    case 5: return fmaxf(x, y);
    case 6: return sqrtf(x * x + y * y);
    case 7: return x > y ? 1.f : 0.f;
    case 8: return floorf(x);
    default: return -1.f;
  }
}

__constant__ float weights[8] = {1, 2, 3, 4, 5, 6, 7, 8};

}  // namespace

extern "C" {
__device__ unsigned counter = 5;
}

extern "C" __global__ void calls(const int* in, int64_t* sums, double* means, int* middles, float* choices) {
  const int i = threadIdx.x;
  const Pair pair = describe(in + i, 9);
  sums[i] = pair.sum;
  means[i] = pair.mean;
  middles[i] = sorted_middle(in + i);
  choices[i] = chosen(i % 10, in[i], in[i + 1]);
}

extern "C" __global__ void memories(const float* in, float* out) {
  extern __shared__ float dynamic[];
  __shared__ float fixed[128];
  dynamic[threadIdx.x] = in[threadIdx.x];
  fixed[threadIdx.x] = in[threadIdx.x] * weights[threadIdx.x % 8];
  __syncthreads();
  const int other = blockDim.x - 1 - threadIdx.x;
  out[threadIdx.x] = dynamic[other] - fixed[other];
  atomicAdd(&counter, 1u);
}

extern "C" __global__ void divisions(const int64_t* a, const int64_t* b, int64_t* quotients, uint64_t* remainders,
                                     int* small) {
  const int i = threadIdx.x;
  quotients[i] = a[i] / b[i];
  remainders[i] = static_cast<uint64_t>(a[i]) % static_cast<uint64_t>(b[i]);
  small[i] = static_cast<int>(a[i]) / (static_cast<int>(b[i]) | 1) + static_cast<int>(a[i]) % 7;
}

extern "C" __global__ void doubles(const double* x, double* out) {
  const int i = threadIdx.x, n = blockDim.x;
  out[i] = x[i] / (1 + x[i] * x[i]);
  out[n + i] = sqrt(fabs(x[i]));
  out[2 * n + i] = exp(x[i]);
  out[3 * n + i] = sin(x[i]) + cos(x[i]);
  out[4 * n + i] = log(fabs(x[i]) + 1);
}

extern "C" __global__ void floats(const float* x, float* out) {
  const int i = threadIdx.x, n = blockDim.x;
  out[i] = expf(x[i]);
  out[n + i] = logf(fabsf(x[i]) + 1);
  out[2 * n + i] = sinf(x[i]) * cosf(x[i]);
  out[3 * n + i] = powf(fabsf(x[i]), 1.5f);
  out[4 * n + i] = tanhf(x[i]);
  out[5 * n + i] = rsqrtf(fabsf(x[i]) + 1);
  out[6 * n + i] = x[i] / (fabsf(x[i]) + 2);
  out[7 * n + i] = erff(x[i]);
}

extern "C" __global__ void halves(const float2* x, __half2* h, __nv_bfloat162* b, float2* back) {
  const int i = threadIdx.x, n = blockDim.x;
  const __half2 half = __float22half2_rn(x[i]);
  const __nv_bfloat162 brain = __float22bfloat162_rn(x[i]);
  h[i] = __hfma2(half, half, __float2half2_rn(0.5f));
  h[n + i] = __hmax2(half, __hmul2(half, __float2half2_rn(-2.f)));
  b[i] = __hfma2(brain, brain, __float2bfloat162_rn(0.5f));
  b[n + i] = __hadd2(brain, __hneg2(__hmin2(brain, __float2bfloat162_rn(1.f))));
  back[i] = __half22float2(h[i]);
  back[n + i] = __bfloat1622float2(b[i]);
}

extern "C" __global__ void eights(const float2* x, __nv_fp8x2_e4m3* e4m3, __nv_fp8x2_e5m2* e5m2, float2* back) {
  const int i = threadIdx.x, n = blockDim.x;
  e4m3[i] = __nv_fp8x2_e4m3(x[i]);
  e5m2[i] = __nv_fp8x2_e5m2(x[i]);
  back[i] = static_cast<float2>(e4m3[i]);
  back[n + i] = static_cast<float2>(e5m2[i]);
}

extern "C" __global__ void bits(const unsigned* in, unsigned* out) {
  const int i = threadIdx.x, n = blockDim.x;
  const unsigned v = in[i];
  out[i] = __popc(v) + 100 * __clz(v) + 10000 * __ffs(v);
  out[n + i] = __brev(v);
  out[2 * n + i] = __byte_perm(v, ~v, 0x5140);
  out[3 * n + i] = __funnelshift_l(v, v, i);
  out[4 * n + i] = __dp4a(v, 0x01020304u, 7u);
  out[5 * n + i] = __umulhi(v, 0x9e3779b9u) + static_cast<unsigned>(__mul64hi(v, 0x7fffffffffffffffll));
}

extern "C" __global__ void exchanges(unsigned long long* largest, unsigned* tickets, float* total, int* owner) {
  const unsigned ticket = atomicInc(tickets, 63);
  atomicMax(largest, 1ull << 40 | threadIdx.x);
  atomicAdd(total, 0.5f);
  atomicCAS(owner, -1, static_cast<int>(threadIdx.x));
  if (ticket > 63) atomicExch(owner, -2);
}

extern "C" __global__ void asserts(const int* in, int* out) {
  assert(in[threadIdx.x] >= 0);
  if (in[threadIdx.x] == 1000) printf("a thousand at %d\n", threadIdx.x);
  out[threadIdx.x] = in[threadIdx.x] + 1;
}

/// The scalar code of the speed bar: integer and float arithmetic in a loop, one number stored per thread.
extern "C" __global__ void scalar_loop(unsigned* out, int rounds) {
  unsigned a = threadIdx.x, b = blockIdx.x;
  float x = 1, y = 0.5f;
  for (int i = 0; i < rounds; ++i) {
    a = a * 1664525u + 1013904223u;
    a ^= a >> 7;
    b += a & 255;
    x = fmaxf(x * y + y, y);
    y *= 0.999f;
  }
  out[blockIdx.x * blockDim.x + threadIdx.x] = b + static_cast<unsigned>(x);
}
