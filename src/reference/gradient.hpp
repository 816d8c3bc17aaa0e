// SPDX-License-Identifier: Apache-2.0
// The gradients of one row of attention as their formulas read (FlashAttention-2, arXiv:2307.08691, section 2.3.2).
// With Scalar = double it is the oracle of the backward pass; with Bound it also says how far a kernel may be from it.
#pragma once
#include <attend/attention_bwd.hpp>
#include <limits>
#include <vector>

#include "reference/attention.hpp"

namespace attend {

/// The places where a backward kernel rounds; docs/numerics.md has one paragraph for each.
template <class Scalar>
struct GradientRounding;

template <>
struct GradientRounding<double> {
  double delta(const Sum<double>& sum) const { return sum.total; }
  double shifted(double s, double lse) const { return s - lse; }
  double probability(double p) const { return p; }
  double spread(const Sum<double>& sum, double delta) const { return sum.total - delta; }
  double score_gradient(double ds) const { return ds; }
  double operand(double x) const { return x; }
  double sum(const Sum<double>& sum, int64_t) const { return sum.total; }
  double output(double x, double factor, DType, int64_t) const { return x * factor; }

  Rounding<double> forward;
};

template <>
struct GradientRounding<Bound> {
  using Forward = Rounding<Bound>;
  static constexpr double kU = Forward::kU;

  GradientRounding(const AttentionBwd& problem, Arithmetic arithmetic)
      : forward(problem.forward, arithmetic, 0),
        d(static_cast<double>(problem.forward.d) + 1),
        dv(static_cast<double>(problem.forward.dv) + 1),
        rounds_operands(arithmetic == Arithmetic::bf16_dot),
        terms(problem.forward.softcap > 0 || problem.forward.alibi || problem.forward.bias.has_value()) {}

  /// D = dO . O, in f32 whatever the types.
  Bound delta(const Sum<Bound>& sum) const { return add_rounding(sum, dv + 15, 0x1p-149); }
  /// s - lse. Where no term follows the product, its accumulator starts at -lse.
  Bound shifted(Bound s, Bound lse) const {
    const Bound x = s - lse;
    if (!std::isfinite(x.value)) return x;
    const double start = terms || rounds_operands ? 0 : d, size = std::abs(lse.value);
    return {x.value, x.error + kU * (start * size + 2 * std::abs(s.value) + 4 * size)};
  }
  Bound probability(Bound p) const {
    return {p.value, p.error + (p.value + p.error) * Forward::kExp2Error + Forward::kTiny};
  }
  /// dO . V - D, an accumulator that starts at -D.
  Bound spread(const Sum<Bound>& sum, Bound delta) const {
    const Bound product = add_rounding(sum, dv, product_flush());
    return {product.value - delta.value, product.error + delta.error + (dv + 1) * kU * std::abs(delta.value)};
  }
  /// A product of two numbers of the kernel.
  Bound score_gradient(Bound ds) const { return {ds.value, ds.error + kU * std::abs(ds.value) + 0x1p-149}; }
  /// P or dS as the second products use it.
  Bound operand(Bound x) const {
    if (!rounds_operands) return x;
    return {x.value, x.error + 0x1p-8 * (std::abs(x.value) + x.error) + Forward::kTiny};
  }
  /// A sum over `count` pairs, in any order and grouping.
  Bound sum(const Sum<Bound>& sum, int64_t count) const {
    if (count == 0) return {};
    return add_rounding(sum, static_cast<double>(count) + 16, product_flush());
  }
  /// The scale, and the rounding to the type of the gradient. Nothing added up is 0 exactly.
  Bound output(Bound x, double factor, DType type, int64_t count) const {
    if (count == 0) return {};
    const double value = x.value * factor, size = std::abs(value);
    const double computed = x.error * std::abs(factor) + 3 * kU * size;
    const double roundoff = type == DType::f32 ? 0 : unit_roundoff(type);
    return {value, computed + roundoff * (size + computed) + std::fmax(smallest_half(type), Forward::kTiny)};
  }

  Forward forward;

 private:
  double product_flush() const { return rounds_operands ? Forward::kTiny : 0x1p-149; }
  static Bound add_rounding(const Sum<Bound>& sum, double depth, double flush) {
    if (!(sum.magnitude < Forward::kOverflow)) return {sum.total, std::numeric_limits<double>::infinity()};
    return {sum.total, sum.error + depth * (kU * (sum.magnitude + sum.error) + flush)};
  }

  double d, dv;  ///< roundings of one product over d, over dv
  bool rounds_operands, terms;
};

/// A query row on its way through the backward pass.
template <class Scalar>
struct GradientRow {
  RowInputs in;
  std::vector<Scalar> q;        ///< scaled
  const float* dout = nullptr;  ///< [dv]
  Scalar lse = 0, delta = 0;

  /// `o` and `lse` as the forward pass left them, or the exact ones.
  GradientRow(const RowInputs& inputs, const float* gradient, const std::vector<Scalar>& o, Scalar log_sum,
              const GradientRounding<Scalar>& round)
      : in(inputs), q(scaled_query(inputs, round.forward)), dout(gradient), lse(log_sum) {
    Sum<Scalar> sum;
    for (int64_t c = 0; c < in.dv; ++c) sum.add(o[static_cast<size_t>(c)], dout[c]);
    delta = round.delta(sum);
  }
  /// Whether the row has any weight to give; its key gradients are exactly zero otherwise.
  bool empty() const { return value_of(lse) == -std::numeric_limits<double>::infinity(); }
};

/// What one pair of query and key adds to the gradients.
template <class Scalar>
struct GradientPair {
  Scalar p = 0;   ///< times dO: to dV
  Scalar ds = 0;  ///< of the score: to the bias
  Scalar dz = 0;  ///< of scale * q.k: times K to dQ / scale, times Q to dK / scale
};

template <class Scalar>
GradientPair<Scalar> gradient_pair(const GradientRow<Scalar>& row, int64_t key, const GradientRounding<Scalar>& round) {
  using std::exp;
  const Score<Scalar> score = score_of(row.in, row.q, key, round.forward);
  const Scalar p = round.probability(exp(round.shifted(score.s, row.lse)));
  const float* v = row.in.v + key * row.in.dv;
  Sum<Scalar> product;
  for (int64_t c = 0; c < row.in.dv; ++c) product.add(Scalar(v[c]), row.dout[c]);
  const Scalar ds = round.score_gradient(p * round.spread(product, row.delta));
  const Scalar dz = row.in.softcap > 0 ? round.score_gradient(ds * score.slope) : ds;
  return {round.operand(p), ds, round.operand(dz)};
}

/// Gradient of the row's sink logit: it has the weight exp(sink - lse) and no value.
template <class Scalar>
Scalar sink_gradient(const GradientRow<Scalar>& row) {
  using std::exp;
  return Scalar(0) - exp(Scalar(*row.in.sink) - row.lse) * row.delta;
}

}  // namespace attend
