// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "ops/argument.hpp"
#include "ops/mask/terms.hpp"

namespace attend {

// Text: `documents:0,100,300`; `documents:every:LENGTH` cuts the sk keys into equal documents, the last one shorter,
// and `documents:random:COUNT:SEED` at random places.

Status check_term(const Documents& term, const AttentionFwd&) {
  constexpr auto kField = "mask.documents.offsets";
  if (term.offsets.empty()) return wrong_argument(kField, "empty", "at least the number 0");
  if (term.offsets[0] != 0) return wrong_argument(kField, term.offsets[0], "0 at the start");
  for (int64_t i = 1; i < term.offsets.size(); ++i) {
    if (term.offsets[i] < term.offsets[i - 1]) {
      return wrong_argument(kField, print_number(term.offsets[i]) + " after " + print_number(term.offsets[i - 1]),
                            "never falling numbers");
    }
  }
  if (term.offsets[term.offsets.size() - 1] > kMaxExtent) {
    return wrong_argument(kField, term.offsets[term.offsets.size() - 1], "at most 2147483647");
  }
  return {};
}

std::string print_term(const Documents& term) { return ":" + print_list(term.offsets); }

void read_term(TermReader& in, const AttentionFwd& problem, Documents& term) {
  std::vector<int64_t> offsets;
  std::string recipe;
  if (in.take("every")) {
    const int64_t length = in.integer("length");
    if (length < 1) in.fail("length", print_number(length), "1 or more");
    if (!in.status().ok() || !in.expand(problem.sk / length + 2)) return;
    for (int64_t at = 0; at < problem.sk; at += length < problem.sk - at ? length : problem.sk - at)
      offsets.push_back(at);
    offsets.push_back(problem.sk);
    recipe = "every:" + print_number(length);
  } else if (in.take("random")) {
    const int64_t count = in.integer("count");
    if (count < 1) in.fail("count", print_number(count), "1 or more");
    const uint64_t seed = RandomRecipe::read_seed(in).seed;
    if (!in.expand(count)) return;
    Rng rng(seed);
    for (int64_t i = 1; i < count; ++i) offsets.push_back(rng.below(problem.sk + 1));
    offsets.push_back(0);
    offsets.push_back(problem.sk);
    std::sort(offsets.begin(), offsets.end());
    recipe = "random:" + print_number(count) + ":" + print_number(seed);
  } else {
    offsets = in.integers("offsets");
  }
  term.offsets = {std::move(offsets), std::move(recipe)};
}

std::string draw_term(const Documents&, Rng& rng, const AttentionFwd& problem) {
  switch (rng.below(3)) {
    case 0: return ":every:" + print_number(1 + rng.below(problem.sk + 2));
    case 1: return ":random:" + print_number(1 + rng.below(5)) + ":" + print_number(rng.next());
    default: break;
  }
  std::vector<int64_t> offsets{0};  // may end before the last key, and behind it
  for (int64_t i = rng.below(4); i > 0; --i) offsets.push_back(offsets.back() + rng.below(problem.sk + 2));
  return print_term(Documents{std::move(offsets)});
}

}  // namespace attend
