// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>

#include "base/rng.hpp"
#include "ops/attention_check.hpp"
#include "ops/kv_cache.hpp"

namespace attend {
namespace {

constexpr std::array<std::string_view, 3> kPlacements{"contiguous", "ring", "paged"};

int64_t pages_of(const KvCache& cache, int64_t n) {
  const int64_t tokens = cache.lengths[n] + int64_t{cache.first.empty() ? 0 : cache.first[n]};
  return (tokens + cache.rows - 1) / cache.rows;
}

Array<int32_t> read_list(Line& line, Key key, std::string recipe = {}) {
  std::vector<int32_t> list;
  for (const int64_t value : line.integers(key)) {
    if (value < 0 || value > kMaxExtent) line.fail(kNames[key], print_number(value), "0 to 2147483647");
    list.push_back(static_cast<int32_t>(value));
  }
  return {std::move(list), std::move(recipe)};
}

/// Pages in random order: the first `shared` of each sequence are those of all.
void deal_pages(Line& line, KvCache& cache, int64_t b, int64_t shared, uint64_t seed, std::string recipe) {
  std::vector<int64_t> starts{0};
  int64_t needed = 0, common = 0;
  for (int64_t n = 0; n < b; ++n) {
    const int64_t own = pages_of(cache, n);
    starts.push_back(starts.back() + own);
    common = std::max(common, std::min(own, shared));
    needed += own - std::min(own, shared);
  }
  if (starts.back() > kMaxCacheExpansion)
    return line.fail("pages", print_number(starts.back()) + " pages", "at most " + print_number(kMaxCacheExpansion));
  if (needed + common > cache.entries)
    return line.fail("cache", print_number(cache.entries) + " pages", print_number(needed + common) + " or more");
  if (cache.entries > kMaxCacheExpansion)
    return line.fail("cache", print_number(cache.entries) + " pages",
                     "at most " + print_number(kMaxCacheExpansion) + " with a recipe");
  std::vector<int32_t> deck(static_cast<size_t>(cache.entries)), pages;
  std::iota(deck.begin(), deck.end(), 0);
  Rng rng(seed);
  for (size_t i = deck.size(); i > 1; --i)
    std::swap(deck[i - 1], deck[static_cast<size_t>(rng.below(static_cast<int64_t>(i)))]);
  int64_t next = common;
  for (int64_t n = 0; n < b; ++n)
    for (int64_t i = 0; i < pages_of(cache, n); ++i) pages.push_back(deck[i < shared ? i : next++]);
  cache.pages = Array<int32_t>(std::move(pages), std::move(recipe));
  cache.cu_pages = Array<int64_t>(std::move(starts));
}

void read_pages(Line& line, KvCache& cache, int64_t b) {
  const std::string whole(line.text(kPages));
  std::string_view rest = whole;
  const std::string_view word = cut(rest, ':');
  if (word == "shuffled" || word == "shared") {
    int64_t tokens = 0;
    if (word == "shared") {
      const std::string_view field = cut(rest, ':');
      tokens = parse_number<int64_t>(field).value_or(-1);
      if (tokens < 0) return line.fail("pages", in_quotes(whole), "shared:TOKENS:SEED");
    }
    const auto seed = parse_number<uint64_t>(rest);
    if (!seed) return line.fail("pages", in_quotes(whole), "shuffled:SEED or shared:TOKENS:SEED");
    return deal_pages(line, cache, b, tokens / cache.rows, *seed, whole);
  }
  std::vector<int32_t> pages;
  std::vector<int64_t> starts{0};
  rest = whole;
  for (bool more = whole != ","; more;) {
    more = rest.find('/') != std::string_view::npos;
    for (std::string_view list = cut(rest, '/'); !list.empty();) {
      const std::string_view item = cut(list, ',');
      const auto page = parse_number<int32_t>(item);
      if (!page || *page < 0) return line.fail("pages", in_quotes(item), "page numbers, 0 to 2147483647");
      pages.push_back(*page);
    }
    starts.push_back(static_cast<int64_t>(pages.size()));
  }
  if (whole == "," && b == 1) starts.push_back(0);
  cache.pages = Array<int32_t>(std::move(pages));
  cache.cu_pages = Array<int64_t>(std::move(starts));
}

std::string print_pages(const KvCache& cache, int64_t b) {
  if (!cache.pages.recipe().empty()) return cache.pages.recipe();
  std::string out;
  for (int64_t n = 0; n < b; ++n) {
    if (n > 0) out += '/';
    const int64_t begin = cache.cu_pages.empty() ? n * cache.table_width : cache.cu_pages[n];
    for (int64_t i = 0; i < pages_of(cache, n); ++i) out += (i > 0 ? "," : "") + print_number(cache.pages[begin + i]);
  }
  return out.empty() ? "," : out;
}

std::string print_list(const Array<int32_t>& list) {
  std::string out;
  for (int64_t i = 0; i < list.size(); ++i) out += (i > 0 ? "," : "") + print_number(list[i]);
  return list.size() <= 1 ? out + "," : out;
}

std::string print_strides(const Strides& s) {
  return print_number(s.batch) + "," + print_number(s.row) + "," + print_number(s.head);
}

void read_formats(Line& line, KvCache& cache) {
  std::string_view rest = line.text(kKvFormat);
  const std::string_view first = cut(rest, ',');
  const Result<KvFormat> k = parse_kv_format(first), v = parse_kv_format(rest.empty() ? first : rest);
  for (const Result<KvFormat>* each : {&k, &v})
    if (!each->ok()) return line.fail(invalid_argument(std::string(kOperation) + ": " + each->status().message()));
  cache.k_format = *k;
  cache.v_format = *v;
}

}  // namespace

void read_cache(Line& line, AttentionFwd& p) {
  if (!line.has(kCache)) {
    for (const Key key : {kPages, kEntry, kFirst, kKvFormat, kKMean, kKScale, kVScale})
      if (line.has(key)) line.fail(kNames[key], "given", "a line with cache=");
    return;
  }
  KvCache cache;
  std::string_view rest = line.text(kCache);
  const auto placement = std::find(kPlacements.begin(), kPlacements.end(), cut(rest, ':'));
  const auto entries = parse_number<int64_t>(cut(rest, ':')), rows = parse_number<int64_t>(rest);
  if (placement == kPlacements.end() || !entries || !rows || *entries < 0 || *rows < 1)
    return line.fail("cache", in_quotes(line.text(kCache)),
                     "contiguous:ENTRIES:ROWS, ring:ENTRIES:ROWS or paged:PAGES:ROWS");
  if (*entries > kMaxExtent || *rows > kMaxExtent)
    return line.fail("cache", in_quotes(line.text(kCache)), "sizes of at most 2147483647");
  if (p.b < 0 || p.b > kMaxCacheExpansion)
    return line.fail("b", print_number(p.b), "0 to " + print_number(kMaxCacheExpansion) + " with a cache");
  if (p.sk < 0 || p.sk > kMaxExtent) return line.fail("sk", print_number(p.sk), "0 to 2147483647");
  cache.placement = static_cast<KvPlacement>(placement - kPlacements.begin());
  cache.entries = *entries;
  cache.rows = *rows;
  std::vector<int32_t> lengths;
  for (int64_t n = 0; n < p.b; ++n)
    lengths.push_back(static_cast<int32_t>(p.cu_k.empty() ? p.sk : p.cu_k[n + 1] - p.cu_k[n]));
  p.cu_k = {};
  cache.lengths = Array<int32_t>(std::move(lengths));
  if (line.has(kFirst)) cache.first = read_list(line, kFirst);
  if (line.has(kEntry)) cache.entry = read_list(line, kEntry);
  if (!cache.first.empty() && cache.first.size() != p.b)
    return line.fail("first", print_number(cache.first.size()) + " numbers", "b = " + print_number(p.b));
  if (line.has(kKvFormat)) read_formats(line, cache);
  cache.k_mean = line.flag(kKMean);
  if (cache.placement == KvPlacement::paged && !line.has(kPages))
    line.fail("pages", "missing", "page numbers, shuffled:SEED or shared:TOKENS:SEED");
  if (cache.placement != KvPlacement::paged && line.has(kPages))
    line.fail("pages", "given", "none without cache=paged:...");
  if (line.status().ok() && line.has(kPages)) read_pages(line, cache, p.b);
  p.cache = std::move(cache);
}

void read_scale_strides(Line& line, Layout layout, AttentionFwd& p) {
  KvCache& cache = *p.cache;
  cache.k_scale_strides = cache.dense_scales(layout, cache.k_format, p.hk, p.d);
  cache.v_scale_strides = cache.dense_scales(layout, cache.v_format, p.hk, p.dv);
  for (const Key key : {kKScale, kVScale}) {
    if (!line.has(key)) continue;
    const std::vector<int64_t> found = line.integers(key);
    if (found.size() != 3) return line.fail(kNames[key], in_quotes(line.text(key)), "batch,row,head");
    (key == kKScale ? cache.k_scale_strides : cache.v_scale_strides) = {found[0], found[1], found[2]};
  }
}

std::string print_cache_lengths(const KvCache& cache) {
  const Array<int32_t>& lengths = cache.lengths;
  if (std::all_of(lengths.begin(), lengths.end(), [&](int32_t each) { return each == lengths[0]; }))
    return print_number(lengths.empty() ? 0 : lengths[0]);
  return print_list(lengths);
}

std::string print_cache(const AttentionFwd& p, Layout layout) {
  const KvCache& cache = *p.cache;
  if (!check_sizes(p).ok() || !check_cache(p).ok()) return " cache=?";  // printed for its error message only
  std::string out = " cache=" + std::string(kPlacements[static_cast<size_t>(cache.placement)]) + ":" +
                    print_number(cache.entries) + ":" + print_number(cache.rows);
  const auto add = [&out](Key key, const std::string& value) {
    out.append(" ").append(kNames[key]).append("=").append(value);
  };
  if (cache.placement == KvPlacement::paged) add(kPages, print_pages(cache, p.b));
  if (!cache.entry.empty()) add(kEntry, print_list(cache.entry));
  if (!cache.first.empty()) add(kFirst, print_list(cache.first));
  if (cache.k_format != KvFormat::plain || cache.v_format != KvFormat::plain) {
    const std::string k = kv_format_row(cache.k_format).name, v = kv_format_row(cache.v_format).name;
    add(kKvFormat, k == v ? k : k + "," + v);
  }
  if (cache.k_mean) add(kKMean, "1");
  if (cache.k_scale_strides != cache.dense_scales(layout, cache.k_format, p.hk, p.d))
    add(kKScale, print_strides(cache.k_scale_strides));
  if (cache.v_scale_strides != cache.dense_scales(layout, cache.v_format, p.hk, p.dv))
    add(kVScale, print_strides(cache.v_scale_strides));
  return out;
}

}  // namespace attend
