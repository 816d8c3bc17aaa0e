// SPDX-License-Identifier: Apache-2.0
// The places where a kernel rounds. On double they do nothing; on Bound each adds what its rounding may cost, to first
// order in the unit roundoff u of f32. Derivations: docs/numerics.md, one paragraph for each place, in this order.
#pragma once
#include <attend/attention.hpp>
#include <cmath>
#include <limits>

#include "base/element.hpp"
#include "reference/bound.hpp"

namespace attend {

/// Half the distance of the two smallest numbers of a type.
inline double smallest_half(DType type) {
  double half = 0;
  visit_dtype(type, [&]<class E>() {
    if constexpr (std::is_same_v<typename E::Storage, float>) {
      half = std::numeric_limits<float>::denorm_min() / 2.0;
    } else {
      half = E::widen(1) / 2.0;
    }
  });
  return half;
}

template <class Scalar>
struct Rounding;

template <>
struct Rounding<double> {
  double query(double x) const { return x; }
  double score(const Sum<double>& dot, double) const { return dot.total; }
  double capped(double x) const { return x; }
  double cap_slope(double t) const { return 1 - t * t; }
  double term(double x, double) const { return x; }
  double shifted(double x, double, double) const { return x; }
  double exponential(double x, double) const { return x; }
  double row_sum(const Sum<double>& sum) const { return sum.total; }
  double probability(double x) const { return x; }
  double value_sum(const Sum<double>& sum) const { return sum.total; }
  double output(double x) const { return x; }
  double log_sum(double x, double) const { return x; }
};

template <>
struct Rounding<Bound> {
  static constexpr double kU = 0x1p-24;          ///< unit roundoff of f32
  static constexpr double kTiny = 0x1p-126;      ///< results below may be flushed to zero
  static constexpr double kExp2Error = 0x1p-21;  ///< relative error of a kernel's exp2, 4 units of 2^-23
  static constexpr double kTanhError = 0x1p-21;  ///< relative error of a kernel's tanh
  static constexpr double kReferenceGap =
      20 * 0.6931471805599453;                  ///< how far above its reference maximum a score may lie: 2^20
  static constexpr double kOverflow = 0x1p126;  ///< sizes from which f32 may overflow in base-2 units

  Rounding(const AttentionFwd& problem, Arithmetic arithmetic, int64_t visible_keys);

  /// q * scale, when a kernel folds the scale into its queries.
  Bound query(Bound x) const {
    if (!folds_scale) return x;
    return {x.value, x.error + kFactorRoundings * kU * std::abs(x.value) + 0x1p-149};
  }
  /// One q.k, d products added in any order. A mean of the keys may be a sum of its own, or be added to each key:
  /// either way what is rounded is no larger than both together.
  Bound score(const Sum<Bound>& dot, double mean_magnitude) const {
    const double magnitude = dot.magnitude + 2 * mean_magnitude;
    double error = dot.error + d * (kU * magnitude + product_flush) + key_roundoff * magnitude;
    if (!folds_scale) error += kFactorRoundings * kU * std::abs(dot.total);
    if (!(dot.magnitude < kOverflow)) error = kInfinity;
    return {dot.total, error};
  }
  /// softcap * tanh(s / softcap).
  Bound capped(Bound x) const { return {x.value, x.error + (kTanhError + 2 * kU) * std::abs(x.value)}; }
  /// The softcap's derivative 1 - t^2 at t = tanh(s / softcap), from a kernel's t.
  Bound cap_slope(Bound t) const {
    t.error += kTanhError * std::abs(t.value);
    const Bound slope = Bound(1) - t * t;
    return {slope.value, slope.error + 2 * kU};
  }
  /// A score after a term of size `term` was added.
  Bound term(Bound x, double term) const {
    if (!std::isfinite(x.value)) return x;  // a bias of -inf takes the key away, exactly
    return {x.value, x.error + kU * (std::abs(x.value) + 2 * std::abs(term))};
  }
  /// s - m for the row's maximum m, before it is subtracted; `largest` is the largest |score| of the row.
  Bound shifted(Bound x, double m, double largest) const {
    if (!std::isfinite(x.value)) return x;
    const double reference = std::fmin(largest, std::fmax(std::abs(m), std::abs(x.value) + kReferenceGap));
    return {x.value, x.error + kU * (start_depth * reference + 2 * std::abs(x.value) + 4 * reference)};
  }
  /// exp(s - m), and what rescaling does to it later: each time a factor, and a maximum that is rounded when it rises.
  Bound exponential(Bound x, double m) const {
    const double each = kExp2Error + kU * (2 + std::abs(m) + kReferenceGap);
    const double relative = kExp2Error + rescales * each;
    return {x.value, x.error + (x.value + x.error) * relative + kTiny};
  }
  Bound row_sum(const Sum<Bound>& sum) const { return {sum.total, sum.error + sum_depth * kU * sum.magnitude}; }
  /// A probability as the second product uses it.
  Bound probability(Bound x) const {
    return {x.value, x.error + probability_roundoff * (x.value + x.error) + probability_flush};
  }
  /// One column of P.V, products of all visible keys added in any order.
  Bound value_sum(const Sum<Bound>& sum) const {
    if (!(sum.magnitude < kOverflow * 0x1p-20)) return {sum.total, kInfinity};
    return {sum.total, sum.error + sum_depth * (kU * (sum.magnitude + sum.error) + product_flush) +
                           value_roundoff * (sum.magnitude + sum.error)};
  }
  /// The quotient, and its rounding to the type of o.
  Bound output(Bound x) const {
    const double computed = x.error + 3 * kU * std::abs(x.value);
    return {x.value, computed + output_roundoff * (std::abs(x.value) + computed) + output_flush};
  }
  Bound log_sum(Bound x, double m) const {
    return {x.value, x.error + 4 * kU * (std::abs(m) + kReferenceGap + std::abs(x.value))};
  }

 private:
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();
  static constexpr double kFactorRoundings = 4;  ///< scale, log2(e), their product, times q

  bool folds_scale = true;                      ///< into the queries, else it multiplies the finished products
  double d = 0;                                 ///< roundings of one q.k
  double start_depth = 0;                       ///< of them, those of an accumulator that may start at -m
  double sum_depth = 0;                         ///< roundings of one sum over the visible keys
  double key_roundoff = 0, value_roundoff = 0;  ///< of decoding a stored element
  double rescales = 0;                          ///< how often a row may be rescaled
  double product_flush = 0x1p-149, probability_roundoff = 0, probability_flush = 0, output_roundoff = 0,
         output_flush = 0;
};

}  // namespace attend
