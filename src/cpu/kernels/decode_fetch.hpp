// SPDX-License-Identifier: Apache-2.0
// Asks for the memory of the next block, line by line between the products. Not in bursts: a core waits for a dozen
// lines at a time, and while a burst has all of these places, loads that L2 could serve wait with it.
#pragma once
#include "cpu/decode_kernel.hpp"

namespace attend::cpu::ATTEND_TARGET {

struct Fetcher {
  static constexpr int64_t kLine = 64, kPage = 4096;

  const DecodeFetch* piece;  ///< the next one
  const DecodeFetch* last;   ///< behind them

  /// Where it is; loops keep a copy in registers. A step may be shorter than a line: to ask twice costs nothing.
  struct Cursor {
    const char* at;
    const char* end;
    int64_t step;  ///< bytes, up to two lines
  } cursor;

  /// `ticks`: how often tick() will be called, about.
  ATTEND_INLINE Fetcher of(const DecodeBlock& block, int64_t ticks) {
    int64_t bytes = 0;
    for (int i = 0; i < block.fetches; ++i) {
      bytes += block.fetch[i].bytes;
      touch_pages(block.fetch[i]);
    }
    const int64_t step = (bytes + ticks - 1) / ticks;
    const char* resting = static_cast<const char*>(block.q);
    return {block.fetch, block.fetch + block.fetches, {resting, bytes > 0 ? resting : resting + 1, step}};
  }

  /// A line of each page, so that their translations are looked up side by side. One after the other, each would hold
  /// up the products behind it: 0.2 us where the page tables are not in a cache either.
  ATTEND_INLINE void touch_pages(const DecodeFetch& piece) {
    const char* at = static_cast<const char*>(piece.from);
    for (const char* end = at + piece.bytes; at < end; at += kPage - reinterpret_cast<uintptr_t>(at) % kPage)
      __builtin_prefetch(at, 0, 2);
  }

  /// `c`: the caller's copy of f.cursor.
  ATTEND_INLINE void tick(Fetcher& f, Cursor& c) {
    if (__builtin_expect(c.at >= c.end, 0)) {
      if (f.piece == f.last) {
        c.end = c.at + 1;
        c.step = 0;
      } else {
        c.at = static_cast<const char*>(f.piece->from);
        c.end = c.at + f.piece->bytes;
        ++f.piece;
      }
    }
    __builtin_prefetch(c.at, 0, 2);
    if (c.step > kLine) __builtin_prefetch(c.at + kLine, 0, 2);
    c.at += c.step;
  }
};

}  // namespace attend::cpu::ATTEND_TARGET
