// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attention.hpp>
#include <attend/mask.hpp>
#include <string>

#include "ops/mask/term_reader.hpp"

// What every row of masks.def says about itself, in one file each: src/ops/mask/<name>.cpp. A row without them does not
// link.
namespace attend {

#define ATTEND_MASK(Type, name, doc)                                                                             \
  /* ok, or invalid_argument `attention_fwd: mask.<name>.<field> is <found>, expected <what>`. The sizes of */   \
  /* the Problem are already checked. */                                                                         \
  Status check_term(const Type& term, const AttentionFwd& problem);                                              \
  /* What follows the name in the text form: `:512:0`. */                                                        \
  std::string print_term(const Type& term);                                                                      \
  /* Reads it back; errors stay in the reader. Sizes and lengths of the Problem are already set and checked. */  \
  void read_term(TermReader& in, const AttentionFwd& problem, Type& term);                                       \
  /* A random term in the text form of print_term, at the edges of the Problem's sizes: what tests draw from. */ \
  std::string draw_term(const Type&, Rng& rng, const AttentionFwd& problem);
#include <attend/mask/masks.def>
#undef ATTEND_MASK

/// The text form, terms joined by `&`; `none` without terms.
std::string print_mask(const Mask& mask);
/// Error: invalid_argument naming mask, field, found and expected.
Result<Mask> parse_mask(std::string_view text, const AttentionFwd& problem);

/// Whether sequences of the same lengths may see different keys.
bool differs_by_batch(const Mask& mask);
/// Pairs that the mask keeps in one sequence and head, exactly. Time O(rows) for interval masks, O(rows * keys / 64)
/// for others.
int64_t count_pairs(const Mask& mask, const Frame& frame);

}  // namespace attend
