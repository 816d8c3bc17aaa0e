// SPDX-License-Identifier: Apache-2.0
#define ATTEND_TARGET avx512_bf16
#include "cpu/targets/target.hpp"

#include "cpu/simd/avx512.hpp"

#include "cpu/kernels/tile.hpp"

#include "cpu/kernels/pack.hpp"

#include "cpu/kernels/pack_bf16.hpp"

#include "cpu/kernels/attention_fwd.hpp"

#include "cpu/kernels/attention_bwd.hpp"
#include "cpu/kernels/peak.hpp"

namespace attend::cpu::avx512_bf16 {

const AttentionFwdKernel kAttentionFwd_bf16_dot = AttentionFwd<PackBf16, true>::kernel();
const AttentionBwdKernel kAttentionBwd_bf16_dot = AttentionBwd<PackBf16, true>::kernel(&kAttentionFwd_bf16_dot);
const PeakLoops kPeakLoops = {peak_loop<StepF32>, peak_loop<StepBf16>, read_stream};

}  // namespace attend::cpu::avx512_bf16
