// SPDX-License-Identifier: Apache-2.0
#include "ops/attention_check.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/saturate.hpp"
#include "ops/argument.hpp"
#include "ops/kv_cache.hpp"
#include "ops/mask/terms.hpp"

namespace attend {
namespace {

Status check_range(const char* argument, int64_t found, int64_t least, int64_t most) {
  if (found >= least && found <= most) return {};
  return wrong_argument(argument, found, print_number(least) + " to " + print_number(most));
}

/// Cumulative lengths of one side; `longest` is its sq or sk.
Status check_offsets(const std::string& side, const Offsets& cu, int64_t b, int64_t longest) {
  if (cu.empty()) return {};
  const std::string name = "cu_" + side;
  if (cu.size() != b + 1) {
    return wrong_argument(name, print_number(cu.size()) + " numbers", "b + 1 = " + print_number(b + 1));
  }
  if (cu[0] != 0) return wrong_argument(name + "[0]", cu[0], "0");
  int64_t found = 0;
  for (int64_t n = 0; n < b; ++n) {
    if (cu[n + 1] < cu[n]) {
      return wrong_argument(name + "[" + print_number(n + 1) + "]", cu[n + 1],
                            "at least " + print_number(cu[n]) + ", the one before");
    }
    found = std::max(found, cu[n + 1] - cu[n]);
  }
  if (found != longest) {
    return wrong_argument("s" + side, longest, print_number(found) + ", the longest length in " + name);
  }
  return {};
}

std::string print_strides(const Strides& s) {
  return print_number(s.batch) + "," + print_number(s.row) + "," + print_number(s.head) + " (batch, row, head)";
}

/// What one tensor of [b, rows, heads, columns] spans.
struct Extent {
  int64_t count = 0, stride = 0;
};

}  // namespace

Status check_type(const char* argument, DType type) {
  if (dtype_bytes(type) != 0) return {};
  return wrong_argument(argument, static_cast<int32_t>(type), "a row of dtypes.def");
}

Status check_strides(const std::string& tensor, const Strides& s, const Offsets& cu, int64_t b, int64_t rows,
                     int64_t heads, int64_t columns, bool written) {
  const std::string name = tensor + "_strides";
  if (s.batch < 0 || s.row < 0 || s.head < 0) return wrong_argument(name, print_strides(s), "0 or more each");
  const bool ragged = !cu.empty();
  std::array<Extent, 3> extents{{{ragged ? 1 : b, s.batch}, {ragged ? cu[b] : rows, s.row}, {heads, s.head}}};
  int64_t last = columns;
  for (const Extent& each : extents) {
    if (each.count == 0) return {};  // no element, so nothing to reach or to overlap
    last = saturating_add(last, saturating_product({each.count - 1, each.stride}));
  }
  if (last > kMaxElements) return wrong_argument(name, print_strides(s), "element offsets of at most 2^60");
  if (!written) return {};
  // Sorted by stride, each dimension has to step over all that the smaller ones span: sufficient, and true of every
  // layout in use.
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& c) { return a.stride < c.stride; });
  int64_t span = columns;
  for (const Extent& each : extents) {
    if (each.count == 1) continue;
    if (each.stride < span) return wrong_argument(name, print_strides(s), "rows that do not overlap");
    span += (each.count - 1) * each.stride;
  }
  return {};
}

Strides checked_dense_strides(Layout layout, int64_t rows, int64_t heads, int64_t columns) {
  const bool sane = rows >= 0 && heads >= 0 && columns >= 0;
  if (!sane || saturating_product({std::max<int64_t>(rows, 1), std::max<int64_t>(heads, 1),
                                   std::max<int64_t>(columns, 1)}) == std::numeric_limits<int64_t>::max()) {
    return {};  // check() refuses the sizes
  }
  return dense_strides(layout, rows, heads, columns);
}

Status check_sizes(const AttentionFwd& p) {
  const Status statuses[] = {
      check_range("b", p.b, 0, kMaxExtent),   check_range("hq", p.hq, 1, kMaxExtent),
      check_range("hk", p.hk, 1, kMaxExtent), check_range("sq", p.sq, 0, kMaxExtent),
      check_range("sk", p.sk, 0, kMaxExtent), check_range("d", p.d, 1, 512),
      check_range("dv", p.dv, 1, 512),        check_type("q_type", p.q_type),
      check_type("k_type", p.k_type),         check_type("v_type", p.v_type),
      check_type("o_type", p.o_type),
  };
  for (const Status& status : statuses) {
    if (!status.ok()) return status;
  }
  if (p.hq % p.hk != 0) return wrong_argument("hq", p.hq, "a multiple of hk = " + print_number(p.hk));
  if (Status status = check_offsets("q", p.cu_q, p.b, p.sq); !status.ok()) return status;
  if (Status status = check_offsets("k", p.cu_k, p.b, p.sk); !status.ok()) return status;
  const int64_t work = saturating_product(
      {std::max<int64_t>(p.b, 1), p.hq, std::max<int64_t>(p.sq, 1), std::max<int64_t>(p.sk, 1), std::max(p.d, p.dv)});
  if (work > kMaxElements) {
    return wrong_argument("b * hq * sq * sk * d",
                          work == std::numeric_limits<int64_t>::max() ? "2^63 or more" : print_number(work),
                          "at most 2^60");
  }
  return {};
}

namespace {

/// What a ring no longer holds must not be seen.
Status check_window(const AttentionFwd& p) {
  const KvCache& cache = *p.cache;
  if (cache.placement != KvPlacement::ring) return {};
  const int64_t heads = p.mask.per_head() ? p.hq : 1;
  for (int64_t n = 0; n < p.b; ++n)
    for (int64_t head = 0; head < heads; ++head) {
      const Frame frame = p.frame(n, head);
      const Range seen = intersect(p.mask.key_span(frame, {0, frame.sq}), {0, frame.sk});
      const int64_t oldest = frame.sk - cache.rows;
      if (!seen.empty() && seen.begin < oldest)
        return wrong_argument("mask",
                              "one that shows key " + print_number(seen.begin) + " of sequence " + print_number(n),
                              "one that hides keys before " + print_number(oldest) +
                                  ", which the ring no longer holds, as a window does");
    }
  return {};
}

}  // namespace

Status AttentionFwd::check() const {
  if (Status status = check_sizes(*this); !status.ok()) return status;
  if (cache) {
    if (Status status = check_cache(*this); !status.ok()) return status;
    if (Status status = check_cache_strides(*this); !status.ok()) return status;
  }
  const Status strides[] = {
      check_strides("q", q_strides, cu_q, b, sq, hq, d, false),
      cache ? Status() : check_strides("k", k_strides, cu_k, b, sk, hk, d, false),
      cache ? Status() : check_strides("v", v_strides, cu_k, b, sk, hk, dv, false),
      check_strides("o", o_strides, cu_q, b, sq, hq, dv, true),
  };
  for (const Status& status : strides) {
    if (!status.ok()) return status;
  }
  // Beyond 2^64 the products with f32 scores, or their reciprocals, leave the range of f32.
  constexpr double kLargest = 0x1p64;
  if (scale && !(std::abs(*scale) <= kLargest))
    return wrong_argument("scale", *scale, "a finite number of magnitude 2^64 or less");
  if (softcap != 0 && !(softcap >= 1 / kLargest && softcap <= kLargest)) {
    return wrong_argument("softcap", softcap, "0 (none) or 2^-64 to 2^64");
  }
  if (alibi_per_batch && !alibi) return wrong_argument("alibi_per_batch", "true", "false without alibi");
  if (Status status = mask.check(*this); !status.ok()) return status;
  return cache ? check_window(*this) : Status();
}

}  // namespace attend
