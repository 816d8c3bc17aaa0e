// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "case.hpp"
#include "record.hpp"

namespace attend::bench {

/// `attention_fwd b=1 hq=8 ...` without the operation's name, cut to `width` with an ellipsis.
std::string short_problem(const std::string& problem, size_t width);
/// `1.234 ms`, three or four digits in the unit that suits.
std::string format_seconds(double seconds);

/// The table for a person: one line per record, columns aligned, written as the records come.
class Report {
 public:
  /// The problem column is as wide as the longest line, 60 characters at most.
  explicit Report(const std::vector<Case>& cases);

  std::string header() const;
  std::string row(const Record& record) const;

 private:
  size_t width_ = 0;
};

/// Counts what came out, over all records of a run.
class Tally {
 public:
  void add(const Record& record);
  /// `bars: 31 met, 2 missed`, then a line for each missed one, for cases that were skipped or whose bars were not
  /// judged, and for failures.
  std::string summary() const;
  int met() const { return met_; }
  int missed() const { return static_cast<int>(missed_.size()); }
  int failed() const { return static_cast<int>(failed_.size()); }

 private:
  int met_ = 0, timed_ = 0;
  std::vector<std::string> missed_, skipped_, not_judged_, failed_;
};

}  // namespace attend::bench
