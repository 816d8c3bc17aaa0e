// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <attend/attention.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "reference/rounding.hpp"

namespace attend {

/// What one output row is made of, widened exactly from the element types.
struct RowInputs {
  int64_t d = 0, dv = 0;
  const float* q = nullptr;                    ///< [d]
  const float* k = nullptr;                    ///< [sk, d]
  const float* v = nullptr;                    ///< [sk, dv]
  const std::vector<int64_t>* keys = nullptr;  ///< that the row sees; nothing of the others is looked at
  const float* k_mean = nullptr;               ///< [d] that was added to each key last, or null
  double scale = 1, softcap = 0;
  std::optional<double> slope;  ///< ALiBi
  int64_t position = 0;         ///< of the row among the keys, for ALiBi
  const float* bias = nullptr;  ///< [sk], or null
  std::optional<double> sink;
};

template <class Scalar>
struct OutputRow {
  std::vector<Scalar> o;  ///< [dv]
  Scalar lse = 0;
};

/// What the scale makes of a query, once for all keys.
template <class Scalar>
std::vector<Scalar> scaled_query(const RowInputs& in, const Rounding<Scalar>& round) {
  std::vector<Scalar> q(static_cast<size_t>(in.d));
  for (int64_t c = 0; c < in.d; ++c) q[c] = round.query(Scalar(in.q[c]) * Scalar(in.scale));
  return q;
}

template <class Scalar>
struct Score {
  Scalar s = 0;
  Scalar slope = 1;  ///< of s over scale * q.k: what the softcap's derivative is there
};

/// The score of one key: scale, softcap, ALiBi, bias, in this order. `mean_magnitude`: sum of |q * k_mean|.
template <class Scalar>
Score<Scalar> score_of(const RowInputs& in, const std::vector<Scalar>& q, int64_t key, const Rounding<Scalar>& round,
                       double mean_magnitude = 0) {
  using std::tanh;
  const float* k = in.k + key * in.d;
  Sum<Scalar> dot;
  for (int64_t c = 0; c < in.d; ++c) dot.add(q[c], k[c]);
  Score<Scalar> score{round.score(dot, mean_magnitude)};
  if (in.softcap > 0) {
    const Scalar t = tanh(score.s / Scalar(in.softcap));
    score = {round.capped(Scalar(in.softcap) * t), round.cap_slope(t)};
  }
  if (in.slope) {
    const double term = -*in.slope * static_cast<double>(std::abs(in.position - key));
    score.s = round.term(score.s + Scalar(term), term);
  }
  if (in.bias != nullptr) score.s = round.term(score.s + Scalar(in.bias[key]), in.bias[key]);
  return score;
}

/// One row of attention as its definition reads. With Scalar = double it is the oracle; with Bound it also says how far
/// a kernel may be from it, given where the kernel rounds. A row without a key that has weight gives o = 0 and lse =
/// -inf, or the sink.
template <class Scalar>
OutputRow<Scalar> attention_row(const RowInputs& in, const Rounding<Scalar>& round) {
  using std::exp, std::log;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::vector<int64_t>& keys = *in.keys;

  const std::vector<Scalar> q = scaled_query(in, round);
  double mean_magnitude = 0;
  for (int64_t c = 0; in.k_mean != nullptr && c < in.d; ++c)
    mean_magnitude += std::abs(value_of(q[c]) * static_cast<double>(in.k_mean[c]));

  std::vector<Scalar> scores;
  scores.reserve(keys.size());
  double m = in.sink.value_or(-kInfinity), largest = in.sink && std::isfinite(*in.sink) ? std::abs(*in.sink) : 0;
  bool any_weight = in.sink && *in.sink != -kInfinity;
  for (const int64_t key : keys) {
    const Scalar s = score_of(in, q, key, round, mean_magnitude).s;
    const double x = value_of(s);
    if (x > m) m = x;
    if (std::isfinite(x)) largest = std::max(largest, std::abs(x));
    any_weight |= x != -kInfinity;  // NaN has weight: it reaches the output
    scores.push_back(s);
  }

  OutputRow<Scalar> row{std::vector<Scalar>(static_cast<size_t>(in.dv), Scalar(0)), Scalar(-kInfinity)};
  if (!any_weight) return row;

  Sum<Scalar> sum;
  std::vector<Sum<Scalar>> out(static_cast<size_t>(in.dv));
  for (size_t i = 0; i < keys.size(); ++i) {
    const float* v = in.v + keys[i] * in.dv;
    const Scalar p = round.exponential(exp(round.shifted(scores[i], m, largest) - Scalar(m)), m);
    sum.add(p, 1);
    const Scalar weight = round.probability(p);
    for (int64_t c = 0; c < in.dv; ++c) out[c].add(weight, v[c]);
  }
  if (in.sink) sum.add(round.exponential(exp(round.shifted(Scalar(*in.sink), m, largest) - Scalar(m)), m), 1);
  const Scalar total = round.row_sum(sum);
  for (int64_t c = 0; c < in.dv; ++c) row.o[c] = round.output(round.value_sum(out[c]) / total);
  row.lse = round.log_sum(Scalar(m) + log(total), m);
  return row;
}

}  // namespace attend
