// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <random>
#include <string>
#include <vector>

#include "sim/tests/alu/instruction.hpp"
#include "sim/tests/alu/reals.hpp"

// Operands that are hard to round, for tests of conversions.
namespace ptxsim::test {

/// All words of `bits` bits, at least 128 of them.
inline std::vector<Words> all_words(int bits) {
  std::vector<Words> out;
  for (uint64_t word = 0; word < uint64_t{1} << bits; ++word) out.push_back({word});
  return out;
}

/// Numbers that lie on `grid`, half way between its neighbours, or just beside, some too small or too large for it; a
/// float or a double each.
template <class T>
std::vector<uint64_t> hard_to_round(const Grid& grid, size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<uint64_t> out;
  while (out.size() < count) {
    const int low = grid.smallest - grid.fraction - 2, high = grid.largest + 2;
    const int exponent = low + static_cast<int>(random() % static_cast<uint64_t>(high - low + 1));
    const auto steps =
        static_cast<long double>((uint64_t{2} << grid.fraction) + random() % (uint64_t{2} << grid.fraction));
    T x = static_cast<T>(std::ldexp(steps, std::max(exponent, grid.smallest - 1) - grid.fraction - 1));
    if (exponent < grid.smallest)
      x = static_cast<T>(std::ldexp(static_cast<long double>(random() % 64), grid.smallest - grid.fraction - 3));
    if (random() % 2 == 0) x = -x;
    const uint64_t nudge = random() % 4;
    if (nudge == 0) x = std::nextafter(x, std::numeric_limits<T>::infinity());
    if (nudge == 1) x = std::nextafter(x, -std::numeric_limits<T>::infinity());
    out.push_back(word(x));
  }
  return out;
}

}  // namespace ptxsim::test
