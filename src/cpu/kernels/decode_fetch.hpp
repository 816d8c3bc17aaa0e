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
    const int due = static_cast<int>(f.due);
    for (; f.done < due; ++f.done) {
      while (f.line >= f.end) {
        if (f.fetches == 0) return;
        if (++f.row >= f.fetch->count) {
          ++f.fetch;
          --f.fetches;
          f.row = -1;
          continue;
        }
        const char* begin = static_cast<const char*>(f.fetch->rows[f.row]) + f.fetch->offset;
        f.line = begin - reinterpret_cast<uintptr_t>(begin) % kLine;
        f.end = begin + f.fetch->bytes;
      }
      __builtin_prefetch(f.line, 0, 2);
      f.line += kLine;
    }
  }
};

}  // namespace attend::cpu::ATTEND_TARGET
