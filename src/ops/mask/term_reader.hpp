// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/array.hpp>
#include <attend/status.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.hpp"

namespace attend {

/// Reads the fields of one mask term from left to right: `512`, `0` of `window:512:0`. Remembers the first error; after
/// it, every read gives nothing. What a recipe expands to is counted against a budget that all terms of a line share.
class TermReader {
 public:
  /// `budget` outlives the reader. `text` is what follows the mask's name and its colon; `has_fields` tells `tree` from
  /// `tree:`.
  TermReader(std::string_view mask, std::string_view text, bool has_fields, int64_t& budget)
      : mask_(mask), rest_(text), more_(has_fields), budget_(budget) {}

  bool more() const { return more_ && status_.ok(); }
  /// The next field, which must be there.
  std::string_view word(std::string_view field);
  /// Whether the next field is `text`; it is consumed then.
  bool take(std::string_view text);
  /// Whether the next field is one of several numbers or words that cannot be known before: the caller reads it.
  int64_t integer(std::string_view field);
  double number(std::string_view field);
  std::vector<int64_t> integers(std::string_view field);

  /// Whether `entries` more list entries fit the budget; records the error when not.
  bool expand(int64_t entries);
  /// Records an error unless there is one.
  void fail(std::string_view field, std::string_view found, std::string_view expected);
  const Status& status() const { return status_; }
  /// Records an error when fields are left.
  void finish();

 private:
  std::string_view mask_, rest_;
  bool more_;
  int64_t& budget_;
  Status status_;
};

/// The fields of a `random:...` recipe: a density when the list has one, then the seed.
struct RandomRecipe {
  double density = 0;
  uint64_t seed = 0;
  /// Reads `DENSITY:SEED`, the word `random` already taken.
  static RandomRecipe read(TermReader& in);
  /// Reads `SEED` alone.
  static RandomRecipe read_seed(TermReader& in);
};

/// Elements joined by commas, or the recipe that the list came from.
std::string print_list(const Array<int64_t>& list);

}  // namespace attend
