// SPDX-License-Identifier: Apache-2.0
// Asks for the memory of later blocks, a few lines at a time.
#pragma once
#include "cpu/decode_kernel.hpp"

namespace attend::cpu::ATTEND_TARGET {

constexpr int kLine = 64;

struct Fetcher {
  const DecodeFetch* fetch;
  int fetches;  ///< that are not done
  int row;      ///< of the first of them
  const char* line;
  const char* end;
  float per_work, due;
  int done;

  /// `work`: sum of all that advance() will be told of.
  ATTEND_INLINE Fetcher of(const DecodeBlock& block, float work) {
    int64_t lines = 0;
    for (int i = 0; i < block.fetches; ++i)
      lines += block.fetch[i].count * ((block.fetch[i].bytes + kLine - 1) / kLine);
    return {block.fetch, block.fetches, -1, nullptr, nullptr, static_cast<float>(lines) / work, 0, 0};
  }

  ATTEND_INLINE void advance(Fetcher& f, float work) {
    f.due += work * f.per_work;
    const int lines = static_cast<int>(f.due) - f.done;
    f.done += lines;
    // Copies, so that no line waits for the one before to be stored and loaded.
    const char *line = f.line, *end = f.end;
    for (int i = 0; i < lines; ++i, line += kLine) {
      if (line >= end && !next_row(f, line, end)) break;
      __builtin_prefetch(line, 0, 2);
    }
    f.line = line;
    f.end = end;
  }
  /// The next row that is not empty; false after the last one.
  static bool next_row(Fetcher& f, const char*& line, const char*& end) {
    for (; f.fetches > 0; ++f.fetch, --f.fetches, f.row = -1)
      while (++f.row < f.fetch->count) {
        const char* begin = static_cast<const char*>(f.fetch->rows[f.row]) + f.fetch->offset;
        line = begin - reinterpret_cast<uintptr_t>(begin) % kLine;
        end = begin + f.fetch->bytes;
        if (line < end) return true;
      }
    return false;
  }
};

}  // namespace attend::cpu::ATTEND_TARGET
