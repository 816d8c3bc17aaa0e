// SPDX-License-Identifier: Apache-2.0
#define ATTEND_TARGET avx2
#include "cpu/targets/target.hpp"

#include "cpu/simd/avx2.hpp"

#include "cpu/kernels/tile.hpp"

#include "cpu/kernels/pack.hpp"

#include "cpu/kernels/attention_fwd.hpp"

#include "cpu/kernels/attention_bwd.hpp"
#include "cpu/kernels/decode.hpp"
#include "cpu/kernels/peak.hpp"

namespace attend::cpu::avx2 {

const AttentionFwdKernel kAttentionFwd_f32 = AttentionFwd<PackF32, false>::kernel();
const DecodeKernel kDecode_f32 = Decode<DecodeF32>::kernel();
const AttentionBwdKernel kAttentionBwd_f32 = AttentionBwd<PackF32, false>::kernel(&kAttentionFwd_f32);
const PeakLoops kPeakLoops = {peak_loop<StepF32>, nullptr, read_stream};

}  // namespace attend::cpu::avx2
