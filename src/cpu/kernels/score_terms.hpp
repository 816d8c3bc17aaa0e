// SPDX-License-Identifier: Apache-2.0
// Score terms beside q.k, on a vector of one row's scores.
#pragma once
#include "cpu/kernel.hpp"

namespace attend::cpu::ATTEND_TARGET {

constexpr float kLog2e = 0x1.715476p0F;

/// tanh. Near 0 an odd polynomial (minimax on |x| < 0.625, relative error 2^-23), beyond it 1 - 2 / (exp(2x) + 1).
ATTEND_INLINE Vec tanh(Vec x) {
  const Vec z = mul(x, x);
  Vec p = set1(-5.70498872745e-3F);
  p = fma(p, z, set1(2.06390887954e-2F));
  p = fma(p, z, set1(-5.37397155531e-2F));
  p = fma(p, z, set1(1.33314422036e-1F));
  p = fma(p, z, set1(-3.33332819422e-1F));
  const Vec near = fma(mul(x, z), p, x);
  const Vec far = sub(set1(1), div(set1(2), add(exp2(mul(x, set1(2 * kLog2e))), set1(1))));
  return select_less(abs(x), set1(0.625F), near, far);
}

/// softcap, ALiBi and bias of keys first_key + key and on, of which `keys` exist. In: s / softcap or s.
ATTEND_INLINE Vec add_terms(Vec s, const StripeTerms& terms, int row, int64_t first_key, int key, int keys) {
  if (terms.softcap > 0) s = mul(tanh(s), set1(terms.softcap));
  if (terms.slopes != nullptr) {
    // Distance of the first key from the row's own position: exact while below 2^24, rounded like the score beyond.
    const Vec distance = set1(static_cast<float>(first_key - terms.key_positions[row]));
    const Vec away = abs(add(distance, add(iota(), set1(static_cast<float>(key)))));
    s = fma(away, set1(-terms.slopes[row]), s);
  }
  if (terms.bias != nullptr) s = add(s, load_elements<Element::f32>(terms.bias[row], first_key + key, keys));
  return s;
}

}  // namespace attend::cpu::ATTEND_TARGET
