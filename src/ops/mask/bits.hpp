// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/mask/tile.hpp>
#include <cstdint>

// Rows of keep-bits, 64 keys a word; bit i of a row stands for key k.begin + i.
namespace attend {

constexpr int64_t words_of(int64_t bits) { return (bits + 63) / 64; }

/// The lowest n bits, 0 <= n <= 64.
constexpr uint64_t low_bits(int64_t n) { return n >= 64 ? ~uint64_t{0} : (uint64_t{1} << n) - 1; }

/// Clears bits [begin, end); nothing when begin >= end.
inline void clear_bits(uint64_t* bits, int64_t begin, int64_t end) {
  if (begin >= end) return;
  const int64_t first = begin / 64, last = (end - 1) / 64;
  const uint64_t keep_below = low_bits(begin % 64), keep_above = ~low_bits((end - 1) % 64 + 1);
  if (first == last) {
    bits[first] &= keep_below | keep_above;
    return;
  }
  bits[first] &= keep_below;
  for (int64_t i = first + 1; i < last; ++i) bits[i] = 0;
  bits[last] &= keep_above;
}

/// Makes the row of `k` the set of keys in `kept`.
inline void write_interval(uint64_t* bits, Range k, Range kept) {
  const int64_t begin = kept.begin - k.begin, end = kept.end - k.begin, words = words_of(k.size());
  for (int64_t i = 0; i < words; ++i) {
    const int64_t base = 64 * i;
    const int64_t from = begin > base ? begin - base : 0;
    int64_t to = end < base + 64 ? end - base : 64;
    if (to > k.size() - base) to = k.size() - base;
    bits[i] = from < to ? low_bits(to) & ~low_bits(from) : 0;
  }
}

}  // namespace attend
