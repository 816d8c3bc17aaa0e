// SPDX-License-Identifier: Apache-2.0
// The softmax of the unfused baseline: one plain loop nest that the compiler vectorises, built once per instruction
// set.
#pragma once
#include <cstdint>

namespace attend::bench {

/// Turns scores into probabilities in place, row by row.
/// s        [rows, ld] f32, already scaled; columns from `visible` on become 0
/// visible  [rows] how many keys, from key 0 on, each row sees; 0 leaves a row of zeros
using SoftmaxRows = void (*)(float* s, int64_t ld, const int64_t* visible, int64_t rows, int64_t keys);

void softmax_rows_baseline(float* s, int64_t ld, const int64_t* visible, int64_t rows, int64_t keys);
#if defined(__x86_64__)
void softmax_rows_avx2(float* s, int64_t ld, const int64_t* visible, int64_t rows, int64_t keys);
void softmax_rows_avx512(float* s, int64_t ld, const int64_t* visible, int64_t rows, int64_t keys);
#endif

}  // namespace attend::bench
