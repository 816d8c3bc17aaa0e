// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/saturate.hpp"
#include "ops/argument.hpp"
#include "ops/mask/bits.hpp"
#include "ops/mask/terms.hpp"

namespace attend {
namespace {

const uint64_t* row_of(const Tree& tree, const Frame& frame, int64_t q) {
  const int64_t row = tree.differs_by_batch() ? frame.batch * tree.rows + q : q;
  return tree.bits.data() + row * tree.words();
}

/// Bits [at, at + 64) of a row's set, where at may lie before it (those keys count for everyone) or past it (zero).
uint64_t bits_from(const uint64_t* row, int64_t words, int64_t at) {
  if (at <= -64) return ~uint64_t{0};
  if (at < 0) return low_bits(-at) | (words > 0 ? row[0] << -at : 0);
  const int64_t word = at / 64, shift = at % 64;
  const uint64_t low = word < words ? row[word] >> shift : 0;
  return shift == 0 || word + 1 >= words ? low : low | row[word + 1] << (64 - shift);
}

}  // namespace

TileClass Tree::classify(const Frame& frame, Range q, Range k) const {
  if (q.empty() || k.empty()) return TileClass::skip;
  const int64_t first = frame.sk - size;
  if (k.end <= first) return TileClass::full;
  bool any = k.begin < first, all = true;
  for (int64_t r = q.begin; r < q.end; ++r) {
    const uint64_t* row = row_of(*this, frame, r);
    for (int64_t at = std::max(k.begin, first); at < k.end; at += 64) {
      const uint64_t inside = low_bits(k.end - at), kept = bits_from(row, words(), at - first) & inside;
      any |= kept != 0;
      all &= kept == inside;
      if (any && !all) return TileClass::partial;
    }
  }
  return all ? TileClass::full : TileClass::skip;
}

bool Tree::keep(const Frame& frame, int64_t q, int64_t k) const {
  const int64_t at = k - (frame.sk - size);
  return at < 0 || (row_of(*this, frame, q)[at / 64] >> (at % 64) & 1) != 0;
}

void Tree::restrict_row(const Frame& frame, int64_t q, Range k, uint64_t* out) const {
  const uint64_t* row = row_of(*this, frame, q);
  const int64_t first = frame.sk - size;
  for (int64_t i = std::max<int64_t>(0, (first - k.begin) / 64); i < words_of(k.size()); ++i) {
    out[i] &= bits_from(row, words(), k.begin + 64 * i - first);
  }
}

// Text: `tree:SIZE:HEX,HEX,...`, a number for each row whose bit i stands for key sk - SIZE + i, for all sequences or
// for each; `tree:SIZE:random:SEED` draws a tree of SIZE nodes: row r stands for node r + SIZE - sq and sees its
// ancestors and itself, with `:perbatch` for a tree of each sequence's own.

Status check_term(const Tree& term, const AttentionFwd& problem) {
  if (term.size < 0 || term.size > problem.sk) {
    return wrong_argument("mask.tree.size", term.size, "0 to sk = " + print_number(problem.sk));
  }
  if (term.rows != problem.sq) return wrong_argument("mask.tree.rows", term.rows, "sq = " + print_number(problem.sq));
  const int64_t one = saturating_product({term.rows, term.words()}), each = saturating_product({problem.b, one});
  if (term.bits.size() != one && term.bits.size() != each) {
    return wrong_argument("mask.tree.bits", print_number(term.bits.size()) + " words",
                          print_number(one) + " (sq * ceil(size / 64)) or b times as many");
  }
  if (term.size % 64 != 0) {
    for (int64_t at = term.words() - 1; at < term.bits.size(); at += term.words()) {
      if ((term.bits[at] & ~low_bits(term.size % 64)) != 0) {
        return wrong_argument("mask.tree.bits", "a bit past size = " + print_number(term.size), "0 there");
      }
    }
  }
  return {};
}

std::string print_term(const Tree& term) {
  std::string out = ":" + print_number(term.size) + ":";
  if (!term.bits.recipe().empty()) return out + term.bits.recipe();
  for (int64_t row = 0; term.words() > 0 && row < term.bits.size() / term.words(); ++row) {
    if (row > 0) out += ',';
    bool leading = true;
    for (int64_t digit = term.words() * 16 - 1; digit >= 0; --digit) {
      const uint64_t value = term.bits[row * term.words() + digit / 16] >> (digit % 16 * 4) & 15;
      leading = leading && value == 0 && digit > 0;
      if (!leading) out += "0123456789abcdef"[value];
    }
  }
  return out;
}

namespace {

/// The set of each row by the grammar of `tree:SIZE:random`.
std::vector<uint64_t> random_trees(Rng rng, int64_t size, int64_t words, int64_t rows, int64_t trees) {
  std::vector<uint64_t> bits(static_cast<size_t>(trees * rows * words));
  std::vector<uint64_t> nodes(static_cast<size_t>(size * words));
  for (int64_t tree = 0; tree < trees; ++tree) {
    for (int64_t node = 0; node < size; ++node) {
      const int64_t parent = rng.below(node + 1) - 1;
      uint64_t* self = nodes.data() + node * words;
      if (parent < 0) {
        std::fill_n(self, words, uint64_t{0});
      } else {
        std::copy_n(nodes.data() + parent * words, words, self);
      }
      self[node / 64] |= uint64_t{1} << (node % 64);
    }
    const int64_t shared = std::min(rows, size);
    std::copy_n(nodes.end() - shared * words, shared * words, bits.begin() + ((tree + 1) * rows - shared) * words);
  }
  return bits;
}

/// Hexadecimal digits, most significant first, into `words` words; false when it is something else.
bool read_hex(std::string_view text, uint64_t* row, int64_t words) {
  if (text.empty() || static_cast<int64_t>(text.size()) > words * 16) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[text.size() - 1 - i];
    int value = c >= '0' && c <= '9' ? c - '0' : -1;
    if (c >= 'a' && c <= 'f') value = c - 'a' + 10;
    if (value < 0) return false;
    row[i / 16] |= static_cast<uint64_t>(value) << (i % 16 * 4);
  }
  return true;
}

}  // namespace

void read_term(TermReader& in, const AttentionFwd& problem, Tree& term) {
  term.size = in.integer("size");
  term.rows = problem.sq;
  if (term.size < 0 || term.size > problem.sk) {
    in.fail("size", print_number(term.size), "0 to sk = " + print_number(problem.sk));
  }
  if (!in.status().ok()) return;
  if (in.take("random")) {
    const uint64_t seed = RandomRecipe::read_seed(in).seed;
    const bool per_batch = in.take("perbatch");
    const int64_t trees = per_batch ? problem.b : 1;
    // Nodes are counted for each tree, because each takes the time to draw them.
    if (!in.expand(saturating_product({trees, saturating_add(term.rows, term.size), term.words()}))) return;
    term.bits = {random_trees(Rng(seed), term.size, term.words(), term.rows, trees),
                 "random:" + print_number(seed) + (per_batch ? ":perbatch" : "")};
    return;
  }
  std::string_view text = in.word("bits");
  const int64_t items = text.empty() ? 0 : 1 + std::count(text.begin(), text.end(), ',');
  if (!in.expand(saturating_product({items, term.words()}))) return;
  std::vector<uint64_t> bits(static_cast<size_t>(items * term.words()));
  for (int64_t i = 0; i < items && in.status().ok(); ++i) {
    const std::string_view item = cut(text, ',');
    if (!read_hex(item, bits.data() + i * term.words(), term.words())) {
      in.fail("bits", in_quotes(item), "hexadecimal digits for " + print_number(term.size) + " bits");
    }
  }
  term.bits = std::move(bits);
}

std::string draw_term(const Tree&, Rng& rng, const AttentionFwd& problem) {
  return ":" + print_number(rng.below(problem.sk + 1)) + ":random:" + print_number(rng.next()) +
         (rng.below(2) == 0 ? ":perbatch" : "");
}

}  // namespace attend
