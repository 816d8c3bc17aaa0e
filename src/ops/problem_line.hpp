// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <array>
#include <attend/status.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.hpp"
#include "ops/argument.hpp"

// The fields of a Problem's line of text; the grammar is docs/problem-text.md.
namespace attend {

inline constexpr std::string_view kOperation = "attention_fwd";

/// Keys of the line, in the order in which they are printed.
enum Key {
  kB,
  kHq,
  kHk,
  kSq,
  kSk,
  kD,
  kDv,
  kDtype,
  kOffsets,
  kLayout,
  kQ,
  kK,
  kV,
  kO,
  kCache,
  kPages,
  kEntry,
  kFirst,
  kKvFormat,
  kKMean,
  kKScale,
  kVScale,
  kScale,
  kSoftcap,
  kAlibi,
  kBias,
  kSink,
  kLse,
  kMask,
  kKeys
};
inline constexpr std::array<std::string_view, kKeys> kNames{"b",
                                                            "hq",
                                                            "hk",
                                                            "sq",
                                                            "sk",
                                                            "d",
                                                            "dv",
                                                            "dtype",
                                                            "offsets",
                                                            "layout",
                                                            "q_strides",
                                                            "k_strides",
                                                            "v_strides",
                                                            "o_strides",
                                                            "cache",
                                                            "pages",
                                                            "entry",
                                                            "first",
                                                            "kv_format",
                                                            "k_mean",
                                                            "k_scale_strides",
                                                            "v_scale_strides",
                                                            "scale",
                                                            "softcap",
                                                            "alibi",
                                                            "bias",
                                                            "sink",
                                                            "lse",
                                                            "mask"};

/// The values of a line by key. Reads give a default for a key that is not there and remember the first error.
class Line {
 public:
  explicit Line(std::string_view text) {
    bool first = true;
    while (!text.empty() && status_.ok()) {
      const size_t end = std::min(text.find_first_of(" \t\r\n"), text.size());
      const std::string_view word = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      if (word.empty()) continue;
      if (first) {
        if (word != kOperation) fail("operation", in_quotes(word), std::string(kOperation));
        first = false;
      } else {
        store(word);
      }
    }
    if (first) fail("operation", "missing", std::string(kOperation));
  }

  const Status& status() const { return status_; }
  void fail(std::string_view argument, std::string_view found, std::string_view expected) {
    if (status_.ok()) status_ = wrong_argument(argument, found, expected);
  }
  void fail(Status status) {
    if (status_.ok()) status_ = std::move(status);
  }

  bool has(Key key) const { return present_[key]; }
  std::string_view text(Key key) const { return values_[key]; }
  /// Whether the value is a list of lengths: `5,0,4`; a list of one is `5,` and of none `,`.
  bool is_list(Key key) const { return values_[key].find(',') != std::string_view::npos; }

  int64_t integer(Key key, int64_t otherwise) {
    if (!has(key)) return otherwise;
    const auto value = parse_number<int64_t>(values_[key]);
    if (!value) fail(kNames[key], in_quotes(values_[key]), "an integer");
    return value.value_or(otherwise);
  }

  double number(Key key) {
    const auto value = parse_number<double>(values_[key]);
    if (!value) fail(kNames[key], in_quotes(values_[key]), "a number");
    return value.value_or(0);
  }

  bool flag(Key key) {
    if (!has(key)) return false;
    if (values_[key] != "0" && values_[key] != "1") fail(kNames[key], in_quotes(values_[key]), "0 or 1");
    return values_[key] == "1";
  }

  std::vector<int64_t> integers(Key key) {
    std::vector<int64_t> values;
    std::string_view rest = values_[key];
    if (rest == ",") return values;
    while (!rest.empty() && status_.ok()) {
      const std::string_view item = cut(rest, ',');
      const auto value = parse_number<int64_t>(item);
      if (!value) fail(kNames[key], in_quotes(item), "integers joined by commas");
      values.push_back(value.value_or(0));
    }
    return values;
  }

 private:
  void store(std::string_view word) {
    const size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const auto at = std::find(kNames.begin(), kNames.end(), name);
    if (equals == std::string_view::npos) return fail("field", in_quotes(word), "key=value");
    if (at == kNames.end()) {
      std::string known;
      for (const std::string_view each : kNames) known.append(known.empty() ? "" : ", ").append(each);
      return fail("field", in_quotes(name), "one of " + known);
    }
    const size_t key = static_cast<size_t>(at - kNames.begin());
    if (present_[key]) return fail(name, "given twice", "one value");
    present_[key] = true;
    values_[key] = word.substr(equals + 1);
    if (values_[key].empty()) fail(name, "empty", "a value");
  }

  std::array<std::string_view, kKeys> values_{};
  std::array<bool, kKeys> present_{};
  Status status_;
};

}  // namespace attend
