// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/dtype.hpp>
#include <cstdint>

namespace attend::cpu {

/// One row of one head of a partial result.
struct MergePart {
  const void* o = nullptr;
  DType type = DType::f32;
  float lse = 0;
};

/// Where the parts of a row are found.
struct MergeParts {
  int64_t count = 0;
  MergePart (*at)(const void* self, int64_t i) = nullptr;
  const void* self = nullptr;
};

/// Writes `columns` elements of o and returns the log-sum-exp. Weights are made in fp64, sums in f32 in the order of
/// the parts. Needs no memory, however many parts there are.
float merge_row(const MergeParts& parts, void* o, DType type, int64_t columns);

}  // namespace attend::cpu
