// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/array.hpp>
#include <attend/dtype.hpp>
#include <attend/status.hpp>
#include <attend/tensor.hpp>
#include <cstdint>
#include <string_view>

namespace attend {

/// Which elements of a cache share a scale; see kv_formats.def.
enum class KvScales : int32_t { none, row, channel, group32 = 32, group64 = 64 };

/// How an element of K or V is stored in a cache; the rows of kv_formats.def.
enum class KvFormat : int32_t {
#define ATTEND_KV_FORMAT(name, bits, scales, scale_type, doc) name,
#include <attend/kv_formats.def>
#undef ATTEND_KV_FORMAT
};

/// A row of kv_formats.def. `bits` is 0 for a value that is no row.
struct KvFormatRow {
  const char* name = "?";
  int32_t bits = 0;
  KvScales scales = KvScales::none;
  DType scale_type = DType::f32;
  /// Columns that share a scale of a token, 0 where none do.
  int64_t group(int64_t columns) const {
    return scales == KvScales::row ? columns : scales >= KvScales::group32 ? static_cast<int64_t>(scales) : 0;
  }
};
KvFormatRow kv_format_row(KvFormat format);
/// Error: invalid_argument naming the text and the rows.
Result<KvFormat> parse_kv_format(std::string_view text);

/// Elements of one token and head: `columns`, rounded up to whole groups where two elements share a byte.
int64_t kv_row_elements(KvFormat format, int64_t columns);
/// Bytes of n elements; n is even where two share a byte. `type` is that of plain elements.
constexpr int64_t kv_bytes(KvFormat format, DType type, int64_t n) {
  switch (format) {
    case KvFormat::plain: return n * dtype_bytes(type);
    case KvFormat::int4_32:
    case KvFormat::int4_64: return n / 2;
    default: return n;
  }
}
/// Scales of one token and head.
int64_t kv_row_scales(KvFormat format, int64_t columns);

/// Decodes a token's row of one head: to[c] = scale * code[c], rounded once to f32. `scales` belong to this row; those
/// of channels to the head. In int4 rows byte i of a group of G holds column i in its low and column i + G/2 in its
/// high half.
void kv_decode(KvFormat format, DType type, const void* row, const void* scales, int64_t columns, float* to);
/// The reverse: the scale is that of the largest magnitude, codes are rounded to nearest, ties to even, and what lies
/// beyond the last code becomes it. Scales of rows and groups are written; those of channels are read. A row with NaN
/// or infinity gets a scale of NaN, so that it reaches whoever uses it. Error of each element: docs/caches.md.
void kv_encode(KvFormat format, DType type, const float* from, int64_t columns, void* row, void* scales);

/// How the tokens of sequences are placed in a cache.
enum class KvPlacement : int32_t {
  contiguous,  ///< token t of a sequence is row first + t of its entry
  ring,        ///< row t mod rows of its entry: it holds the last `rows` tokens, all that a window sees
  paged,       ///< row (first + t) mod rows of page (first + t) / rows of its list
};

/// Where keys and values lie that are kept in a cache, and what their elements are. Row r of entry (page) e, head h
/// begins at e * batch + r * row + h * head of k_strides and v_strides, in elements: token-major and head-major pages
/// differ by these alone.
struct KvCache {
  KvPlacement placement = KvPlacement::contiguous;
  int64_t entries = 0;      ///< entries or pages in memory
  int64_t rows = 0;         ///< tokens that an entry or page holds
  Array<int32_t> lengths;   ///< [b] tokens of each sequence, 0 or more
  Array<int32_t> first;     ///< [b] rows before the first token (left padding), or empty for 0; not with ring
  Array<int32_t> entry;     ///< [b] entry of each sequence, or empty for its own number; not with paged
  Array<int32_t> pages;     ///< paged: page numbers, in the order of tokens
  int64_t table_width = 0;  ///< paged: pages of sequence n begin at n * table_width (block table), or
  Offsets cu_pages;         ///< at cu_pages[n] (compressed rows, b + 1 numbers); one of the two

  KvFormat k_format = KvFormat::plain, v_format = KvFormat::plain;
  /// Where the scales of row r of entry e, head h begin: e * batch + r * row + h * head, in scales. Scales of channels
  /// are [hk][columns], dense, and have no strides.
  Strides k_scale_strides, v_scale_strides;
  bool k_mean = false;  ///< f32 [hk][d] are given at run and added to each decoded key (SageAttention2's smoothing)

  /// Where token t of sequence n lies.
  struct Slot {
    int64_t entry = 0, row = 0;
  };
  Slot slot(int64_t n, int64_t t) const {
    const int64_t at = t + (first.empty() ? 0 : first[n]);
    if (placement == KvPlacement::paged)
      return {pages[(cu_pages.empty() ? n * table_width : cu_pages[n]) + at / rows], at % rows};
    return {entry.empty() ? n : entry[n], placement == KvPlacement::ring ? at % rows : at};
  }
  /// Dense strides of K or V with these columns, and of their scales. `bshd`: token-major, `bhsd`: head-major.
  Strides dense(Layout layout, KvFormat format, int64_t heads, int64_t columns) const;
  Strides dense_scales(Layout layout, KvFormat format, int64_t heads, int64_t columns) const;
};

}  // namespace attend
