// SPDX-License-Identifier: Apache-2.0
#include "ops/kv_cache.hpp"

#include <algorithm>

#include "base/saturate.hpp"
#include "ops/argument.hpp"
#include "ops/attention_check.hpp"

namespace attend {
namespace {

Layout in_cache(Layout layout) { return layout == Layout::thd ? Layout::bshd : layout; }

std::string at(const char* list, int64_t i) { return std::string("cache.") + list + "[" + print_number(i) + "]"; }

Status check_list(const char* name, const Array<int32_t>& list, int64_t b, int64_t most) {
  if (list.size() != b)
    return wrong_argument(std::string("cache.") + name, print_number(list.size()) + " numbers",
                          "b = " + print_number(b));
  for (int64_t n = 0; n < b; ++n)
    if (list[n] < 0 || list[n] > most) return wrong_argument(at(name, n), list[n], "0 to " + print_number(most));
  return {};
}

Status check_absent(const char* name, int64_t found, const char* why) {
  if (found == 0) return {};
  return wrong_argument(std::string("cache.") + name, print_number(found) + " numbers", std::string("none ") + why);
}

/// Pages that each sequence has, and their numbers.
Status check_pages(const KvCache& cache, int64_t b) {
  if ((cache.table_width > 0) == !cache.cu_pages.empty())
    return wrong_argument("cache.table_width", cache.table_width,
                          cache.cu_pages.empty() ? "at least 1, or cu_pages" : "0 with cu_pages");
  if (cache.cu_pages.empty()) {
    if (cache.table_width > kMaxExtent || cache.pages.size() != cache.table_width * b)
      return wrong_argument("cache.pages", print_number(cache.pages.size()) + " numbers",
                            "b * table_width = " + print_number(saturating_product({b, cache.table_width})));
  } else {
    if (cache.cu_pages.size() != b + 1)
      return wrong_argument("cache.cu_pages", print_number(cache.cu_pages.size()) + " numbers",
                            "b + 1 = " + print_number(b + 1));
    if (cache.cu_pages[0] != 0) return wrong_argument(at("cu_pages", 0), cache.cu_pages[0], "0");
    for (int64_t n = 0; n < b; ++n)
      if (cache.cu_pages[n + 1] < cache.cu_pages[n] || cache.cu_pages[n + 1] > cache.pages.size())
        return wrong_argument(
            at("cu_pages", n + 1), cache.cu_pages[n + 1],
            print_number(cache.cu_pages[n]) + " to " + print_number(cache.pages.size()) + ", the pages that are given");
  }
  for (int64_t n = 0; n < b; ++n) {
    const int64_t tokens = cache.lengths[n] + int64_t{cache.first.empty() ? 0 : cache.first[n]};
    const int64_t used = (tokens + cache.rows - 1) / cache.rows;
    const int64_t begin = cache.cu_pages.empty() ? n * cache.table_width : cache.cu_pages[n];
    const int64_t given = cache.cu_pages.empty() ? cache.table_width : cache.cu_pages[n + 1] - begin;
    if (given < used)
      return wrong_argument(
          "cache.pages", print_number(given) + " of sequence " + print_number(n),
          print_number(used) + " for " + print_number(tokens) + " tokens in pages of " + print_number(cache.rows));
    for (int64_t i = begin; i < begin + used; ++i)
      if (cache.pages[i] < 0 || cache.pages[i] >= cache.entries)
        return wrong_argument(at("pages", i), cache.pages[i], "0 to " + print_number(cache.entries - 1));
  }
  return {};
}

Status check_format(const char* name, KvFormat format) {
  if (kv_format_row(format).name[0] != '?') return {};
  return wrong_argument(std::string("cache.") + name, static_cast<int32_t>(format), "a row of kv_formats.def");
}

/// Strides of one array of the cache whose rows have `elements` numbers.
Status check_reach(const std::string& name, const Strides& s, const KvCache& cache, int64_t heads, int64_t elements,
                   bool halves) {
  const auto printed = [&] {
    return print_number(s.batch) + "," + print_number(s.row) + "," + print_number(s.head) + " (batch, row, head)";
  };
  if (s.batch < 0 || s.row < 0 || s.head < 0) return wrong_argument(name, printed(), "0 or more each");
  if (halves && (s.batch | s.row | s.head) % 2 != 0)
    return wrong_argument(name, printed(), "even numbers: two elements share a byte");
  if (cache.entries == 0) return {};
  int64_t last = saturating_add(elements, saturating_product({cache.entries - 1, s.batch}));
  last = saturating_add(last, saturating_product({cache.rows - 1, s.row}));
  last = saturating_add(last, saturating_product({heads - 1, s.head}));
  if (last > kMaxElements) return wrong_argument(name, printed(), "element offsets of at most 2^60");
  return {};
}

}  // namespace

Strides KvCache::dense(Layout layout, KvFormat format, int64_t heads, int64_t columns) const {
  return checked_dense_strides(in_cache(layout), rows, heads, columns > 0 ? kv_row_elements(format, columns) : columns);
}

Strides KvCache::dense_scales(Layout layout, KvFormat format, int64_t heads, int64_t columns) const {
  const KvScales scales = kv_format_row(format).scales;
  if (scales == KvScales::none || scales == KvScales::channel || columns <= 0) return {};
  return checked_dense_strides(in_cache(layout), rows, heads, kv_row_scales(format, columns));
}

Status check_cache(const AttentionFwd& p) {
  const KvCache& cache = *p.cache;
  if (!p.cu_k.empty()) return wrong_argument("cu_k", "given", "none: lengths of keys are those of the cache");
  if (Status status = check_format("k_format", cache.k_format); !status.ok()) return status;
  if (Status status = check_format("v_format", cache.v_format); !status.ok()) return status;
  if (cache.entries < 0 || cache.entries > kMaxExtent)
    return wrong_argument("cache.entries", cache.entries, "0 to " + print_number(kMaxExtent));
  if (cache.rows < 1 || cache.rows > kMaxExtent)
    return wrong_argument("cache.rows", cache.rows, "1 to " + print_number(kMaxExtent));
  if (Status status = check_list("lengths", cache.lengths, p.b, kMaxExtent); !status.ok()) return status;
  int64_t longest = 0;
  for (const int32_t length : cache.lengths) longest = std::max<int64_t>(longest, length);
  if (p.b > 0 && p.sk != longest)
    return wrong_argument("sk", p.sk, print_number(longest) + ", the longest of cache.lengths");
  if (!cache.first.empty()) {
    if (cache.placement == KvPlacement::ring) return check_absent("first", cache.first.size(), "with a ring");
    if (Status status = check_list("first", cache.first, p.b, kMaxExtent); !status.ok()) return status;
  }
  switch (cache.placement) {
    case KvPlacement::paged:
      if (Status status = check_absent("entry", cache.entry.size(), "with pages"); !status.ok()) return status;
      return check_pages(cache, p.b);
    case KvPlacement::contiguous:
    case KvPlacement::ring: break;
    default:
      return wrong_argument("cache.placement", static_cast<int32_t>(cache.placement), "contiguous, ring or paged");
  }
  if (Status status = check_absent("pages", cache.pages.size() + cache.cu_pages.size(), "without paged placement");
      !status.ok())
    return status;
  if (!cache.entry.empty()) {
    if (Status status = check_list("entry", cache.entry, p.b, cache.entries - 1); !status.ok()) return status;
  } else if (p.b > cache.entries) {
    return wrong_argument("cache.entries", cache.entries, "at least b = " + print_number(p.b));
  }
  for (int64_t n = 0; n < p.b; ++n) {
    if (cache.placement == KvPlacement::ring) continue;  // the mask's business: check_window()
    const int64_t end = cache.lengths[n] + int64_t{cache.first.empty() ? 0 : cache.first[n]};
    if (end > cache.rows)
      return wrong_argument(at("lengths", n), cache.lengths[n],
                            "an end of at most cache.rows = " + print_number(cache.rows) + " (first + length is " +
                                print_number(end) + ")");
  }
  return {};
}

Status check_cache_strides(const AttentionFwd& p) {
  const KvCache& cache = *p.cache;
  const struct {
    const char* name;
    KvFormat format;
    const Strides &strides, &scales;
    int64_t columns;
  } sides[] = {{"k", cache.k_format, p.k_strides, cache.k_scale_strides, p.d},
               {"v", cache.v_format, p.v_strides, cache.v_scale_strides, p.dv}};
  for (const auto& side : sides) {
    const std::string name = side.name;
    const bool halves = kv_format_row(side.format).bits == 4;
    Status status =
        check_reach(name + "_strides", side.strides, cache, p.hk, kv_row_elements(side.format, side.columns), halves);
    if (status.ok())
      status = check_reach("cache." + name + "_scale_strides", side.scales, cache, p.hk,
                           kv_row_scales(side.format, side.columns), false);
    if (!status.ok()) return status;
  }
  return {};
}

}  // namespace attend
