// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cstring>

#include "base/saturate.hpp"
#include "ops/argument.hpp"
#include "ops/mask/bits.hpp"
#include "ops/mask/terms.hpp"

namespace attend {
namespace {

const uint8_t* row_of(const Dense& mask, const Frame& frame, int64_t q) {
  int64_t plane = mask.per_batch ? frame.batch : 0;
  if (mask.per_head) plane = plane * mask.heads + frame.head;
  return mask.allow.data() + (plane * mask.sq + q) * mask.sk;
}

/// Bit i says whether byte i is not zero, for the first n <= 64 bytes.
uint64_t nonzero_bits(const uint8_t* bytes, int64_t n) {
  uint64_t bits = 0;
  int64_t i = 0;
  if constexpr (std::endian::native == std::endian::little) {
    for (; i + 8 <= n; i += 8) {
      uint64_t eight = 0;
      std::memcpy(&eight, bytes + i, 8);
      constexpr uint64_t kLow7 = 0x7f7f7f7f7f7f7f7f, kTop = 0x8080808080808080;
      const uint64_t tops = (((eight & kLow7) + kLow7) | eight) & kTop;  // top bit of each byte that is not zero
      bits |= ((tops >> 7) * 0x0102040810204080 >> 56) << i;             // gathered into one byte
    }
  }
  for (; i < n; ++i) bits |= uint64_t{bytes[i] != 0} << i;
  return bits;
}

}  // namespace

TileClass Dense::classify(const Frame& frame, Range q, Range k) const {
  if (q.empty() || k.empty()) return TileClass::skip;
  bool any = false, all = true;
  for (int64_t r = q.begin; r < q.end; ++r) {
    const uint8_t* row = row_of(*this, frame, r);
    for (int64_t at = k.begin; at < k.end; at += 64) {
      const int64_t n = std::min<int64_t>(64, k.end - at);
      const uint64_t kept = nonzero_bits(row + at, n);
      any |= kept != 0;
      all &= kept == low_bits(n);
      if (any && !all) return TileClass::partial;
    }
  }
  return all ? TileClass::full : TileClass::skip;
}

bool Dense::keep(const Frame& frame, int64_t q, int64_t k) const { return row_of(*this, frame, q)[k] != 0; }

void Dense::restrict_row(const Frame& frame, int64_t q, Range k, uint64_t* bits) const {
  const uint8_t* row = row_of(*this, frame, q);
  for (int64_t at = k.begin; at < k.end; at += 64) {
    bits[(at - k.begin) / 64] &= nonzero_bits(row + at, std::min<int64_t>(64, k.end - at));
  }
}

// Text: `dense:0110/0011`, a digit for each pair, rows separated by `/`, planes (batch, then head) one after the other;
// or `dense:random:DENSITY:SEED`. Both may end in `:perbatch`, `:perhead` or `:perbatch:perhead`.

Status check_term(const Dense& term, const AttentionFwd& problem) {
  if (term.sq != problem.sq) return wrong_argument("mask.dense.sq", term.sq, "sq = " + print_number(problem.sq));
  if (term.sk != problem.sk) return wrong_argument("mask.dense.sk", term.sk, "sk = " + print_number(problem.sk));
  if (term.per_head && term.heads != problem.hq) {
    return wrong_argument("mask.dense.heads", term.heads, "hq = " + print_number(problem.hq));
  }
  const int64_t size =
      saturating_product({term.per_batch ? problem.b : 1, term.per_head ? problem.hq : 1, problem.sq, problem.sk});
  if (term.allow.size() != size) {
    return wrong_argument("mask.dense.allow", print_number(term.allow.size()) + " booleans",
                          print_number(size) + " ([b or 1][hq or 1][sq][sk])");
  }
  return {};
}

std::string print_term(const Dense& term) {
  std::string out = ":";
  if (!term.allow.recipe().empty()) {
    out += term.allow.recipe();
  } else {
    for (int64_t i = 0; i < term.allow.size(); ++i) {
      if (i > 0 && i % term.sk == 0) out += '/';
      out += term.allow[i] != 0 ? '1' : '0';
    }
  }
  return out + (term.per_batch ? ":perbatch" : "") + (term.per_head ? ":perhead" : "");
}

void read_term(TermReader& in, const AttentionFwd& problem, Dense& term) {
  term.sq = problem.sq;
  term.sk = problem.sk;
  const bool random = in.take("random");
  const RandomRecipe recipe = random ? RandomRecipe::read(in) : RandomRecipe();
  const std::string_view text = random ? std::string_view() : in.word("allow");
  term.per_batch = in.take("perbatch");
  term.per_head = in.take("perhead");
  term.heads = term.per_head ? problem.hq : 1;
  if (!in.status().ok()) return;
  std::vector<uint8_t> allow;
  if (random) {
    const int64_t size = saturating_product({term.per_batch ? problem.b : 1, term.heads, term.sq, term.sk});
    if (!in.expand(size)) return;
    Rng rng(recipe.seed);
    allow.resize(static_cast<size_t>(size));
    for (uint8_t& pair : allow) pair = rng.uniform() < recipe.density;
    term.allow = {std::move(allow), "random:" + print_number(recipe.density) + ":" + print_number(recipe.seed)};
    return;
  }
  for (const char c : text) {
    const bool row_ends = !allow.empty() && term.sk > 0 && static_cast<int64_t>(allow.size()) % term.sk == 0;
    if (c == '0' || c == '1') {
      allow.push_back(c == '1');
    } else if (c != '/' || !row_ends) {
      in.fail("allow", in_quotes({&c, 1}), "0 and 1, and / after every sk = " + print_number(term.sk));
      return;
    }
  }
  term.allow = std::move(allow);
}

std::string draw_term(const Dense&, Rng& rng, const AttentionFwd&) {
  return ":random:" + print_number(static_cast<double>(rng.below(5)) / 4) + ":" + print_number(rng.next()) +
         (rng.below(2) == 0 ? ":perbatch" : "") + (rng.below(2) == 0 ? ":perhead" : "");
}

}  // namespace attend
