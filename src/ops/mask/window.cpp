// SPDX-License-Identifier: Apache-2.0
#include "ops/argument.hpp"
#include "ops/mask/terms.hpp"

namespace attend {

Status check_term(const Window& term, const AttentionFwd&) {
  constexpr auto kExpected = "-1 (no limit) or more";
  if (term.left < -1) return wrong_argument("mask.window.left", term.left, kExpected);
  if (term.right < -1) return wrong_argument("mask.window.right", term.right, kExpected);
  return {};
}

std::string print_term(const Window& term) { return ":" + print_number(term.left) + ":" + print_number(term.right); }

void read_term(TermReader& in, const AttentionFwd&, Window& term) {
  term.left = in.integer("left");
  term.right = in.integer("right");
}

std::string draw_term(const Window&, Rng& rng, const AttentionFwd& problem) {
  const int64_t left = rng.below(problem.sk + 3) - 1, right = rng.below(problem.sk + 3) - 1;
  return print_term(Window{left, right});
}

}  // namespace attend
