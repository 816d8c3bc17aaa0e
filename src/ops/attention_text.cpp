// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <limits>

#include "base/text.hpp"
#include "ops/argument.hpp"
#include "ops/attention_check.hpp"
#include "ops/kv_cache.hpp"
#include "ops/mask/terms.hpp"
#include "ops/problem_line.hpp"

// The text form of a Problem; the grammar is docs/problem-text.md.
namespace attend {
namespace {

constexpr std::array kLayouts{Layout::bshd, Layout::bhsd, Layout::thd};
constexpr std::array<std::string_view, 3> kLayoutNames{"bshd", "bhsd", "thd"};

/// Cumulative sums of the lengths behind `key`; sets the longest.
Offsets read_lengths(Line& line, Key key, bool wide, int64_t& longest) {
  std::vector<int64_t> sums{0};
  longest = 0;
  for (const int64_t length : line.integers(key)) {
    if (length < 0 || length > kMaxExtent) line.fail(kNames[key], print_number(length), "lengths of 0 to 2147483647");
    if (!line.status().ok()) return {};
    longest = std::max(longest, length);
    sums.push_back(sums.back() + length);
  }
  if (wide) return Array<int64_t>(std::move(sums));
  if (sums.back() > std::numeric_limits<int32_t>::max()) {
    line.fail("offsets", "int32", "int64 for " + print_number(sums.back()) + " tokens");
    return {};
  }
  std::vector<int32_t> narrow;
  for (const int64_t sum : sums) narrow.push_back(static_cast<int32_t>(sum));
  return Array<int32_t>(std::move(narrow));
}

/// `text` split at commas into 1 or `n` parts; one part stands for all.
std::vector<std::string_view> read_parts(Line& line, Key key, std::string_view text, size_t n) {
  std::vector<std::string_view> parts;
  for (bool more = true; more && parts.size() <= n;) {
    more = text.find(',') != std::string_view::npos;
    parts.push_back(cut(text, ','));
  }
  if (parts.size() == 1) parts.resize(n, parts[0]);
  if (parts.size() != n)
    line.fail(kNames[key], in_quotes(line.text(key)), "1 or " + print_number(n) + " values joined by commas");
  parts.resize(n);
  return parts;
}

void read_sizes(Line& line, AttentionFwd& p) {
  for (const Key key : {kSq, kD}) {
    if (!line.has(key)) line.fail(kNames[key], "missing", "a value");
  }
  const Key k_lengths = line.has(kSk) ? kSk : kSq;
  const bool ragged_q = line.is_list(kSq), ragged_k = line.is_list(k_lengths);
  if (line.has(kOffsets) && !ragged_q && !ragged_k)
    line.fail("offsets", in_quotes(line.text(kOffsets)), "lists of lengths in sq or sk");
  const auto widths = read_parts(line, kOffsets, line.has(kOffsets) ? line.text(kOffsets) : "int32", 2);
  for (const std::string_view width : widths) {
    if (width != "int32" && width != "int64") line.fail("offsets", in_quotes(width), "int32 or int64");
  }
  if (!line.status().ok()) return;
  if (ragged_q) p.cu_q = read_lengths(line, kSq, widths[0] == "int64", p.sq);
  if (line.has(kCache)) {
    if (ragged_k) p.cu_k = read_lengths(line, k_lengths, true, p.sk);  // read_cache() makes them the cache's lengths
  } else if (ragged_k) {
    p.cu_k = read_lengths(line, k_lengths, widths[1] == "int64", p.sk);
  }
  if (!ragged_q) p.sq = line.integer(kSq, 0);
  if (!ragged_k) p.sk = line.integer(k_lengths, 0);
  if (!line.status().ok()) return;
  p.b = line.integer(kB, ragged_q ? p.cu_q.size() - 1 : ragged_k ? p.cu_k.size() - 1 : 1);
  if (ragged_q && p.cu_q.size() != p.b + 1 && p.b >= 0 && p.b <= kMaxExtent) {
    line.fail("sq", print_number(p.cu_q.size() - 1) + " lengths", "b = " + print_number(p.b));
  }
  if (ragged_k && p.cu_k.size() != p.b + 1 && p.b >= 0 && p.b <= kMaxExtent) {
    line.fail("sk", print_number(p.cu_k.size() - 1) + " lengths", "b = " + print_number(p.b));
  }
  p.hq = line.integer(kHq, 1);
  p.hk = line.integer(kHk, p.hq);
  p.d = line.integer(kD, 0);
  p.dv = line.integer(kDv, p.d);
}

void read_types(Line& line, AttentionFwd& p) {
  if (!line.has(kDtype)) return;
  const auto names = read_parts(line, kDtype, line.text(kDtype), 4);
  const std::array targets{&p.q_type, &p.k_type, &p.v_type, &p.o_type};
  for (size_t i = 0; i < targets.size() && line.status().ok(); ++i) {
    const Result<DType> type = parse_dtype(names[i]);
    if (type.ok()) {
      *targets[i] = *type;
    } else {
      line.fail(invalid_argument(std::string(kOperation) + ": " + type.status().message()));
    }
  }
}

/// The four strides of a Problem beside those that `layout` gives them: ragged sides are always [token][head][column].
struct Tensor4 {
  Key key;
  Strides AttentionFwd::*strides;
  Strides dense;
};

std::array<Tensor4, 4> tensors(const AttentionFwd& p, Layout layout) {
  const Layout q = p.cu_q.empty() ? layout : Layout::thd, k = p.cu_k.empty() ? layout : Layout::thd;
  const auto keys = [&](KvFormat format, int64_t columns) {
    return p.cache ? p.cache->dense(layout, format, p.hk, columns) : checked_dense_strides(k, p.sk, p.hk, columns);
  };
  return {{{kQ, &AttentionFwd::q_strides, checked_dense_strides(q, p.sq, p.hq, p.d)},
           {kK, &AttentionFwd::k_strides, keys(p.k_format(), p.d)},
           {kV, &AttentionFwd::v_strides, keys(p.v_format(), p.dv)},
           {kO, &AttentionFwd::o_strides, checked_dense_strides(q, p.sq, p.hq, p.dv)}}};
}

void read_strides(Line& line, AttentionFwd& p) {
  Layout layout = Layout::bshd;
  if (line.has(kLayout)) {
    const auto at = std::find(kLayoutNames.begin(), kLayoutNames.end(), line.text(kLayout));
    if (at == kLayoutNames.end()) return line.fail("layout", in_quotes(line.text(kLayout)), "bshd, bhsd or thd");
    layout = kLayouts[static_cast<size_t>(at - kLayoutNames.begin())];
  }
  for (const Tensor4& each : tensors(p, layout)) {
    p.*each.strides = each.dense;
    if (!line.has(each.key)) continue;
    const std::vector<int64_t> found = line.integers(each.key);
    if (found.size() != 3) return line.fail(kNames[each.key], in_quotes(line.text(each.key)), "batch,row,head");
    p.*each.strides = {found[0], found[1], found[2]};
  }
  if (p.cache) read_scale_strides(line, layout, p);
}

void read_terms(Line& line, AttentionFwd& p) {
  if (line.has(kScale)) p.scale = line.number(kScale);
  if (line.has(kSoftcap)) p.softcap = line.number(kSoftcap);
  p.alibi_per_batch = line.text(kAlibi) == "batch";
  p.alibi = p.alibi_per_batch || line.flag(kAlibi);
  p.sink = line.flag(kSink);
  p.lse = line.flag(kLse);
  if (!line.has(kBias)) return;
  p.bias.emplace();
  if (line.text(kBias) == "1") return;
  const std::array<std::pair<char, bool BiasShape::*>, 3> letters{
      {{'b', &BiasShape::batch}, {'h', &BiasShape::head}, {'q', &BiasShape::row}}};
  for (const char c : line.text(kBias)) {
    const auto at = std::find_if(letters.begin(), letters.end(), [c](const auto& each) { return each.first == c; });
    if (at == letters.end() || (*p.bias).*(at->second)) {
      return line.fail("bias", in_quotes(line.text(kBias)), "1, or each of b, h and q at most once");
    }
    (*p.bias).*(at->second) = true;
  }
}

std::string print_lengths(const Offsets& cu, int64_t length) {
  if (cu.empty()) return print_number(length);
  std::string out;
  for (int64_t n = 0; n + 1 < cu.size(); ++n) {
    if (n > 0) out += ',';
    out += print_number(cu[n + 1] - cu[n]);
  }
  return cu.size() <= 2 ? out + ',' : out;
}

}  // namespace

Result<AttentionFwd> AttentionFwd::parse(std::string_view text) {
  Line line(text);
  AttentionFwd p;
  if (line.status().ok()) read_sizes(line, p);
  if (line.status().ok()) read_types(line, p);
  if (line.status().ok()) read_cache(line, p);
  if (line.status().ok()) line.fail(check_sizes(p));
  if (line.status().ok() && p.cache) line.fail(check_cache(p));
  if (line.status().ok()) read_strides(line, p);
  if (line.status().ok()) read_terms(line, p);
  if (line.status().ok() && line.has(kMask)) {
    Result<Mask> parsed = parse_mask(line.text(kMask), p);
    if (parsed.ok()) {
      p.mask = std::move(*parsed);
    } else {
      line.fail(parsed.status());
    }
  }
  if (line.status().ok()) line.fail(p.check());
  if (!line.status().ok()) return line.status();
  return p;
}

std::string AttentionFwd::text() const {
  std::string out(kOperation);
  const auto add = [&out](Key key, std::string_view value) {
    out.append(" ").append(kNames[key]).append("=").append(value);
  };
  add(kB, print_number(b));
  add(kHq, print_number(hq));
  add(kHk, print_number(hk));
  add(kSq, print_lengths(cu_q, sq));
  add(kSk, cache ? print_cache_lengths(*cache) : print_lengths(cu_k, sk));
  add(kD, print_number(d));
  if (dv != d) add(kDv, print_number(dv));
  std::string types = dtype_name(q_type);
  if (k_type != q_type || v_type != q_type || o_type != q_type) {
    for (const DType type : {k_type, v_type, o_type}) types.append(",").append(dtype_name(type));
  }
  add(kDtype, types);
  if (cu_q.is_wide() || cu_k.is_wide()) {
    const bool all = (cu_q.empty() || cu_q.is_wide()) && (cu_k.empty() || cu_k.is_wide());
    add(kOffsets, all ? "int64" : cu_q.is_wide() ? "int64,int32" : "int32,int64");
  }
  size_t layout = 0;
  for (size_t i = kLayouts.size(); i-- > 0;) {
    const auto all = tensors(*this, kLayouts[i]);
    if (std::all_of(all.begin(), all.end(), [this](const Tensor4& each) { return this->*each.strides == each.dense; }))
      layout = i;
  }
  if (layout != 0) add(kLayout, kLayoutNames[layout]);
  for (const Tensor4& each : tensors(*this, kLayouts[layout])) {
    const Strides& s = this->*each.strides;
    if (s != each.dense) add(each.key, print_number(s.batch) + "," + print_number(s.row) + "," + print_number(s.head));
  }
  if (cache) out += print_cache(*this, kLayouts[layout]);
  if (scale) add(kScale, print_number(*scale));
  if (softcap != 0) add(kSoftcap, print_number(softcap));
  if (alibi) add(kAlibi, alibi_per_batch ? "batch" : "1");
  if (bias) {
    const std::string letters = std::string(bias->batch ? "b" : "") + (bias->head ? "h" : "") + (bias->row ? "q" : "");
    add(kBias, letters.empty() ? "1" : letters);
  }
  if (sink) add(kSink, "1");
  if (lse) add(kLse, "1");
  // A mask that contradicts the Problem may have lists that end early: such a Problem is printed for its error message
  // only.
  if (!mask.none()) add(kMask, check_sizes(*this).ok() && mask.check(*this).ok() ? print_mask(mask) : "?");
  return out;
}

}  // namespace attend
