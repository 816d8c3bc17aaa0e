// SPDX-License-Identifier: Apache-2.0
#define ATTEND_TARGET test_avx2
#include "cpu/simd/avx2.hpp"

#include "simd/adapter.hpp"

namespace attend::simd_test {

const Vocabulary kAvx2 = cpu::test_avx2::vocabulary("avx2");

}  // namespace attend::simd_test
