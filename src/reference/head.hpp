// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/reference.hpp>
#include <cstdint>
#include <vector>

#include "reference/attention.hpp"

namespace attend {

/// Keys and values of one sequence and key head, widened once for all rows that look at them.
class ReferenceHead {
 public:
  ReferenceHead(const AttentionFwd& problem, const AttentionFwdArgs& args, int64_t n, int64_t key_head);
  /// Row `row` of query head `head`, which must belong to this key head.
  ReferenceRow row(Arithmetic arithmetic, int64_t head, int64_t row) const;
  /// The same in plain double: what `row` calls the exact value.
  OutputRow<double> exact_row(int64_t head, int64_t row) const;

  /// One query row and the keys that it sees; must stay where it is once inputs() has been asked for.
  struct Query {
    std::vector<float> q;
    std::vector<int64_t> keys;
    RowInputs rest;  ///< without the two above
    RowInputs inputs() const {
      RowInputs all = rest;
      all.q = q.data();
      all.keys = &keys;
      return all;
    }
  };
  Query query(int64_t head, int64_t row) const;

 private:
  const AttentionFwd& problem_;
  const AttentionFwdArgs& args_;
  int64_t n_;
  const float* mean_;  ///< of the key head, or null
  std::vector<float> k_, v_;
};

}  // namespace attend
