// SPDX-License-Identifier: Apache-2.0
#include "ops/argument.hpp"
#include "ops/mask/terms.hpp"

namespace attend {

// Text: `padding:100,90`, the ends, or `padding:10..100,0..90`, one for each sequence; `padding:random:SEED` draws the
// ends.

Status check_term(const Padding& term, const AttentionFwd& problem) {
  const std::string per_sequence = "b = " + print_number(problem.b) + " numbers";
  if (term.end.size() != problem.b)
    return wrong_argument("mask.padding.end", print_number(term.end.size()) + " numbers", per_sequence);
  if (!term.begin.empty() && term.begin.size() != problem.b) {
    return wrong_argument("mask.padding.begin", print_number(term.begin.size()) + " numbers",
                          per_sequence + " or none");
  }
  for (int64_t n = 0; n < problem.b; ++n) {
    const int64_t begin = term.begin.empty() ? 0 : term.begin[n];
    if (begin < 0) return wrong_argument("mask.padding.begin", begin, "0 or more");
    if (term.end[n] < begin || term.end[n] > problem.sk) {
      return wrong_argument("mask.padding.end", term.end[n],
                            "begin = " + print_number(begin) + " to sk = " + print_number(problem.sk));
    }
  }
  return {};
}

std::string print_term(const Padding& term) {
  if (term.begin.empty()) return ":" + print_list(term.end);
  std::string out = ":";
  for (int64_t n = 0; n < term.end.size(); ++n) {
    if (n > 0) out += ',';
    out += print_number(term.begin[n]) + ".." + print_number(term.end[n]);
  }
  return out;
}

void read_term(TermReader& in, const AttentionFwd& problem, Padding& term) {
  if (in.take("random")) {
    const uint64_t seed = RandomRecipe::read_seed(in).seed;
    if (!in.expand(problem.b)) return;
    Rng rng(seed);
    std::vector<int64_t> end(static_cast<size_t>(problem.b));
    for (int64_t& n : end) n = rng.below(problem.sk + 1);
    term.end = {std::move(end), "random:" + print_number(seed)};
    return;
  }
  std::string_view text = in.word("end");
  const bool with_begin = text.find("..") != std::string_view::npos;
  std::vector<int64_t> begin, end;
  while (in.status().ok() && !text.empty()) {
    const std::string_view item = cut(text, ',');
    const size_t dots = item.find("..");
    if (with_begin != (dots != std::string_view::npos))
      in.fail("end", in_quotes(item), "begin..end for every sequence or for none");
    const auto first = parse_number<int64_t>(with_begin ? item.substr(0, dots) : std::string_view("0"));
    const auto last =
        parse_number<int64_t>(with_begin && dots != std::string_view::npos ? item.substr(dots + 2) : item);
    if (!first || !last) in.fail("end", in_quotes(item), "an integer or begin..end");
    if (with_begin) begin.push_back(first.value_or(0));
    end.push_back(last.value_or(0));
  }
  term.begin = std::move(begin);
  term.end = std::move(end);
}

std::string draw_term(const Padding&, Rng& rng, const AttentionFwd& problem) {
  if (rng.below(3) == 0) return ":random:" + print_number(rng.next());
  const bool with_begin = rng.below(2) == 0;
  std::vector<int64_t> begin, end;
  for (int64_t n = 0; n < problem.b; ++n) {
    if (with_begin) begin.push_back(rng.below(problem.sk + 1));
    const int64_t from = with_begin ? begin.back() : 0;
    end.push_back(from + rng.below(problem.sk - from + 1));
  }
  return print_term(Padding{std::move(begin), std::move(end)});
}

}  // namespace attend
