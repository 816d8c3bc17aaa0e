// SPDX-License-Identifier: Apache-2.0
#include <limits>
#include <optional>
#include <set>

#include "base/rng.hpp"
#include "reference/head.hpp"
#include "reference/tally.hpp"

namespace attend {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// One row of the problem; sorts so that rows of one key head come together.
struct RowIndex {
  int64_t n = 0, head = 0, row = 0;
  auto operator<=>(const RowIndex&) const = default;
};

std::vector<RowIndex> all_rows(const AttentionFwd& p) {
  std::vector<RowIndex> rows;
  for (int64_t n = 0; n < p.b; ++n) {
    for (int64_t head = 0; head < p.hq; ++head) {
      for (int64_t row = 0; row < p.query_length(n); ++row) rows.push_back({n, head, row});
    }
  }
  return rows;
}

std::vector<RowIndex> sampled_rows(const AttentionFwd& p, int64_t sample, uint64_t seed) {
  const int64_t total = p.hq * (p.cu_q.empty() ? p.b * p.sq : p.cu_q[p.b]);
  if (sample < 0 || sample >= total) return all_rows(p);
  Rng rng(seed);
  std::set<RowIndex> chosen;
  for (int64_t n = 0; n < p.b; ++n) {
    const int64_t length = p.query_length(n), head = rng.below(p.hq);
    if (length == 0) continue;
    chosen.insert({n, head, 0});
    chosen.insert({n, head, length - 1});
  }
  while (static_cast<int64_t>(chosen.size()) < sample) {
    int64_t token = rng.below(total / p.hq), n = 0;
    const int64_t head = rng.below(p.hq);
    while (token >= p.query_length(n)) token -= p.query_length(n++);
    chosen.insert({n, head, token});
  }
  return {chosen.begin(), chosen.end()};
}

class Comparer {
 public:
  Comparer(const AttentionFwd& problem, const AttentionFwdArgs& args) : p_(problem), args_(args) {}

  void row(const RowIndex& at, const ReferenceRow& expected) {
    std::vector<float> found(static_cast<size_t>(p_.dv));
    widen(p_.o_type, static_cast<const char*>(args_.o) + p_.o_offset(at.n, at.row, at.head) * dtype_bytes(p_.o_type),
          p_.dv, found.data());
    for (int64_t c = 0; c < p_.dv; ++c) {
      const double ratio = error_ratio(found[c], expected.o[c], expected.o_bound[c], largest_finite(p_.o_type));
      tally_.note(ratio, found[c], expected.o[c], expected.o_bound[c],
                  [&] { return "o" + place(at) + ", column " + print_number(c); });
      tally_.error(found[c], expected.o[c]);
    }
    if (p_.lse) {
      const float lse = args_.lse[p_.lse_offset(at.n, at.row, at.head)];
      // No key at all: -inf exactly. Everything else follows the rule of o.
      const bool exact = expected.lse == -kInfinity;
      const double ratio = exact
                               ? (lse == expected.lse ? 0 : kInfinity)
                               : error_ratio(lse, expected.lse, expected.lse_bound, std::numeric_limits<float>::max());
      tally_.note(ratio, lse, expected.lse, expected.lse_bound, [&] { return "lse" + place(at); });
    }
    tally_.row();
  }

  Comparison finish() { return tally_.finish(); }

 private:
  static std::string place(const RowIndex& at) {
    return " at batch " + print_number(at.n) + ", head " + print_number(at.head) + ", row " + print_number(at.row);
  }

  const AttentionFwd& p_;
  const AttentionFwdArgs& args_;
  Tally tally_;
};

}  // namespace

Comparison compare_with_reference(const AttentionFwd& problem, const AttentionFwdArgs& args, Arithmetic arithmetic,
                                  int64_t sample, uint64_t seed) {
  Comparer comparer(problem, args);
  std::optional<ReferenceHead> keys;
  RowIndex loaded{-1, -1, -1};
  for (const RowIndex& at : sampled_rows(problem, sample, seed)) {
    const int64_t key_head = at.head / problem.group();
    if (loaded.n != at.n || loaded.head != key_head) {
      keys.emplace(problem, args, at.n, key_head);
      loaded = {at.n, key_head, 0};
    }
    comparer.row(at, keys->row(arithmetic, at.head, at.row));
  }
  return comparer.finish();
}

}  // namespace attend
