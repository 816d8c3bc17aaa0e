// SPDX-License-Identifier: Apache-2.0
#include "cpu/decode.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <limits>
#include <new>
#include <type_traits>

#include "cpu/block.hpp"
#include "cpu/row_finish.hpp"

namespace attend::cpu {
namespace {

using plan_detail::DecodeItem;
using plan_detail::DecodeList;
using plan_detail::DecodeMerge;
using plan_detail::DecodeRule;

constexpr float kNegInf = -std::numeric_limits<float>::infinity();
constexpr double kLog2e = 1.4426950408889634;

DecodeFormat decode_format(KvFormat format, DType type) {
  switch (format) {
    case KvFormat::plain: break;
    case KvFormat::int8:
    case KvFormat::int8_channel: return DecodeFormat::int8;
    case KvFormat::int4_32: return DecodeFormat::int4_32;
    case KvFormat::int4_64: return DecodeFormat::int4_64;
    case KvFormat::e4m3: return DecodeFormat::e4m3;
  }
  switch (type) {
    case DType::f32: return DecodeFormat::f32;
    case DType::f16: return DecodeFormat::f16;
    case DType::bf16: break;
  }
  return DecodeFormat::bf16;
}

/// One array of the keys of a sequence, in bytes: K, V, or the scales of one of them. Head 0; head h is h * head on.
struct TokenArray {
  const std::byte* base = nullptr;  ///< null: the Problem has none
  int64_t entry = 0, row = 0, head = 0;
  int64_t row_bytes = 0;  ///< of one head

  /// Where row `row` of an entry begins.
  const std::byte* at(int64_t in_entry, int64_t in_row) const { return base + in_entry * entry + in_row * row; }
};

TokenArray elements(const void* base, KvFormat format, DType type, const Strides& s, int64_t columns) {
  return {static_cast<const std::byte*>(base), kv_bytes(format, type, s.batch), kv_bytes(format, type, s.row),
          kv_bytes(format, type, s.head), kv_bytes(format, type, kv_row_elements(format, columns))};
}

/// Scales of tokens; those of channels are elsewhere.
TokenArray scales(const void* base, KvFormat format, const Strides& s, int64_t columns) {
  const KvFormatRow row = kv_format_row(format);
  if (row.scales == KvScales::none || row.scales == KvScales::channel) return {};
  const int64_t bytes = dtype_bytes(row.scale_type);
  return {static_cast<const std::byte*>(base), s.batch * bytes, s.row * bytes, s.head * bytes,
          kv_row_scales(format, columns) * bytes};
}

/// The heads of a token. In pages of one token they are, whatever their order in longer pages.
bool heads_are_neighbours(const AttentionFwd& p) { return p.k_strides.head <= p.k_strides.row && p.hk > 1; }

/// Where a head's block lies in several pages, whole pages are read as one stream.
bool heads_together(const AttentionFwd& p) {
  return heads_are_neighbours(p) ||
         (p.cache && p.cache->placement == KvPlacement::paged && p.cache->rows < kDecodeKeys && p.hk > 1);
}

/// Scales of channels of this head, or null.
const float* channel_scales(KvFormat format, const void* base, int64_t head, int64_t columns) {
  if (kv_format_row(format).scales != KvScales::channel) return nullptr;
  return static_cast<const float*>(base) + head * columns;
}

}  // namespace

/// What the items of a run leave for the last one of their rows.
struct Decode::Shared {
  std::atomic<int64_t>* done = nullptr;  ///< parts of each merge
  float* max = nullptr;                  ///< [states]
  float* sum = nullptr;                  ///< [states]
  float* out = nullptr;                  ///< [states][out_stride]

  int64_t place(const DecodeList& list, int64_t out_stride, std::byte* base) {
    int64_t used = 0;
    const auto take = [&](auto*& pointer, int64_t count) {
      using T = std::remove_reference_t<decltype(*pointer)>;
      if (base != nullptr) pointer = reinterpret_cast<T*>(base + used);
      used += align_up(count * static_cast<int64_t>(sizeof(T)));
    };
    take(done, static_cast<int64_t>(list.merges.size()));
    take(max, list.states);
    take(sum, list.states);
    take(out, list.states * out_stride);
    return used;
  }
};

/// What a worker needs for one item.
struct Decode::Scratch {
  std::byte* q = nullptr;
  float* max = nullptr;
  float* sum = nullptr;
  float* out = nullptr;

  int64_t place(int64_t rows, int64_t blocks, int64_t q_bytes, int64_t out_stride, std::byte* base) {
    int64_t used = 0;
    const auto take = [&](auto*& pointer, int64_t bytes) {
      if (base != nullptr) pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(base + used);
      used += align_up(bytes);
    };
    take(q, blocks * q_bytes);
    take(max, rows * 4);
    take(sum, rows * kMaxLanes * 4);
    take(out, rows * out_stride * 4);
    return used;
  }
};

/// One item while it runs.
class Decode::Item {
 public:
  Item(const Decode& decode, const DecodeItem& item, const AttentionFwdArgs& args, const Scratch& scratch)
      : decode_(decode),
        p_(decode.problem_),
        item_(item),
        args_(args),
        scratch_(scratch),
        k_(elements(args.k, p_.k_format(), p_.k_type, p_.k_strides, p_.d)),
        v_(elements(args.v, p_.v_format(), p_.v_type, p_.v_strides, p_.dv)),
        has_terms_(p_.softcap > 0 || p_.alibi || p_.bias.has_value()) {
    if (p_.cache) {
      k_scales_ = scales(args.k_scales, p_.k_format(), p_.cache->k_scale_strides, p_.d);
      v_scales_ = scales(args.v_scales, p_.v_format(), p_.cache->v_scale_strides, p_.dv);
    }
  }

  void compute(const DecodeList& list, const std::function<int64_t()>& likely_next) {
    const int64_t rows = item_.heads * item_.rows;
    std::fill_n(scratch_.max, rows, kNegInf);
    std::fill_n(scratch_.sum, rows * kMaxLanes, 0.0F);
    std::fill_n(scratch_.out, rows * decode_.out_stride_, 0.0F);
    if (item_.keys.empty()) return;
    for (int64_t h = 0; h < item_.heads; ++h)
      for (int64_t row = 0; row < item_.rows; row += kDecodeRows) pack(h, row);

    Tokens blocks[2];
    Tokens *now = &blocks[0], *next = &blocks[1];
    find(item_, item_.keys.begin, *now);
    for (bool last = false; !last; std::swap(now, next)) {
      last = now->keys.end == item_.keys.end;
      next->item = nullptr;
      if (!last) {
        find(item_, now->keys.end, *next);
      } else if (const int64_t index = likely_next(); index < static_cast<int64_t>(list.items.size())) {
        const DecodeItem& after = list.items[static_cast<size_t>(index)];
        if (!after.keys.empty()) find(after, after.keys.begin, *next);
      }
      run_block(*now, *next);
    }
  }

  int64_t query_of(int64_t row) const { return (item_.first_row + row) / p_.group(); }
  int64_t head_of(int64_t h, int64_t row) const {
    return (item_.key_head + h) * p_.group() + (item_.first_row + row) % p_.group();
  }

 private:
  /// Where the tokens of one block lie.
  struct Tokens {
    const DecodeItem* item = nullptr;  ///< null: there is none
    Range keys;
    const void* k[kDecodeKeys];
    const void* v[kDecodeKeys];
    const void* k_scales[kDecodeKeys];
    const void* v_scales[kDecodeKeys];
    int64_t run_end[kDecodeKeys];  ///< tokens before it follow one another at one distance
    int64_t runs;
  };

  /// The item's block that begins at `key`; the others begin at multiples of kDecodeKeys.
  void find(const DecodeItem& item, int64_t key, Tokens& to) const {
    to.item = &item;
    to.keys = intersect({key, (key / kDecodeKeys + 1) * kDecodeKeys}, item.keys);
    to.runs = 0;
    const int64_t n = item.sequence, count = to.keys.size();
    for (int64_t i = 0, end = 0; i < count; i = end) {
      KvCache::Slot slot{p_.cu_k.empty() ? n : 0, (p_.cu_k.empty() ? 0 : p_.cu_k[n]) + key};
      if (p_.cache) slot = p_.cache->slot(n, key + i);
      end = p_.cache ? std::min(count, i + p_.cache->rows - slot.row) : count;
      const auto fill = [&](const TokenArray& array, const void** rows) {
        if (array.base == nullptr) return;
        const std::byte* at = array.at(slot.entry, slot.row);
        for (int64_t j = i; j < end; ++j, at += array.row) rows[j] = at;
      };
      fill(k_, to.k);
      fill(v_, to.v);
      fill(k_scales_, to.k_scales);
      fill(v_scales_, to.v_scales);
      to.run_end[to.runs++] = end;
    }
  }

  std::byte* packed(int64_t h, int64_t row) const {
    const int64_t blocks = (item_.rows + kDecodeRows - 1) / kDecodeRows;
    return scratch_.q + (h * blocks + row / kDecodeRows) * decode_.q_bytes_;
  }
  int32_t rows_at(int64_t row) const { return static_cast<int32_t>(std::min<int64_t>(kDecodeRows, item_.rows - row)); }

  void pack(int64_t h, int64_t row) {
    const void* rows[kDecodeRows];
    const int32_t count = rows_at(row);
    for (int32_t i = 0; i < count; ++i)
      rows[i] = static_cast<const char*>(args_.q) +
                p_.q_offset(item_.sequence, query_of(row + i), head_of(h, row + i)) * dtype_bytes(p_.q_type);
    // softcap * tanh(scale * q.k / softcap) wants its argument from the products; otherwise exp2 does.
    const double unit = !has_terms_ ? kLog2e : p_.softcap > 0 ? 1 / p_.softcap : 1;
    const int64_t head = item_.key_head + h;
    const float* mean = p_.cache && p_.cache->k_mean ? args_.k_mean + head * p_.d : nullptr;
    decode_.kernel_.pack_q(decode_.shape_, packed(h, row), rows, element(p_.q_type), count,
                           static_cast<float>(p_.effective_scale() * unit),
                           channel_scales(p_.k_format(), args_.k_scales, head, p_.d), mean);
  }

  void run_block(const Tokens& now, const Tokens& next) {
    const bool shared_mask = !p_.mask.per_head();
    for (int64_t h = 0; h < item_.heads; ++h) {
      DecodeFetch fetch[4 * kDecodeKeys];
      const int32_t fetches = ask_for_next(now, next, h, fetch);
      bool asked = false;
      for (int64_t row = 0; row < item_.rows; row += kDecodeRows) {
        const int64_t slot = row / kDecodeRows;
        if (h == 0 || !shared_mask) look_at_mask(now.keys, h, row, slot);
        if (classes_[slot] == TileClass::skip) continue;
        run_rows(now, h, row, slot, fetch, asked ? 0 : fetches);
        asked = true;
      }
    }
  }

  /// The class of a block for the rows from `row` on, and their bits when it is partial.
  void look_at_mask(Range keys, int64_t h, int64_t row, int64_t slot) {
    const int32_t count = rows_at(row);
    const Range queries{query_of(row), query_of(row + count - 1) + 1};
    const int64_t heads = p_.mask.per_head() ? p_.group() : 1;
    bool skip = true, full = true;
    for (int64_t i = 0; i < heads; ++i) {
      const Frame frame = p_.frame(item_.sequence, (item_.key_head + h) * p_.group() + i);
      const TileClass one = p_.mask.classify(frame, queries, keys);
      skip &= one == TileClass::skip;
      full &= one == TileClass::full;
    }
    classes_[slot] = skip ? TileClass::skip : full ? TileClass::full : TileClass::partial;
    if (classes_[slot] != TileClass::partial) return;
    uint64_t any = 0;
    for (int32_t i = 0; i < count; ++i) {
      const Frame frame = p_.frame(item_.sequence, head_of(h, row + i));
      if (i > 0 && heads == 1 && query_of(row + i) == query_of(row + i - 1)) {
        bits_[slot][i] = bits_[slot][i - 1];
      } else {
        p_.mask.row_bits(frame, query_of(row + i), keys, &bits_[slot][i]);
      }
      any |= bits_[slot][i];
    }
    if (any == 0) classes_[slot] = TileClass::skip;
  }

  void run_rows(const Tokens& now, int64_t h, int64_t row, int64_t slot, const DecodeFetch* fetch, int32_t fetches) {
    const int64_t head = item_.key_head + h, at = h * item_.rows + row;
    DecodeBlock block;
    block.shape = decode_.shape_;
    block.rows = rows_at(row);
    block.keys = static_cast<int32_t>(now.keys.size());
    block.first_key = now.keys.begin;
    block.q = packed(h, row);
    block.k = {now.k, head * k_.head, k_scales_.base != nullptr ? now.k_scales : nullptr, head * k_scales_.head};
    block.v = {now.v, head * v_.head, v_scales_.base != nullptr ? now.v_scales : nullptr, head * v_scales_.head};
    block.bits = classes_[slot] == TileClass::partial ? bits_[slot] : nullptr;
    StripeTerms terms;
    float slopes[kDecodeRows];
    int64_t positions[kDecodeRows];
    const float* bias[kDecodeRows];
    if (has_terms_) {
      for (int32_t i = 0; i < block.rows; ++i) {
        const int64_t query = query_of(row + i), q_head = head_of(h, row + i), n = item_.sequence;
        positions[i] = p_.frame(n, q_head).key_position(query);
        if (p_.alibi) slopes[i] = args_.alibi_slopes[(p_.alibi_per_batch ? n * p_.hq : 0) + q_head];
        if (p_.bias) bias[i] = args_.bias + p_.bias_offset(n, q_head, query);
      }
      terms = {static_cast<float>(p_.softcap), p_.alibi ? slopes : nullptr, positions, p_.bias ? bias : nullptr};
      block.terms = &terms;
    }
    block.fetch = fetch;
    block.fetches = fetches;
    block.max = scratch_.max + at;
    block.sum = scratch_.sum + at * kMaxLanes;
    block.out = scratch_.out + at * decode_.out_stride_;
    block.out_stride = decode_.out_stride_;
    decode_.kernel_.run_block(block);
  }

  /// What is fetched while head `h` is computed. Where the heads of a token are neighbours: the head's share of the
  /// next block's tokens, all heads of each; else what the next head needs.
  int32_t ask_for_next(const Tokens& now, const Tokens& next, int64_t h, DecodeFetch* fetch) const {
    if (!heads_are_neighbours(p_)) {
      if (h + 1 < item_.heads) return ask_for(now, {0, now.keys.size()}, {h + 1, h + 2}, fetch);
      return next.item == nullptr ? 0 : ask_for(next, {0, next.keys.size()}, {0, 1}, fetch);
    }
    if (next.item == nullptr) return 0;
    const int64_t count = next.keys.size();
    return ask_for(next, {count * h / item_.heads, count * (h + 1) / item_.heads}, {0, next.item->heads}, fetch);
  }

  /// Some tokens of a block, some heads of each, in as few pieces as they lie in.
  int32_t ask_for(const Tokens& from, Range tokens, Range heads, DecodeFetch* fetch) const {
    int32_t fetches = 0;
    const auto add = [&](const TokenArray& array, const void* const* rows) {
      if (array.base == nullptr) return;
      const int64_t bytes = (heads.size() - 1) * array.head + array.row_bytes;
      const int64_t offset = (from.item->key_head + heads.begin) * array.head;
      int64_t i = tokens.begin;
      for (int64_t run = 0; i < tokens.end; ++run) {
        for (const int64_t stop = std::min(tokens.end, from.run_end[run]); i < stop;) {
          const int64_t joined = bytes == array.row ? stop - i : 1;
          fetch[fetches++] = {static_cast<const std::byte*>(rows[i]) + offset, joined * bytes};
          i += joined;
        }
      }
    };
    add(k_, from.k);
    add(v_, from.v);
    add(k_scales_, from.k_scales);
    add(v_scales_, from.v_scales);
    return fetches;
  }

  const Decode& decode_;
  const AttentionFwd& p_;
  const DecodeItem& item_;
  const AttentionFwdArgs& args_;
  const Scratch& scratch_;
  TokenArray k_, v_, k_scales_, v_scales_;
  bool has_terms_;
  TileClass classes_[kDecodeItemRows / kDecodeRows];
  uint64_t bits_[kDecodeItemRows / kDecodeRows][kDecodeRows];
};

Decode::Decode(const DecodeKernel& kernel, const AttentionFwd& problem, const DecodeRule& rule, int64_t chunk_keys)
    : kernel_(kernel), problem_(problem) {
  shape_ = {static_cast<int32_t>(problem.d), static_cast<int32_t>(problem.dv),
            decode_format(problem.k_format(), problem.k_type), decode_format(problem.v_format(), problem.v_type)};
  out_stride_ = kernel.out_stride(shape_);
  q_bytes_ = align_up(kernel.q_bytes(shape_, kDecodeRows));
  list_ = DecodeList::make(problem,
                           {rule, kDecodeItemRows, kDecodeKeys, chunk_keys / kDecodeKeys, heads_together(problem)});
  for (const DecodeItem& item : list_.items)
    most_blocks_ = std::max(most_blocks_, item.heads * ((item.rows + kDecodeRows - 1) / kDecodeRows));
}

int64_t Decode::scratch_bytes() const {
  return Scratch().place(list_.largest_item, most_blocks_, q_bytes_, out_stride_, nullptr);
}

int64_t Decode::shared_bytes() const { return Shared().place(list_, out_stride_, nullptr); }

void Decode::begin(std::byte* base) const {
  Shared shared;
  shared.place(list_, out_stride_, base);
  for (size_t i = 0; i < list_.merges.size(); ++i) new (shared.done + i) std::atomic<int64_t>(0);
}

void Decode::run_item(const AttentionFwdArgs& args, int64_t index, std::byte* scratch_base, std::byte* base,
                      const std::function<int64_t()>& likely_next) const {
  const DecodeItem& item = list_.items[static_cast<size_t>(index)];
  Scratch scratch;
  scratch.place(list_.largest_item, most_blocks_, q_bytes_, out_stride_, scratch_base);
  Item running(*this, item, args, scratch);
  running.compute(list_, likely_next);

  const auto store = [&](int64_t h, int64_t row, float max, float sum, float* out) {
    const int64_t query = running.query_of(row), head = running.head_of(h, row);
    if (sum == 0) std::fill_n(out, out_stride_, 0.0F);
    const float factor = finish_row(problem_, args, item.sequence, query, head, max, sum);
    auto* o = static_cast<char*>(args.o) + problem_.o_offset(item.sequence, query, head) * dtype_bytes(problem_.o_type);
    kernel_.store_row(shape_, o, element(problem_.o_type), out, factor,
                      channel_scales(problem_.v_format(), args.v_scales, item.key_head + h, problem_.dv));
  };
  const int64_t rows = item.heads * item.rows;
  if (item.merge < 0) {
    for (int64_t i = 0; i < rows; ++i)
      store(i / item.rows, i % item.rows, scratch.max[i], sum_of_lanes(scratch.sum + i * kMaxLanes),
            scratch.out + i * out_stride_);
    return;
  }

  const DecodeMerge& merge = list_.merges[static_cast<size_t>(item.merge)];
  Shared shared;
  shared.place(list_, out_stride_, base);
  const int64_t first = merge.first_state + item.part * rows;
  for (int64_t i = 0; i < rows; ++i) {
    shared.max[first + i] = scratch.max[i];
    shared.sum[first + i] = sum_of_lanes(scratch.sum + i * kMaxLanes);
  }
  std::copy_n(scratch.out, rows * out_stride_, shared.out + first * out_stride_);
  if (shared.done[item.merge].fetch_add(1, std::memory_order_acq_rel) + 1 < merge.parts) return;

  // All parts are there: they are added in their order, whoever came last.
  for (int64_t i = 0; i < rows; ++i) {
    float max = kNegInf;
    for (int64_t part = 0; part < merge.parts; ++part) {
      const float one = shared.max[merge.first_state + part * rows + i];
      if (max == max && !(one <= max)) max = one;  // a NaN stays
    }
    float sum = 0;
    float* out = scratch.out;
    std::fill_n(out, out_stride_, 0.0F);
    for (int64_t part = 0; part < merge.parts; ++part) {
      const int64_t state = merge.first_state + part * rows + i;
      if (shared.sum[state] == 0) continue;  // no key; -inf - -inf is no number
      const auto weight = static_cast<float>(std::exp2(static_cast<double>(shared.max[state]) - max));
      sum += weight * shared.sum[state];
      const float* one = shared.out + state * out_stride_;
      for (int64_t c = 0; c < out_stride_; ++c) out[c] += weight * one[c];
    }
    store(i / item.rows, i % item.rows, max, sum, out);
  }
}

std::string Decode::explain() const {
  char text[256];
  std::snprintf(text, sizeof text, "decode     %zu items of at most %lld rows and %lld keys, %s, %zu merges\n",
                list_.items.size(), static_cast<long long>(list_.largest_item),
                static_cast<long long>(list_.chunk_keys),
                heads_together(problem_) ? "key heads together" : "one key head each", list_.merges.size());
  return text;
}

}  // namespace attend::cpu
