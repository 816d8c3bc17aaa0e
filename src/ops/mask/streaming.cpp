// SPDX-License-Identifier: Apache-2.0
#include "ops/argument.hpp"
#include "ops/mask/bits.hpp"
#include "ops/mask/terms.hpp"

namespace attend {

TileClass Streaming::classify(const Frame& frame, Range q, Range k) const {
  if (q.empty() || k.empty()) return TileClass::skip;
  // The first query's hole lies in those of all others, and theirs in the last one's.
  if (intersect(k, hole(frame, q.begin)) == k) return TileClass::skip;
  return intersect(k, hole(frame, q.end - 1)).empty() ? TileClass::full : TileClass::partial;
}

bool Streaming::keep(const Frame& frame, int64_t q, int64_t k) const { return !hole(frame, q).contains(k); }

void Streaming::restrict_row(const Frame& frame, int64_t q, Range k, uint64_t* bits) const {
  const Range hidden = intersect(hole(frame, q), k);
  clear_bits(bits, hidden.begin - k.begin, hidden.end - k.begin);
}

Range Streaming::key_span(const Frame& frame, Range q) const {
  const Range hidden = hole(frame, q.begin);
  return {first == 0 && !hidden.empty() ? hidden.end : 0, frame.sk};
}

// Text: `streaming:4:1020`, the first keys and those before the query's own.

Status check_term(const Streaming& term, const AttentionFwd&) {
  constexpr auto kExpected = "0 to 2147483647";
  if (term.first < 0 || term.first > kMaxExtent) return wrong_argument("mask.streaming.first", term.first, kExpected);
  if (term.left < 0 || term.left > kMaxExtent) return wrong_argument("mask.streaming.left", term.left, kExpected);
  return {};
}

std::string print_term(const Streaming& term) { return ":" + print_number(term.first) + ":" + print_number(term.left); }

void read_term(TermReader& in, const AttentionFwd&, Streaming& term) {
  term.first = in.integer("first");
  term.left = in.integer("left");
}

std::string draw_term(const Streaming&, Rng& rng, const AttentionFwd& problem) {
  const int64_t first = rng.below(problem.sk + 2), left = rng.below(problem.sk + 2);
  return print_term(Streaming{first, left});
}

}  // namespace attend
