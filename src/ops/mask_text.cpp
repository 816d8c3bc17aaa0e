// SPDX-License-Identifier: Apache-2.0
#include "ops/argument.hpp"
#include "ops/mask/terms.hpp"

namespace attend {
namespace {

/// One term, its name first. Nothing when the name is no row of masks.def.
Result<Mask> parse_one(std::string_view text, const AttentionFwd& problem, int64_t& budget) {
  const size_t colon = text.find(':');
  const bool has_fields = colon != std::string_view::npos;
  const std::string_view fields = has_fields ? text.substr(colon + 1) : std::string_view();
  const std::string_view kind = text.substr(0, colon);
  std::string names = "none";
#define ATTEND_MASK(Type, name, doc)                  \
  if (kind == #name) {                                \
    TermReader in(#name, fields, has_fields, budget); \
    Type term;                                        \
    read_term(in, problem, term);                     \
    in.finish();                                      \
    if (!in.status().ok()) return in.status();        \
    return Mask(std::move(term));                     \
  }                                                   \
  names += ", " #name;
#include <attend/mask/masks.def>
#undef ATTEND_MASK
  return wrong_argument("mask", in_quotes(kind), "one of " + names);
}

}  // namespace

std::string print_mask(const Mask& mask) {
  if (mask.none()) return "none";
  std::string out;
  for (const MaskTerm& term : mask.terms()) {
    if (!out.empty()) out += '&';
#define ATTEND_MASK(Type, name, doc) \
  if (const Type* each = std::get_if<Type>(&term)) out += #name + print_term(*each);
#include <attend/mask/masks.def>
#undef ATTEND_MASK
  }
  return out;
}

Result<Mask> parse_mask(std::string_view text, const AttentionFwd& problem) {
  Mask mask;
  if (text == "none") return mask;
  int64_t budget = kMaxMaskExpansion;
  for (bool more = true; more;) {
    more = text.find('&') != std::string_view::npos;
    Result<Mask> term = parse_one(cut(text, '&'), problem, budget);
    if (!term.ok()) return term.status();
    mask = std::move(mask) & *term;
  }
  return mask;
}

}  // namespace attend
