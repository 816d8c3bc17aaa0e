// SPDX-License-Identifier: Apache-2.0
#include "cpu/key_rows.hpp"

#include <algorithm>
#include <cstring>

#include "cpu/block.hpp"

namespace attend::cpu {
namespace {

/// K or V of one sequence and key head.
struct Side {
  const AttentionFwd& problem;
  const std::byte* data;
  const std::byte* scales;
  const float* mean;  ///< [columns], or null
  KvFormat format;
  DType type;
  const Strides& strides;
  int64_t columns;
  int64_t n, head;
  bool keys;

  int64_t offset(int64_t key) const { return keys ? problem.k_offset(n, key, head) : problem.v_offset(n, key, head); }
  const void* row(int64_t key) const { return data + kv_bytes(format, type, offset(key)); }
  const void* row_scales(int64_t key) const {
    const int64_t at = keys ? problem.k_scale_offset(n, key, head) : problem.v_scale_offset(n, key, head);
    return scales + at * dtype_bytes(kv_format_row(format).scale_type);
  }
};

/// Whether the rows lie behind one another already.
bool in_one_run(const Side& side, int64_t first, int64_t count) {
  if (!side.problem.cache) return true;
  if (side.format != KvFormat::plain || side.mean != nullptr) return false;
  const KvCache::Slot begin = side.problem.cache->slot(side.n, first);
  for (int64_t i = 1; i < count; ++i) {
    const KvCache::Slot each = side.problem.cache->slot(side.n, first + i);
    if (each.entry != begin.entry || each.row != begin.row + i) return false;
  }
  return true;
}

KeyRows rows_of(const Side& side, int64_t first, int64_t count, std::byte* scratch) {
  if (in_one_run(side, first, count)) return {side.row(first), element(side.type), side.strides.row};
  const int64_t bytes = side.columns * dtype_bytes(side.type);
  float wide[kMaxColumns];
  for (int64_t i = 0; i < count; ++i) {
    std::byte* to = scratch + i * bytes;
    if (side.format == KvFormat::plain && side.mean == nullptr) {
      std::memcpy(to, side.row(first + i), static_cast<size_t>(bytes));
      continue;
    }
    const void* scales = side.format == KvFormat::plain ? nullptr : side.row_scales(first + i);
    kv_decode(side.format, side.type, side.row(first + i), scales, side.columns, wide);
    for (int64_t c = 0; side.mean != nullptr && c < side.columns; ++c) wide[c] += side.mean[c];
    narrow(side.type, wide, side.columns, to);
  }
  return {scratch, element(side.type), side.columns};
}

}  // namespace

int64_t gather_bytes(const AttentionFwd& problem) {
  if (!problem.cache) return 0;
  return kPanelKeys * std::max(problem.d * dtype_bytes(problem.k_type), problem.dv * dtype_bytes(problem.v_type));
}

KeyRows key_rows(const AttentionFwd& p, const AttentionFwdArgs& args, int64_t n, int64_t head, int64_t first,
                 int64_t count, std::byte* scratch) {
  const float* mean = p.cache && p.cache->k_mean ? args.k_mean + head * p.d : nullptr;
  const Side side{p,
                  static_cast<const std::byte*>(args.k),
                  static_cast<const std::byte*>(args.k_scales),
                  mean,
                  p.k_format(),
                  p.k_type,
                  p.k_strides,
                  p.d,
                  n,
                  head,
                  true};
  return rows_of(side, first, count, scratch);
}

KeyRows value_rows(const AttentionFwd& p, const AttentionFwdArgs& args, int64_t n, int64_t head, int64_t first,
                   int64_t count, std::byte* scratch) {
  const Side side{p,
                  static_cast<const std::byte*>(args.v),
                  static_cast<const std::byte*>(args.v_scales),
                  nullptr,
                  p.v_format(),
                  p.v_type,
                  p.v_strides,
                  p.dv,
                  n,
                  head,
                  false};
  return rows_of(side, first, count, scratch);
}

}  // namespace attend::cpu
