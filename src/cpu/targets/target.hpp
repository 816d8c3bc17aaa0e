// SPDX-License-Identifier: Apache-2.0
// What each target file exports; the names are spelled out in kernels.def.
#pragma once
#include "cpu/bwd_kernel.hpp"
#include "cpu/decode_kernel.hpp"
#include "cpu/kernel.hpp"

namespace attend::cpu {

#define ATTEND_CPU_TARGET(target, needs) \
  namespace target {                     \
  extern const PeakLoops kPeakLoops;     \
  }
#define ATTEND_CPU_ATTENTION_FWD(target, arithmetic, why)     \
  namespace target {                                          \
  extern const AttentionFwdKernel kAttentionFwd_##arithmetic; \
  }
#define ATTEND_CPU_DECODE(target, arithmetic, why) \
  namespace target {                               \
  extern const DecodeKernel kDecode_##arithmetic;  \
  }
#define ATTEND_CPU_ATTENTION_BWD(target, arithmetic, why)     \
  namespace target {                                          \
  extern const AttentionBwdKernel kAttentionBwd_##arithmetic; \
  }
#include "cpu/kernels.def"

}  // namespace attend::cpu
