// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "sim/numeric/float_lanes.hpp"

namespace ptxsim {
namespace {

constexpr int kCount = 32;

template <class T>
void by_library(const T* a, const T* b, const T* c, T* d) {
  for (int i = 0; i < kCount; ++i) d[i] = std::fma(a[i], b[i], c[i]);
}

#if defined(__x86_64__)
// The library is built for any x86-64; these two are entered only on a CPU that has the instruction.
__attribute__((target("avx2,fma"))) void by_instruction(const float* __restrict a, const float* __restrict b,
                                                        const float* __restrict c, float* __restrict d) {
  for (int i = 0; i < kCount; ++i) d[i] = __builtin_fmaf(a[i], b[i], c[i]);
}
__attribute__((target("avx2,fma"))) void by_instruction(const double* __restrict a, const double* __restrict b,
                                                        const double* __restrict c, double* __restrict d) {
  for (int i = 0; i < kCount; ++i) d[i] = __builtin_fma(a[i], b[i], c[i]);
}

template <class F>
F choose(F library, F instruction) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? instruction : library;
}
#else
void by_instruction(const float* a, const float* b, const float* c, float* d) { by_library(a, b, c, d); }
void by_instruction(const double* a, const double* b, const double* c, double* d) { by_library(a, b, c, d); }

template <class F>
F choose(F, F instruction) {
  return instruction;
}
#endif

}  // namespace

const FmaF32 fma_f32 = choose<FmaF32>(&by_library<float>, &by_instruction);
const FmaF64 fma_f64 = choose<FmaF64>(&by_library<double>, &by_instruction);

}  // namespace ptxsim
