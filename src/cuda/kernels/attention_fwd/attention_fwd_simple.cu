// SPDX-License-Identifier: Apache-2.0
#include "cuda/kernels/attention_fwd/simple.cuh"

using namespace attend::cuda::attention_fwd;

extern "C" __global__ void __launch_bounds__(kSimpleThreads)
    attention_fwd_simple(const __grid_constant__ Params params) {
  extern __shared__ float shared[];
  simple_forward(params, shared);
}
