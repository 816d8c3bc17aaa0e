// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attention.hpp>

#include "memory.hpp"

namespace attend::test {

/// Mistakes that kernels make.
enum class Fault {
  none,
  dropped_key,        ///< the last key that a row sees is forgotten
  mask_off_by_one,    ///< the mask is asked about the key before
  forgotten_rescale,  ///< the output is not rescaled when the maximum rises
  forgotten_sum_rescale,
  wrong_scale,   ///< 1 % too large
  swapped_head,  ///< reads the next key head
  missing_sink_in_lse,
  wrong_position,  ///< ALiBi counts from the first key instead of the last
  softcap_after_bias,
  rounded_twice,  ///< probabilities cut to bf16 by a kernel that says it keeps f32
};

/// FlashAttention-2's loop in f32, 16 keys at a time, with one mistake; writes o and lse of the whole Problem.
void tiled_attention(Memory& memory, Fault fault = Fault::none);

}  // namespace attend::test
