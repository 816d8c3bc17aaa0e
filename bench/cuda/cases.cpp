// SPDX-License-Identifier: Apache-2.0
#include "cases.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <sstream>

namespace attend::bench::cuda {
namespace {

struct TargetRow {
  const char* group;
  int64_t from, to;
  Target::Kind kind;
  const char* against;
  double limit;
};
constexpr TargetRow kTargets[] = {
#define ATTEND_SWEEP(rank, group, tokens, from, to, words)
#define ATTEND_CASE(rank, group, words)
#define ATTEND_TARGET(group, from, to, kind, against, limit) {group, from, to, Target::Kind::kind, against, limit},
#include "cases.def"
#undef ATTEND_SWEEP
#undef ATTEND_CASE
#undef ATTEND_TARGET
};

/// tokens < 0: the words say the lengths themselves.
struct Row {
  int rank;
  const char* group;
  int64_t tokens, from, to;
  const char* words;
};
constexpr Row kRows[] = {
#define ATTEND_SWEEP(rank, group, tokens, from, to, words) {rank, group, tokens, from, to, words},
#define ATTEND_CASE(rank, group, words) {rank, group, -1, 0, 0, words},
#define ATTEND_TARGET(group, from, to, kind, against, limit)
#include "cases.def"
#undef ATTEND_SWEEP
#undef ATTEND_CASE
#undef ATTEND_TARGET
};

void add(std::vector<Case>& cases, const Row& row, int64_t length, std::string problem) {
  Case line{row.rank, row.group, std::move(problem), {}};
  for (const TargetRow& target : kTargets)
    if (line.group.starts_with(target.group) && length >= target.from && length <= target.to)
      line.targets.push_back({target.kind, target.against, target.limit});
  cases.push_back(std::move(line));
}

int64_t shorter(int64_t n) { return n == 0 ? 0 : 16 + n / 128; }

/// Every number of the text, changed.
template <class F>
std::string with_numbers(const std::string& text, F&& change) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (std::isdigit(static_cast<unsigned char>(text[i])) == 0) {
      out += text[i++];
      continue;
    }
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + text.size(), number);
    i = static_cast<size_t>(end - text.data());
    out += std::to_string(change(number));
  }
  return out;
}

}  // namespace

std::string Target::what() const {
  switch (kind) {
    case Kind::over: return "rate over " + against;
    case Kind::share: return "share of " + against;
    case Kind::tflops: return "TFLOP/s";
    case Kind::order: return "rate over " + against;
  }
  return "?";
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const Row& row : kRows) {
    if (row.tokens < 0) {
      add(cases, row, 0, std::string("attention_fwd ") + row.words);
      continue;
    }
    // The longest first: what they show matters most.
    for (int64_t n = row.to; n >= row.from; n /= 2)
      add(cases, row, n,
          fmt::format("attention_fwd b={} sq={} sk={} {}", row.tokens > 0 ? std::max<int64_t>(row.tokens / n, 1) : 1, n,
                      n, row.words));
  }
  std::stable_sort(cases.begin(), cases.end(), [](const Case& a, const Case& b) { return a.rank < b.rank; });
  return cases;
}

std::string shortened(const std::string& problem) {
  std::istringstream words(problem);
  std::string word, out;
  std::map<std::string, int64_t> heads;
  const bool ragged = problem.find("layout=thd") != std::string::npos;
  for (std::istringstream first(problem); first >> word;)
    if (word.starts_with("hq=") || word.starts_with("hk=")) heads[word.substr(0, 2)] = std::stoll(word.substr(3));
  while (words >> word) {
    const std::string key = word.substr(0, word.find('='));
    if (key == "sq" || key == "sk" || key == "mask")
      word = with_numbers(word, shorter);
    else if (key == "b" && !ragged)
      word = with_numbers(word, [](int64_t n) { return std::min<int64_t>(n, 2); });
    else if (key == "hk")
      word = heads["hq"] > heads["hk"] ? "hk=1" : "hk=2";
    else if (key == "hq")
      word = "hq=2";
    out += (out.empty() ? "" : " ") + word;
  }
  return out;
}

}  // namespace attend::bench::cuda
