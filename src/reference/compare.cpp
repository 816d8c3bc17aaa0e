// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include "base/element.hpp"
#include "base/rng.hpp"
#include "base/text.hpp"
#include "reference/head.hpp"

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

/// Largest finite number of a type: the one before infinity.
double largest_finite(DType type) {
  double largest = 0;
  visit_dtype(type, [&]<class E>() {
    if constexpr (std::is_same_v<typename E::Storage, float>) {
      largest = std::numeric_limits<float>::max();
    } else {
      largest = E::widen(static_cast<uint16_t>(E::narrow(std::numeric_limits<float>::infinity()) - 1));
    }
  });
  return largest;
}

/// Error over bound. 0 where nothing can be asked, infinite where only NaN, infinity or a finite number would do.
double ratio_of(double found, double expected, double bound, double largest) {
  if (std::isnan(expected)) return std::isnan(found) ? 0 : kInfinity;
  if (std::isinf(expected)) return found == expected ? 0 : std::isnan(found) && bound == kInfinity ? 0 : kInfinity;
  if (bound == kInfinity) return 0;
  if (std::isinf(found)) {
    const bool overflows = std::abs(expected) + bound >= largest && std::signbit(found) == std::signbit(expected);
    return overflows ? 0 : kInfinity;
  }
  const double error = std::abs(found - expected);
  return error == 0 ? 0 : error <= kInfinity ? error / bound : kInfinity;
}

class Comparer {
 public:
  Comparer(const AttentionFwd& problem, const AttentionFwdArgs& args) : p_(problem), args_(args) {}

  void row(const RowIndex& at, const ReferenceRow& expected) {
    std::vector<float> found(static_cast<size_t>(p_.dv));
    widen(p_.o_type, static_cast<const char*>(args_.o) + p_.o_offset(at.n, at.row, at.head) * dtype_bytes(p_.o_type),
          p_.dv, found.data());
    for (int64_t c = 0; c < p_.dv; ++c) {
      const double value = expected.o[c], error = std::abs(found[c] - value);
      note(ratio_of(found[c], value, expected.o_bound[c], largest_finite(p_.o_type)), at, c, found[c], value,
           expected.o_bound[c]);
      if (!std::isfinite(error)) continue;
      result_.max_error = std::max(result_.max_error, error);
      squares_ += error * error;
      values_ += value * value;
      ++count_;
    }
    if (p_.lse) {
      const float lse = args_.lse[p_.lse_offset(at.n, at.row, at.head)];
      // No key at all: -inf exactly. Everything else follows the rule of o.
      const bool exact = expected.lse == -kInfinity;
      note(exact ? (lse == expected.lse ? 0 : kInfinity)
                 : ratio_of(lse, expected.lse, expected.lse_bound, std::numeric_limits<float>::max()),
           at, std::nullopt, lse, expected.lse, expected.lse_bound);
    }
    ++result_.rows;
  }

  Comparison finish() {
    if (count_ > 0) {
      result_.rms_error = std::sqrt(squares_ / static_cast<double>(count_));
      result_.rms_value = std::sqrt(values_ / static_cast<double>(count_));
    }
    return std::move(result_);
  }

 private:
  void note(double ratio, const RowIndex& at, std::optional<int64_t> column, double found, double expected,
            double bound) {
    result_.max_ratio = std::max(result_.max_ratio, ratio);
    if (ratio <= 1 || !result_.first_failure.empty()) return;
    result_.first_failure = std::string(column ? "o" : "lse") + " at batch " + print_number(at.n) + ", head " +
                            print_number(at.head) + ", row " + print_number(at.row) +
                            (column ? ", column " + print_number(*column) : "") + " is " + print_number(found) +
                            ", expected " + print_number(expected) + " within " + print_number(bound);
  }

  const AttentionFwd& p_;
  const AttentionFwdArgs& args_;
  Comparison result_;
  double squares_ = 0, values_ = 0;
  int64_t count_ = 0;
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
