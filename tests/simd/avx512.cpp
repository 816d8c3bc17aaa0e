// SPDX-License-Identifier: Apache-2.0
#define ATTEND_TARGET test_avx512
#include "cpu/simd/avx512.hpp"

#include "simd/adapter.hpp"

namespace attend::simd_test {

const Vocabulary kAvx512 = cpu::test_avx512::vocabulary("avx512");

}  // namespace attend::simd_test
