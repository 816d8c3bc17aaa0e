// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

namespace attend {

/// Random numbers that are a function of (seed, index) alone, the same on every machine: the output function of
/// splitmix64 (Steele, Lea, Flood 2014) over a Weyl sequence. Not for secrets.
class Rng {
 public:
  explicit constexpr Rng(uint64_t seed, uint64_t index = 0) : key_(mix(seed)), index_(index) {}

  constexpr uint64_t next() { return mix(key_ + ++index_ * 0x9e3779b97f4a7c15u); }
  /// In [0, 1), a multiple of 2^-53.
  constexpr double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  /// In [0, n) for n >= 1; off from uniform by less than n / 2^64.
  constexpr int64_t below(int64_t n) { return static_cast<int64_t>(next() % static_cast<uint64_t>(n)); }
  /// Mean 0, variance 1, within [-6, 6]: twelve uniform numbers added, so that no mathematical library has a say.
  constexpr double normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return sum;
  }

 private:
  static constexpr uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }

  uint64_t key_, index_;
};

}  // namespace attend
