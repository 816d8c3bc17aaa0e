// SPDX-License-Identifier: Apache-2.0
#include "ops/mask/term_reader.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "ops/argument.hpp"

namespace attend {

std::string_view TermReader::word(std::string_view field) {
  if (!status_.ok()) return {};
  if (!more_) {
    fail(field, "missing", "one more field after ':'");
    return {};
  }
  const size_t at = rest_.find(':');
  const std::string_view head = rest_.substr(0, at);
  more_ = at != std::string_view::npos;
  rest_ = more_ ? rest_.substr(at + 1) : std::string_view();
  return head;
}

bool TermReader::take(std::string_view text) {
  if (!more() || rest_.substr(0, rest_.find(':')) != text) return false;
  word(text);
  return true;
}

int64_t TermReader::integer(std::string_view field) {
  const std::string_view text = word(field);
  if (!status_.ok()) return 0;
  const auto value = parse_number<int64_t>(text);
  if (!value) fail(field, in_quotes(text), "an integer");
  return value.value_or(0);
}

double TermReader::number(std::string_view field) {
  const std::string_view text = word(field);
  if (!status_.ok()) return 0;
  const auto value = parse_number<double>(text);
  if (!value) fail(field, in_quotes(text), "a number");
  return value.value_or(0);
}

std::vector<int64_t> TermReader::integers(std::string_view field) {
  std::string_view text = word(field);
  std::vector<int64_t> values;
  while (status_.ok() && !text.empty()) {
    const std::string_view item = cut(text, ',');
    const auto value = parse_number<int64_t>(item);
    if (!value) fail(field, in_quotes(item), "integers joined by commas");
    values.push_back(value.value_or(0));
  }
  return values;
}

bool TermReader::expand(int64_t entries) {
  if (!status_.ok()) return false;
  if (entries > budget_) {
    fail("recipe", "a list of " + print_number(entries) + " entries",
         "at most " + print_number(kMaxMaskExpansion) + " in one line");
    return false;
  }
  budget_ -= entries;
  return true;
}

void TermReader::fail(std::string_view field, std::string_view found, std::string_view expected) {
  if (!status_.ok()) return;
  status_ = wrong_argument("mask." + std::string(mask_) + "." + std::string(field), found, expected);
}

void TermReader::finish() {
  if (more()) fail("fields", in_quotes(rest_) + " more", "the end of the term");
}

RandomRecipe RandomRecipe::read(TermReader& in) {
  RandomRecipe recipe;
  recipe.density = in.number("density");
  if (!(recipe.density >= 0 && recipe.density <= 1)) in.fail("density", print_number(recipe.density), "0 to 1");
  recipe.seed = read_seed(in).seed;
  return recipe;
}

RandomRecipe RandomRecipe::read_seed(TermReader& in) {
  RandomRecipe recipe;
  const std::string_view text = in.word("seed");
  if (!in.status().ok()) return recipe;
  const auto value = parse_number<uint64_t>(text);
  if (!value) in.fail("seed", in_quotes(text), "an unsigned 64-bit integer");
  recipe.seed = value.value_or(0);
  return recipe;
}

std::string print_list(const Array<int64_t>& list) {
  if (!list.recipe().empty()) return list.recipe();
  std::string out;
  for (const int64_t value : list) {
    if (!out.empty()) out += ',';
    out += print_number(value);
  }
  return out;
}

}  // namespace attend
