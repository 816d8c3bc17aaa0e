// SPDX-License-Identifier: Apache-2.0
// Included by each ISA's file after its vocabulary.
#pragma once
#include "cpu/kernels/tile.hpp"

#include "cpu/kernels/pack.hpp"

#include "cpu/kernels/attention_fwd.hpp"
#include "simd/vocabulary.hpp"

namespace attend::cpu::ATTEND_TARGET {

static void exp2_of(const float* in, float* out) { store(out, exp2(load(in))); }
static void tanh_of(const float* in, float* out) { store(out, tanh(load(in))); }
static void load_f16_of(const uint16_t* in, float* out) { store(out, load_f16(in)); }
static void load_bf16_of(const uint16_t* in, float* out) { store(out, load_bf16(in)); }
static void store_f16_of(const float* in, uint16_t* out) { store_f16(out, load(in)); }
static void store_bf16_of(const float* in, uint16_t* out) { store_bf16(out, load(in)); }
static void transpose_of(const float* in, float* out) {
  Vec rows[kWidth];
  for (int i = 0; i < kWidth; ++i) rows[i] = load(in + i * kWidth);
  transpose(rows);
  for (int i = 0; i < kWidth; ++i) store(out + i * kWidth, rows[i]);
}
static void keep_bits_of(uint64_t bits, const float* in, float* out) { store(out, keep_bits(bits, load(in))); }
static bool any_above_of(const float* in, float limit) { return any_above(load(in), set1(limit)); }
static bool any_nonfinite_of(const float* in) { return any_nonfinite(load(in)); }
static float reduce_max_of(const float* in) { return reduce_max(load(in)); }

static constexpr simd_test::Vocabulary vocabulary(const char* name) {
  return {name,          kWidth,       exp2_of,      tanh_of,      load_f16_of,      load_bf16_of, store_f16_of,
          store_bf16_of, transpose_of, keep_bits_of, any_above_of, any_nonfinite_of, reduce_max_of};
}

}  // namespace attend::cpu::ATTEND_TARGET
