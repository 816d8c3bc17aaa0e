// SPDX-License-Identifier: Apache-2.0
// One ISA's vector vocabulary behind function pointers, so that a test compiled for the baseline CPU can call it.
#pragma once
#include <cstdint>

namespace attend::simd_test {

struct Vocabulary {
  const char* name;
  int width;
  void (*exp2)(const float* in, float* out);
  void (*tanh)(const float* in, float* out);
  void (*load_f16)(const uint16_t* in, float* out);
  void (*load_bf16)(const uint16_t* in, float* out);
  void (*store_f16)(const float* in, uint16_t* out);
  void (*store_bf16)(const float* in, uint16_t* out);
  void (*transpose)(const float* in, float* out);  ///< [width][width]
  void (*keep_bits)(uint64_t bits, const float* in, float* out);
  bool (*any_above)(const float* in, float limit);
  bool (*any_nonfinite)(const float* in);
  float (*reduce_max)(const float* in);
};

extern const Vocabulary kEmu;
#if defined(__x86_64__)
extern const Vocabulary kAvx2, kAvx512;
#endif

}  // namespace attend::simd_test
