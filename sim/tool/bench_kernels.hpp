// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace ptxsim::tool {

/// `k(u64 out)`: each thread mixes a number `rounds` times with twelve integer and f32 instructions, then stores it.
std::string scalar_kernel(int rounds);
/// `k(u64 out)`: one warpgroup accumulates `rounds` products m64n128k16 of bf16 from shared memory, groups of four.
std::string matrix_kernel(int rounds);

}  // namespace ptxsim::tool
