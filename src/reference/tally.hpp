// SPDX-License-Identifier: Apache-2.0
// How numbers of a kernel are held against those of the oracle; the rules are in docs/numerics.md.
#pragma once
#include <attend/reference.hpp>
#include <cmath>
#include <limits>
#include <string>

#include "base/element.hpp"
#include "base/text.hpp"

namespace attend {

/// Largest finite number of a type: the one before infinity.
inline double largest_finite(DType type) {
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
inline double error_ratio(double found, double expected, double bound, double largest) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
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

/// Gathers a Comparison, number by number.
class Tally {
 public:
  /// `where` is called for the first failure only and names the number.
  template <class Where>
  void note(double ratio, double found, double expected, double bound, Where&& where) {
    result_.max_ratio = std::fmax(result_.max_ratio, ratio);
    if (ratio <= 1 || !result_.first_failure.empty()) return;
    result_.first_failure = where() + " is " + print_number(found) + ", expected " + print_number(expected) +
                            " within " + print_number(bound);
  }
  /// For the largest and the RMS error.
  void error(double found, double expected) {
    const double error = std::abs(found - expected);
    if (!std::isfinite(error)) return;
    result_.max_error = std::fmax(result_.max_error, error);
    squares_ += error * error;
    values_ += expected * expected;
    ++count_;
  }
  void row() { ++result_.rows; }
  Comparison finish() {
    if (count_ > 0) {
      result_.rms_error = std::sqrt(squares_ / static_cast<double>(count_));
      result_.rms_value = std::sqrt(values_ / static_cast<double>(count_));
    }
    return std::move(result_);
  }

 private:
  Comparison result_;
  double squares_ = 0, values_ = 0;
  int64_t count_ = 0;
};

}  // namespace attend
