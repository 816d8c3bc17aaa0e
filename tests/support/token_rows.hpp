// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attend.hpp>
#include <cstdint>
#include <vector>

#include "base/rng.hpp"

namespace attend::test {

/// Keys and values that a step adds to a cache: random, and of each token the same in whichever step it comes.
class TokenRows {
 public:
  explicit TokenRows(const AttentionFwd& problem)
      : k_strides_{problem.sq * problem.hk * problem.d, problem.hk * problem.d, problem.d},
        v_strides_{problem.sq * problem.hk * problem.dv, problem.hk * problem.dv, problem.dv} {
    for (int64_t n = 0; n < problem.b; ++n)
      for (int64_t token = problem.key_length(n) - problem.query_length(n); token < problem.key_length(n); ++token) {
        Rng rng(static_cast<uint64_t>(n << 32 | token));
        for (int64_t i = 0; i < problem.hk * problem.d; ++i) k_.push_back(static_cast<float>(rng.normal()));
        for (int64_t i = 0; i < problem.hk * problem.dv; ++i) v_.push_back(static_cast<float>(rng.normal()));
      }
  }

  /// Without the cache. Points into this.
  KvAppendArgs args() const {
    KvAppendArgs args;
    args.new_k = k_.data();
    args.new_v = v_.data();
    args.new_k_strides = k_strides_;
    args.new_v_strides = v_strides_;
    return args;
  }

 private:
  Strides k_strides_, v_strides_;
  std::vector<float> k_, v_;
};

}  // namespace attend::test
