// SPDX-License-Identifier: Apache-2.0
// The gradients of one key head of one sequence: loops over its query rows and their keys.
#pragma once
#include <attend/attention_bwd.hpp>
#include <cstdint>
#include <vector>

#include "base/element.hpp"
#include "reference/gradient.hpp"
#include "reference/head.hpp"

namespace attend {

/// Arguments of the forward pass whose gradient is asked.
inline AttentionFwdArgs forward_args(const AttentionBwdArgs& args) {
  AttentionFwdArgs forward;
  forward.q = args.q;
  forward.k = args.k;
  forward.v = args.v;
  forward.alibi_slopes = args.alibi_slopes;
  forward.bias = args.bias;
  forward.sink = args.sink;
  return forward;
}

/// Numbers that were added up, and how many.
template <class Scalar>
struct Gathered {
  Sum<Scalar> sum;
  int64_t count = 0;
  void add(Scalar a, double b) {
    sum.add(a, b);
    ++count;
  }
};

/// O and log-sum-exp of a row, as the backward pass is given them.
template <class Scalar>
struct ForwardRow {
  std::vector<Scalar> o;
  Scalar lse = 0;
};

template <class Scalar>
class GradientHead {
 public:
  /// Which of the gradients are wanted; the others cost no time.
  struct Wanted {
    std::vector<char> rows;  ///< [group][sq] of dQ
    std::vector<char> keys;  ///< [sk] of dK and dV
    bool bias = false, sink = false;

    static Wanted all(const AttentionBwd& problem, int64_t n) {
      return {std::vector<char>(static_cast<size_t>(problem.forward.group() * problem.forward.query_length(n)), 1),
              std::vector<char>(static_cast<size_t>(problem.forward.key_length(n)), 1), problem.dbias, problem.dsink};
    }
  };

  std::vector<Gathered<Scalar>> dq;  ///< [group][sq][d], to be multiplied by the scale
  std::vector<Gathered<Scalar>> dk;  ///< [sk][d], likewise
  std::vector<Gathered<Scalar>> dv;  ///< [sk][dv]

  /// `forward_row(head, row)` has the row's O and log-sum-exp. `bias` ([as the bias]) and `sink` ([hq]) are added to,
  /// where wanted.
  template <class ForwardRowOf>
  GradientHead(const AttentionBwd& problem, const AttentionBwdArgs& args, int64_t n, int64_t key_head,
               const GradientRounding<Scalar>& round, const Wanted& wanted, ForwardRowOf&& forward_row,
               std::vector<Gathered<Scalar>>* bias, std::vector<Gathered<Scalar>>* sink) {
    const AttentionFwd& p = problem.forward;
    const int64_t rows = p.query_length(n), keys = p.key_length(n);
    dq.resize(static_cast<size_t>(p.group() * rows * p.d));
    dk.resize(static_cast<size_t>(keys * p.d));
    dv.resize(static_cast<size_t>(keys * p.dv));
    const AttentionFwdArgs fwd_args = forward_args(args);
    const ReferenceHead head_inputs(p, fwd_args, n, key_head);
    std::vector<float> dout(static_cast<size_t>(p.dv));
    for (int64_t g = 0; g < p.group(); ++g) {
      const int64_t head = key_head * p.group() + g;
      for (int64_t r = 0; r < rows; ++r) {
        const ForwardRow<Scalar> forward = forward_row(head, r);
        if (value_of(forward.lse) == -std::numeric_limits<double>::infinity()) continue;
        const auto query = head_inputs.query(head, r);
        widen(problem.do_type,
              static_cast<const char*>(args.dout) + problem.do_offset(n, r, head) * dtype_bytes(problem.do_type), p.dv,
              dout.data());
        const GradientRow<Scalar> row(query.inputs(), dout.data(), forward.o, forward.lse, round);
        if (wanted.sink) (*sink)[static_cast<size_t>(head)].add(sink_gradient(row), 1);
        const bool row_wanted = wanted.rows[static_cast<size_t>(g * rows + r)] != 0;
        for (const int64_t key : query.keys) {
          const bool key_wanted = wanted.keys[static_cast<size_t>(key)] != 0;
          if (!row_wanted && !key_wanted && !wanted.bias) continue;
          const GradientPair<Scalar> pair = gradient_pair(row, key, round);
          const float* k = row.in.k + key * p.d;
          for (int64_t c = 0; c < p.d && row_wanted; ++c)
            dq[static_cast<size_t>((g * rows + r) * p.d + c)].add(pair.dz, k[c]);
          for (int64_t c = 0; c < p.d && key_wanted; ++c)
            dk[static_cast<size_t>(key * p.d + c)].add(pair.dz, query.q[static_cast<size_t>(c)]);
          for (int64_t c = 0; c < p.dv && key_wanted; ++c)
            dv[static_cast<size_t>(key * p.dv + c)].add(pair.p, dout[static_cast<size_t>(c)]);
          if (wanted.bias) (*bias)[static_cast<size_t>(p.bias_offset(n, head, r) + key)].add(pair.ds, 1);
        }
      }
    }
  }
};

}  // namespace attend
