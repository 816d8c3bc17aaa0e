// SPDX-License-Identifier: Apache-2.0
#include "ops/argument.hpp"
#include "ops/mask/terms.hpp"

namespace attend {

// Text: `prefix_lm:40` or `prefix_lm:40,7,0`, one for each sequence; `prefix_lm:random:SEED` draws one for each.

Status check_term(const PrefixLm& term, const AttentionFwd& problem) {
  if (term.prefix.size() != 1 && term.prefix.size() != problem.b) {
    return wrong_argument("mask.prefix_lm.prefix", print_number(term.prefix.size()) + " numbers",
                          "1 or b = " + print_number(problem.b));
  }
  for (const int64_t n : term.prefix) {
    if (n < 0 || n > kMaxExtent) return wrong_argument("mask.prefix_lm.prefix", n, "0 to 2147483647");
  }
  return {};
}

std::string print_term(const PrefixLm& term) { return ":" + print_list(term.prefix); }

void read_term(TermReader& in, const AttentionFwd& problem, PrefixLm& term) {
  if (!in.take("random")) {
    term.prefix = in.integers("prefix");
    return;
  }
  const uint64_t seed = RandomRecipe::read_seed(in).seed;
  if (!in.expand(problem.b)) return;
  Rng rng(seed);
  std::vector<int64_t> prefix(static_cast<size_t>(problem.b));
  for (int64_t& n : prefix) n = rng.below(problem.sk + 1);
  term.prefix = {std::move(prefix), "random:" + print_number(seed)};
}

std::string draw_term(const PrefixLm&, Rng& rng, const AttentionFwd& problem) {
  if (rng.below(2) == 0) return ":random:" + print_number(rng.next());
  std::vector<int64_t> prefix(static_cast<size_t>(rng.below(2) == 0 ? problem.b : 1));
  for (int64_t& n : prefix) n = rng.below(problem.sk + 3);
  return print_term(PrefixLm{std::move(prefix)});
}

}  // namespace attend
