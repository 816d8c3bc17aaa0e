// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <concepts>
#include <cstdint>

#if defined(__CUDACC__)
#define ATTEND_HD __host__ __device__
#else
#define ATTEND_HD
#endif

namespace attend {

/// Half-open range of positions in a sequence; empty when begin >= end.
struct Range {
  int64_t begin = 0, end = 0;
  ATTEND_HD constexpr bool empty() const { return begin >= end; }
  ATTEND_HD constexpr int64_t size() const { return empty() ? 0 : end - begin; }
  ATTEND_HD constexpr bool contains(int64_t i) const { return begin <= i && i < end; }
  bool operator==(const Range&) const = default;
};

ATTEND_HD constexpr Range intersect(Range a, Range b) {
  return {a.begin > b.begin ? a.begin : b.begin, a.end < b.end ? a.end : b.end};
}

/// What a mask says of a rectangle of (query, key) pairs. `partial` is always a safe answer; `skip` promises that no
/// pair counts, `full` that every pair does.
enum class TileClass : uint8_t { skip, partial, full };

/// One answer for two masks of which both must agree to keep a pair.
ATTEND_HD constexpr TileClass both(TileClass a, TileClass b) { return a < b ? a : b; }

/// The sequence in which positions are counted: its lengths, and which batch member and query head it is.
struct Frame {
  int64_t sq = 0, sk = 0;
  int64_t batch = 0, head = 0;
  /// Bottom-right alignment: query i stands at key position i + sk - sq, so that the last query sees the last key.
  ATTEND_HD constexpr int64_t key_position(int64_t q) const { return q + sk - sq; }
};

/// A mask that keeps one interval of keys for each query, whose two ends never fall as the query rises. It has
///   Range keys(const Frame&, int64_t q) const;      // within [0, sk]
/// and gets the rest from here. Every other mask has classify, keep and restrict_row (block_sparse.hpp shows them).
/// Both may have
///   bool differs_by_head() const;                   // heads of one sequence may see different keys; without it: they
///   don't bool differs_by_batch() const;                  // sequences of one length may Range key_span(const Frame&,
///   Range q) const;    // other masks only: holds every key that the queries see
template <class M>
concept IntervalMask = requires(const M& mask, const Frame& frame) {
  { mask.keys(frame, int64_t{}) } -> std::same_as<Range>;
};

template <class M>
ATTEND_HD constexpr bool interval_keep(const M& mask, const Frame& frame, int64_t q, int64_t k) {
  return mask.keys(frame, q).contains(k);
}

template <class M>
ATTEND_HD constexpr TileClass interval_classify(const M& mask, const Frame& frame, Range q, Range k) {
  if (q.empty() || k.empty()) return TileClass::skip;
  const Range first = mask.keys(frame, q.begin), last = mask.keys(frame, q.end - 1);
  // No row begins before the first one or ends after the last one; where the last ends before the first begins, all are
  // empty.
  if (k.end <= first.begin || k.begin >= last.end || last.end <= first.begin) return TileClass::skip;
  if (k.begin >= last.begin && k.end <= first.end) return TileClass::full;
  return TileClass::partial;
}

}  // namespace attend
