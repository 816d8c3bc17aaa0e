// SPDX-License-Identifier: Apache-2.0
#include "cached_layer.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

namespace attend::cli {
namespace {

/// K or V of the plain layer and of the cached one.
struct Side {
  const std::vector<std::byte>& from;
  DType from_type;
  KvFormat format;
  DType type;
  int64_t columns;
  std::vector<std::byte>& to;
  std::vector<std::byte>& scales;
};

/// Scales with which no element of a channel lies beyond the codes.
template <class Offset>
void fit_channels(const AttentionFwd& plain, const Side& side, Offset offset) {
  std::vector<float> row(static_cast<size_t>(side.columns)), scales(static_cast<size_t>(plain.hk * side.columns));
  for (int64_t n = 0; n < plain.b; ++n)
    for (int64_t head = 0; head < plain.hk; ++head)
      for (int64_t key = 0; key < plain.key_length(n); ++key) {
        widen(side.from_type, side.from.data() + offset(n, key, head) * dtype_bytes(side.from_type), side.columns,
              row.data());
        for (int64_t c = 0; c < side.columns; ++c) {
          float& scale = scales[static_cast<size_t>(head * side.columns + c)];
          scale = std::max(scale, std::abs(row[static_cast<size_t>(c)]) / 127);
        }
      }
  std::memcpy(side.scales.data(), scales.data(), side.scales.size());
}

template <class From, class To, class Scale>
void encode(const AttentionFwd& plain, const Side& side, From from, To to, Scale scale) {
  const KvFormatRow format = kv_format_row(side.format);
  if (format.scales == KvScales::channel) fit_channels(plain, side, from);
  std::vector<float> row(static_cast<size_t>(side.columns));
  for (int64_t n = 0; n < plain.b; ++n)
    for (int64_t head = 0; head < plain.hk; ++head)
      for (int64_t key = 0; key < plain.key_length(n); ++key) {
        widen(side.from_type, side.from.data() + from(n, key, head) * dtype_bytes(side.from_type), side.columns,
              row.data());
        kv_encode(side.format, side.type, row.data(), side.columns,
                  side.to.data() + kv_bytes(side.format, side.type, to(n, key, head)),
                  side.scales.data() + scale(n, key, head) * dtype_bytes(format.scale_type));
      }
}

void place_pages(KvCache& cache, int64_t b, int64_t keys, int64_t page_size) {
  cache.placement = KvPlacement::paged;
  cache.rows = page_size;
  cache.table_width = std::max<int64_t>((keys + page_size - 1) / page_size, 1);
  cache.entries = b * cache.table_width;
  std::vector<int32_t> pages(static_cast<size_t>(cache.entries));
  std::iota(pages.begin(), pages.end(), 0);
  std::shuffle(pages.begin(), pages.end(), std::mt19937(0));
  cache.pages = Array<int32_t>(std::move(pages));
}

/// Bytes of all scales of K or V.
size_t scale_bytes(const AttentionFwd& p, KvFormat format, int64_t columns) {
  const KvFormatRow row = kv_format_row(format);
  const int64_t tokens = row.scales == KvScales::channel ? 1 : p.cache->entries * p.cache->rows;
  return static_cast<size_t>(tokens * p.hk * kv_row_scales(format, columns) * dtype_bytes(row.scale_type));
}

size_t element_bytes(const AttentionFwd& p, KvFormat format, DType type, int64_t columns) {
  return static_cast<size_t>(
      kv_bytes(format, type, p.cache->entries * p.cache->rows * p.hk * kv_row_elements(format, columns)));
}

}  // namespace

void add_cache_options(CLI::App& command, CacheOptions& options) {
  command.add_option("--kv-format", options.format,
                     "Keep K and V in a cache of this format, or of two, as int8,int4_32 (docs/caches.md)");
  command.add_option("--page-size", options.page_size, "Keep K and V in pages of so many tokens")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30));
}

Result<Layer> cached_layer(const Layer& layer, const CacheOptions& options) {
  const std::string text = options.format.empty() ? "plain" : options.format;
  const size_t comma = text.find(',');
  const Result<KvFormat> k_format = parse_kv_format(text.substr(0, comma));
  const Result<KvFormat> v_format = parse_kv_format(comma == std::string::npos ? text : text.substr(comma + 1));
  for (const Result<KvFormat>* each : {&k_format, &v_format})
    if (!each->ok()) return each->status();

  Layer cached = layer;
  const AttentionFwd& plain = layer.problem;
  AttentionFwd& p = cached.problem;
  KvCache cache;
  if (options.page_size > 0) {
    place_pages(cache, p.b, p.sk, options.page_size);
  } else {
    cache.entries = p.b;
    cache.rows = std::max<int64_t>(p.sk, 1);
  }
  cache.k_format = *k_format;
  cache.v_format = *v_format;
  cache.lengths = Array<int32_t>(std::vector<int32_t>(static_cast<size_t>(p.b), static_cast<int32_t>(p.sk)));
  p.cache = std::move(cache);
  p.set_layout(layer.layout);
  if (Status status = p.check(); !status.ok()) return status;

  cached.k.assign(element_bytes(p, *k_format, p.k_type, p.d), std::byte{});
  cached.v.assign(element_bytes(p, *v_format, p.v_type, p.dv), std::byte{});
  cached.k_scales.assign(scale_bytes(p, *k_format, p.d), std::byte{});
  cached.v_scales.assign(scale_bytes(p, *v_format, p.dv), std::byte{});
  encode(
      plain, Side{layer.k, plain.k_type, *k_format, p.k_type, p.d, cached.k, cached.k_scales},
      [&](int64_t n, int64_t key, int64_t head) { return plain.k_offset(n, key, head); },
      [&](int64_t n, int64_t key, int64_t head) { return p.k_offset(n, key, head); },
      [&](int64_t n, int64_t key, int64_t head) { return p.k_scale_offset(n, key, head); });
  encode(
      plain, Side{layer.v, plain.v_type, *v_format, p.v_type, p.dv, cached.v, cached.v_scales},
      [&](int64_t n, int64_t key, int64_t head) { return plain.v_offset(n, key, head); },
      [&](int64_t n, int64_t key, int64_t head) { return p.v_offset(n, key, head); },
      [&](int64_t n, int64_t key, int64_t head) { return p.v_scale_offset(n, key, head); });
  return cached;
}

}  // namespace attend::cli
