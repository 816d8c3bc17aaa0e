// SPDX-License-Identifier: Apache-2.0
#include "cpu/merge.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/element.hpp"

namespace attend::cpu {
namespace {

constexpr int64_t kChunk = 128;  ///< columns summed at a time
constexpr double kNone = -std::numeric_limits<double>::infinity();

void add_weighted(float* sums, const MergePart& part, int64_t first, int64_t columns, float weight) {
  visit_dtype(part.type, [&]<class E>() {
    const auto* o = static_cast<const typename E::Storage*>(part.o) + first;
    for (int64_t i = 0; i < columns; ++i) sums[i] += weight * E::widen(o[i]);
  });
}

void store(void* o, DType type, int64_t first, const float* sums, int64_t columns) {
  visit_dtype(type, [&]<class E>() {
    auto* to = static_cast<typename E::Storage*>(o) + first;
    for (int64_t i = 0; i < columns; ++i) to[i] = E::narrow(sums[i]);
  });
}

}  // namespace

float merge_row(const MergeParts& parts, void* o, DType type, int64_t columns) {
  double largest = kNone, sum = 0;
  for (int64_t i = 0; i < parts.count; ++i) {
    const double lse = parts.at(parts.self, i).lse;
    // Not the largest alone: a NaN stays, whatever follows.
    if (!(lse <= largest)) largest = lse;
    if (std::isnan(largest)) break;
  }
  for (int64_t i = 0; i < parts.count && largest != kNone; ++i) sum += std::exp(parts.at(parts.self, i).lse - largest);
  for (int64_t first = 0; first < columns; first += kChunk) {
    const int64_t n = std::min(kChunk, columns - first);
    float sums[kChunk] = {};
    for (int64_t i = 0; i < parts.count; ++i) {
      const MergePart part = parts.at(parts.self, i);
      if (part.lse == kNone) continue;  // without keys: 0 times whatever its o holds must be 0
      add_weighted(sums, part, first, n, static_cast<float>(std::exp(part.lse - largest) / sum));
    }
    store(o, type, first, sums, n);
  }
  return static_cast<float>(largest == kNone ? kNone : largest + std::log(sum));
}

}  // namespace attend::cpu
