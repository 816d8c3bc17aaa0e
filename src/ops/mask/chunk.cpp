// SPDX-License-Identifier: Apache-2.0
#include "ops/argument.hpp"
#include "ops/mask/terms.hpp"

namespace attend {

Status check_term(const Chunk& term, const AttentionFwd&) {
  if (term.size < 1 || term.size > kMaxExtent) return wrong_argument("mask.chunk.size", term.size, "1 to 2147483647");
  return {};
}

std::string print_term(const Chunk& term) { return ":" + print_number(term.size); }

void read_term(TermReader& in, const AttentionFwd&, Chunk& term) { term.size = in.integer("size"); }

std::string draw_term(const Chunk&, Rng& rng, const AttentionFwd& problem) {
  return print_term(Chunk{1 + rng.below(problem.sk + 2)});
}

}  // namespace attend
