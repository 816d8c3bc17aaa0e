// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "verify.hpp"

namespace attend::verify {
namespace {

/// Where kernels change their ways: vector widths, stripes, register tiles and key blocks, with both neighbours, and
/// primes.
constexpr int64_t kEdges[] = {0,   1,   2,   3,   5,   6,   7,   8,   11,  12,  13,  15,  16,  17,  23,  24,  25,  31,
                              32,  33,  37,  47,  48,  49,  61,  63,  64,  65,  79,  80,  81,  95,  96,  97,  101, 127,
                              128, 129, 149, 191, 192, 193, 211, 255, 256, 257, 293, 383, 384, 385, 509, 511, 512, 513};

const std::string kMaskNames[] = {
#define ATTEND_MASK(Type, name, doc) #name,
#include <attend/mask/masks.def>
#undef ATTEND_MASK
};

class Draw {
 public:
  Draw(uint64_t seed, const GeneratorLimits& limits) : rng_(seed), limits_(limits) {}

  AttentionFwd problem() {
    served_ = limits_.served.share > 0 && chance(limits_.served.share);
    if (served_) {
      limits_.max_rows = limits_.served.max_rows;
      limits_.max_work = limits_.served.max_work;
    }
    AttentionFwd p;
    p.b = between(1, std::max<int64_t>(1, limits_.max_batch));
    if (chance(0.02)) p.b = 0;
    heads(p);
    p.sq = size(0, limits_.max_rows);
    p.sk = chance(0.4) ? p.sq : size(0, limits_.max_rows);
    p.d = columns();
    p.dv = chance(0.7) ? p.d : columns();
    if (served_ && p.d == 192 && chance(0.4)) p.dv = 128;  // as models have them
    shrink(p);
    lengths(p);
    types(p);
    strides(p);
    score_terms(p);
    p.lse = chance(0.5);
    if (limits_.caches > 0 && chance(limits_.caches)) cache(p);
    return p;
  }

  std::string mask(const AttentionFwd& p) {
    std::string terms;
    // What a ring has overwritten must be hidden, from the first query on.
    if (p.cache && p.cache->placement == KvPlacement::ring && p.cache->rows < p.sk)
      terms = "window:" + text(p.cache->rows - p.sq) + ":" + text(between(-1, 3));
    const int64_t count = chance(0.15) ? 0 : chance(0.7) ? 1 : between(2, 3);
    for (int64_t i = 0; i < count; ++i) {
      terms += (terms.empty() ? "" : "&") + term(static_cast<MaskKind>(rng_.below(std::size(kMaskNames))), p);
    }
    return terms;
  }
  std::string term(MaskKind kind, const AttentionFwd& p) {
    return kMaskNames[static_cast<size_t>(kind)] + fields(kind, p);
  }

 private:
  bool chance(double p) { return rng_.uniform() < p; }
  int64_t between(int64_t low, int64_t high) { return low + rng_.below(high - low + 1); }
  template <class T>
  T pick(std::initializer_list<T> choices) {
    return choices.begin()[rng_.below(static_cast<int64_t>(choices.size()))];
  }

  /// In [low, high], at an edge more often than not; small more often than large.
  int64_t size(int64_t low, int64_t high) {
    if (chance(0.7)) {
      const auto* begin = std::lower_bound(std::begin(kEdges), std::end(kEdges), low);
      const auto* end = std::upper_bound(std::begin(kEdges), std::end(kEdges), high);
      if (begin < end) return begin[rng_.below(end - begin)];
    }
    return between(low, chance(0.5) ? high : std::min(high, low + 40));
  }
  int64_t columns() {
    const int64_t most = limits_.max_columns;
    if (served_) {
      const int64_t kept = std::max<int64_t>(std::min<int64_t>(most, 256) / 8, 1);
      if (chance(0.15)) return 8 * between(1, kept);
      return 8 * std::min(kept, pick<int64_t>({64, 64, 96, 128, 128, 192, 192, 256}) / 8);
    }
    if (chance(0.4)) return std::min(most, pick<int64_t>({32, 64, 80, 96, 128}));
    return size(1, chance(0.8) ? std::min<int64_t>(most, 130) : most);
  }

  void heads(AttentionFwd& p) {
    const int64_t most = std::max<int64_t>(1, limits_.max_heads);
    const int64_t group = std::min(most, pick<int64_t>({1, 1, 2, 3, 4, 8}));
    p.hk = chance(0.3) ? 1 : between(1, std::max<int64_t>(1, most / group));
    p.hq = p.hk * group;
  }

  /// Halves the largest extent until the work fits.
  void shrink(AttentionFwd& p) {
    const auto work = [&] {
      return static_cast<double>(std::max<int64_t>(p.b, 1) * p.hq) * static_cast<double>(p.sq * p.sk) *
             static_cast<double>(p.d + p.dv);
    };
    while (work() > limits_.max_work) {
      if (p.b > 1) {
        p.b = p.b / 2;
      } else if (p.hk > 1) {
        p.hq = p.group();
        p.hk = 1;
      } else if (std::max(p.sq, p.sk) > 1) {
        int64_t& longest = p.sq > p.sk ? p.sq : p.sk;
        longest = longest / 2;
      } else {
        return;
      }
    }
  }

  void lengths(AttentionFwd& p) {
    if (chance(0.3)) p.cu_q = ragged(p.b, p.sq);
    if (chance(p.cu_q.empty() ? 0.1 : 0.85)) p.cu_k = ragged(p.b, p.sk);
  }
  /// Cumulative lengths up to `longest`, which becomes the longest one drawn.
  Offsets ragged(int64_t b, int64_t& longest) {
    std::vector<int64_t> cumulative{0};
    int64_t most = 0;
    for (int64_t n = 0; n < b; ++n) {
      const int64_t length = chance(0.15)  ? 0
                             : chance(0.3) ? longest
                                           : std::min(longest, size(0, std::max<int64_t>(longest, 1)));
      cumulative.push_back(cumulative.back() + length);
      most = std::max(most, length);
    }
    longest = most;
    if (chance(0.5)) return Array<int64_t>(std::move(cumulative));
    return Array<int32_t>(std::vector<int32_t>(cumulative.begin(), cumulative.end()));
  }

  DType type() { return served_ ? pick({DType::f16, DType::bf16}) : pick({DType::f32, DType::f16, DType::bf16}); }
  void types(AttentionFwd& p) {
    p.q_type = p.k_type = p.v_type = p.o_type = type();
    if (served_ || chance(0.75)) return;
    p.k_type = p.v_type = type();
    if (chance(0.5)) p.o_type = type();
    if (chance(0.3)) p.v_type = type();
  }

  void strides(AttentionFwd& p) {
    const auto layout = pick({Layout::bshd, Layout::bhsd});
    p.q_strides = rows_of(p.cu_q.empty(), layout, p.sq, p.hq, p.d);
    p.k_strides = rows_of(p.cu_k.empty(), layout, p.sk, p.hk, p.d);
    p.v_strides = rows_of(p.cu_k.empty(), layout, p.sk, p.hk, p.dv);
    p.o_strides = rows_of(p.cu_q.empty(), layout, p.sq, p.hq, p.dv);
    if (served_ || chance(0.7)) return;
    // A layout for each tensor, with gaps between rows, heads and sequences.
    const int64_t queries = total(p.cu_q, p.sq), keys = total(p.cu_k, p.sk);
    p.q_strides = padded(queries, p.hq, p.d);
    p.k_strides = padded(keys, p.hk, p.d);
    p.v_strides = padded(keys, p.hk, p.dv);
    p.o_strides = padded(queries, p.hq, p.dv);
    for (Strides* input : {&p.q_strides, &p.k_strides, &p.v_strides}) {
      if (chance(0.12)) *pick({&input->batch, &input->row, &input->head}) = 0;  // broadcast
    }
  }
  static Strides rows_of(bool fixed, Layout layout, int64_t rows, int64_t heads, int64_t cols) {
    return dense_strides(fixed ? layout : Layout::thd, rows, heads, cols);
  }
  /// Rows behind one another in memory: of one sequence, or of all of a ragged batch.
  static int64_t total(const Offsets& cumulative, int64_t rows) {
    return cumulative.empty() ? rows : cumulative[cumulative.size() - 1];
  }
  Strides padded(int64_t rows, int64_t heads, int64_t cols) {
    const auto gap = [&] { return chance(0.4) ? pick<int64_t>({1, 2, 3, 8, 16, 29}) : 0; };
    rows = std::max<int64_t>(rows, 1);
    Strides strides;
    if (chance(0.5)) {
      strides.head = cols + gap();
      strides.row = heads * strides.head + gap();
      strides.batch = rows * strides.row + gap();
    } else {
      strides.row = cols + gap();
      strides.head = rows * strides.row + gap();
      strides.batch = heads * strides.head + gap();
    }
    return strides;
  }

  void score_terms(AttentionFwd& p) {
    if (chance(0.15)) p.scale = served_ ? pick({1.0, 0.25, 0.111, 2.0}) : pick({0.0, 1.0, 0.25, -0.5, 0.111, 2.0});
    if (chance(0.12)) p.softcap = pick({0.5, 5.0, 30.0});
    if (chance(0.12)) {
      p.alibi = true;
      p.alibi_per_batch = chance(0.3);
    }
    if (chance(0.12)) p.sink = true;
    if (chance(0.12)) p.bias = BiasShape{chance(0.5), chance(0.5), chance(0.7)};
  }

  void cache(AttentionFwd& p) {
    KvCache c;
    std::vector<int32_t> lengths, first, entry;
    for (int64_t n = 0; n < p.b; ++n) lengths.push_back(static_cast<int32_t>(p.key_length(n)));
    p.cu_k = {};
    if (p.b == 0) p.sk = 0;
    c.lengths = Array<int32_t>(lengths);
    c.placement = pick({KvPlacement::contiguous, KvPlacement::ring, KvPlacement::paged, KvPlacement::paged});
    const bool padded_left = c.placement != KvPlacement::ring && chance(0.3);
    for (int64_t n = 0; padded_left && n < p.b; ++n) first.push_back(static_cast<int32_t>(between(0, 9)));
    c.first = Array<int32_t>(std::move(first));
    if (c.placement == KvPlacement::paged) {
      c.rows = pick<int64_t>({1, 2, 3, 7, 16, 16, 64, 100, 128});
      int64_t pages = 0;
      for (const int32_t length : lengths) pages += (length + 9) / c.rows + 1;
      c.entries = pages + between(0, 5);
      deal(p, c);
    } else {
      c.rows = p.sk + 9 + (chance(0.5) ? between(0, 40) : 0);
      if (c.placement == KvPlacement::ring && chance(0.7))
        c.rows = between(std::max<int64_t>(p.sq, 1), p.sq + p.sk + 1);
      c.entries = p.b + between(0, 3);
      if (chance(0.5)) {
        for (int64_t n = 0; n < p.b; ++n) entry.push_back(static_cast<int32_t>((n + 1) % c.entries));
        c.entry = Array<int32_t>(std::move(entry));
      }
    }
    const auto format = [&] {
      return pick({KvFormat::plain, KvFormat::plain, KvFormat::int8, KvFormat::int8_channel, KvFormat::int4_32,
                   KvFormat::int4_64, KvFormat::e4m3});
    };
    c.k_format = format();
    c.v_format = chance(0.5) ? c.k_format : format();
    c.k_mean = chance(0.2);
    const Layout layout = pick({Layout::bshd, Layout::bhsd});
    p.k_strides = c.dense(layout, c.k_format, p.hk, p.d);
    p.v_strides = c.dense(layout, c.v_format, p.hk, p.dv);
    c.k_scale_strides = c.dense_scales(layout, c.k_format, p.hk, p.d);
    c.v_scale_strides = c.dense_scales(layout, c.v_format, p.hk, p.dv);
    p.cache = std::move(c);
  }
  /// Pages of each sequence, no page twice but for those that all begin with.
  void deal(const AttentionFwd& p, KvCache& c) {
    std::vector<int32_t> deck, pages;
    for (int64_t i = 0; i < c.entries; ++i) deck.push_back(static_cast<int32_t>(i));
    for (size_t i = deck.size(); i > 1; --i)
      std::swap(deck[i - 1], deck[static_cast<size_t>(rng_.below(static_cast<int64_t>(i)))]);
    const int64_t shared = chance(0.3) ? between(0, 3) : 0;
    std::vector<int64_t> starts{0};
    int64_t next = shared;
    for (int64_t n = 0; n < p.b; ++n) {
      const int64_t used = (c.lengths[n] + (c.first.empty() ? 0 : c.first[n]) + c.rows - 1) / c.rows;
      for (int64_t i = 0; i < used; ++i) {
        const int64_t at = i < shared ? i : next++;
        pages.push_back(deck[static_cast<size_t>(at % static_cast<int64_t>(deck.size()))]);
      }
      starts.push_back(static_cast<int64_t>(pages.size()));
    }
    c.pages = Array<int32_t>(std::move(pages));
    c.cu_pages = Array<int64_t>(std::move(starts));
  }

  static std::string text(int64_t n) { return std::to_string(n); }
  std::string seed() { return text(rng_.below(1000000)); }
  std::string density() { return pick<std::string>({"0", "0.02", "0.1", "0.3", "0.5", "0.9", "1"}); }
  /// `count` numbers of `draw`, joined by commas.
  template <class F>
  static std::string list(int64_t count, F draw) {
    std::string out;
    for (int64_t i = 0; i < count; ++i) out += (i > 0 ? "," : "") + draw();
    return out;
  }
  int64_t limit(int64_t most) { return chance(0.25) ? -1 : size(0, most + 1); }

  /// Fields of one term, `:512:0`, that the Problem accepts. Drawn in the order of the text: `<<` has an order, `+` has
  /// none.
  std::string fields(MaskKind kind, const AttentionFwd& p) {
    std::ostringstream out;
    const auto flag = [&](double probability, const char* name) { return chance(probability) ? name : ""; };
    switch (kind) {
      case MaskKind::causal:
      case MaskKind::causal_top_left: break;
      case MaskKind::window: {
        out << ":" << limit(p.sk);
        out << ":" << (chance(0.5) ? 0 : limit(p.sk));
        break;
      }
      case MaskKind::chunk: out << ":" << size(1, p.sk + 1); break;
      case MaskKind::prefix_lm:
        if (chance(0.4)) {
          out << ":random:" << seed();
        } else {
          const int64_t count = chance(0.5) ? 1 : std::max<int64_t>(p.b, 1);
          out << ":" << list(count, [&] { return text(size(0, p.sk + 1)); });
        }
        break;
      case MaskKind::documents:
        if (chance(0.3)) {
          out << ":every:" << size(1, p.sk + 2);
        } else if (chance(0.5)) {
          out << ":random:" << between(1, 9) << ":" << seed();
        } else {
          out << ":" << documents(p.sk);
        }
        break;
      case MaskKind::block_sparse: {
        const auto tile = [&] { return pick<int64_t>({1, 3, 16, 24, 32, 64, 64, 64, 100, 128}); };
        out << ":" << tile() << "x" << tile() << ":random:" << density() << ":" << seed() << flag(0.5, ":perhead");
        break;
      }
      case MaskKind::padding:
        if (chance(0.5)) {
          out << ":random:" << seed();
        } else {
          out << ":" << list(p.b, [&] {
            const int64_t begin = between(0, p.sk), end = between(begin, p.sk);
            return text(begin) + ".." + text(end);
          });
        }
        break;
      case MaskKind::tree:
        out << ":" << std::min(p.sk, size(0, 130)) << ":random:" << seed() << flag(0.3, ":perbatch");
        break;
      case MaskKind::dense:
        out << ":random:" << density() << ":" << seed() << flag(0.3, ":perbatch") << flag(0.3, ":perhead");
        break;
      case MaskKind::streaming: out << ":" << size(0, std::min<int64_t>(p.sk, 130)) << ":" << size(0, p.sk); break;
    }
    return out.str();
  }
  /// Documents of drawn lengths, empty ones among them, that may end before the keys do or after.
  std::string documents(int64_t sk) {
    int64_t at = 0;
    std::string out = "0";
    for (int64_t count = between(0, 6); count > 0; --count) {
      at += size(0, std::max<int64_t>(sk / 2, 1));
      out += "," + text(at);
    }
    return out;
  }

  Rng rng_;
  GeneratorLimits limits_;
  bool served_ = false;
};

/// Masks are drawn as text, so that their lists remember the recipe by which a replay makes them again.
AttentionFwd masked(const AttentionFwd& plain, const std::string& mask) {
  const std::string line = plain.text() + (mask.empty() ? "" : " mask=" + mask);
  auto problem = AttentionFwd::parse(line);
  if (!problem.ok()) throw std::logic_error("the generator drew " + line + ": " + problem.status().message());
  return std::move(problem).value();
}

}  // namespace

AttentionFwd random_problem(uint64_t seed, const GeneratorLimits& limits) {
  Draw draw(seed, limits);
  const AttentionFwd plain = draw.problem();
  return masked(plain, draw.mask(plain));
}

AttentionFwd with_mask(const AttentionFwd& plain, MaskKind kind, uint64_t seed) {
  return masked(plain, Draw(seed, {}).term(kind, plain));
}

}  // namespace attend::verify
