// SPDX-License-Identifier: Apache-2.0
// The rows of one tensor of a Problem in memory, and whether a run wrote all of them and nothing else.
#pragma once
#include <algorithm>
#include <attend/attend.hpp>
#include <cstdint>
#include <string>

#include "element.hpp"
#include "guarded_buffer.hpp"

namespace attend::verify {

struct TensorRows {
  const AttentionFwd* problem = nullptr;
  Strides strides;
  bool keys = false;  ///< rows are keys and heads key heads; otherwise queries
  int64_t columns = 0;

  int64_t heads() const { return keys ? problem->hk : problem->hq; }
  int64_t length(int64_t n) const { return keys ? problem->key_length(n) : problem->query_length(n); }
  int64_t offset(int64_t n, int64_t row, int64_t head) const {
    const Offsets& cu = keys ? problem->cu_k : problem->cu_q;
    return (cu.empty() ? n * strides.batch : cu[n] * strides.row) + row * strides.row + head * strides.head;
  }
  /// Elements from the start to the end of the farthest row.
  int64_t extent() const {
    int64_t end = 0;
    for (int64_t n = 0; n < problem->b; ++n) {
      if (length(n) > 0) end = std::max(end, offset(n, length(n) - 1, heads() - 1) + columns);
    }
    return end;
  }
  template <class F>  // f(n, head, row, offset)
  void for_each(F f) const {
    for (int64_t n = 0; n < problem->b; ++n) {
      for (int64_t head = 0; head < heads(); ++head) {
        for (int64_t row = 0; row < length(n); ++row) f(n, head, row, offset(n, row, head));
      }
    }
  }
};

/// Whether gaps stay zero: the buffer stands for a sparse region, of which only the rows are touched.
bool is_sparse(const GuardedBuffer& buffer);
/// Fills the buffer and the lead before it.
void fill_buffer(const GuardedBuffer& buffer, DType type, uint32_t bits);
/// Fills an output with its poison, gaps and the lead before it included.
void poison_rows(const GuardedBuffer& buffer, DType type, const TensorRows& rows);
/// Empty, or the first slot of a row that still holds the poison, or the first one around and between the rows that
/// does not.
std::string row_fault(const GuardedBuffer& buffer, DType type, const TensorRows& rows, const std::string& name);
/// Empty, or the first f32 that still holds the poison.
std::string list_fault(const GuardedBuffer& buffer, const std::string& name);

}  // namespace attend::verify
