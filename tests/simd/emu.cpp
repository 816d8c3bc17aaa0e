// SPDX-License-Identifier: Apache-2.0
#define ATTEND_TARGET test_emu
#include "cpu/simd/emu.hpp"

#include "simd/adapter.hpp"

namespace attend::simd_test {

const Vocabulary kEmu = cpu::test_emu::vocabulary("emu");

}  // namespace attend::simd_test
