// SPDX-License-Identifier: Apache-2.0
#include "plan/shared_prefix.hpp"

#include <algorithm>
#include <variant>

namespace attend::plan_detail {
namespace {

int64_t first_page(const KvCache& cache, int64_t n) {
  return cache.cu_pages.empty() ? n * cache.table_width : cache.cu_pages[n];
}

int32_t page(const KvCache& cache, int64_t n, int64_t i) { return cache.pages[first_page(cache, n) + i]; }

/// Whole pages of sequence n that all of its queries see.
int64_t open_pages(const AttentionFwd& p, int64_t n) {
  const Frame frame = p.frame(n, 0);
  int64_t pages = frame.sk / p.cache->rows;
  while (pages > 0 && frame.sq > 0 &&
         p.mask.classify(frame, {0, frame.sq}, {0, pages * p.cache->rows}) != TileClass::full)
    --pages;
  return pages;
}

/// Groups of [first, end) behind their first `depth` pages.
void find(const AttentionFwd& p, const std::vector<int64_t>& open, int64_t first, int64_t end, int64_t depth,
          int64_t least_pages, std::vector<SharedPrefix>& found) {
  const KvCache& cache = *p.cache;
  for (int64_t n = first; n < end;) {
    int64_t last = n + 1;
    if (open[n] > depth)
      while (last < end && open[last] > depth && page(cache, last, depth) == page(cache, n, depth)) ++last;
    if (last - n > 1) {
      int64_t pages = depth + 1;
      const auto all_share = [&] {
        for (int64_t i = n; i < last; ++i)
          if (open[i] <= pages || page(cache, i, pages) != page(cache, n, pages)) return false;
        return true;
      };
      while (all_share()) ++pages;
      if (pages - depth >= least_pages) {
        found.push_back({n, last, {depth * cache.rows, pages * cache.rows}});
        find(p, open, n, last, pages, least_pages, found);
      }
    }
    n = last;
  }
}

bool relative_to_the_end(const MaskTerm& term) {
  return std::holds_alternative<CausalBottomRight>(term) || std::holds_alternative<Window>(term) ||
         std::holds_alternative<Tree>(term);
}

void make_output_dense(AttentionFwd& p) {
  p.o_type = DType::f32;
  p.o_strides = dense_strides(p.cu_q.empty() ? Layout::bshd : Layout::thd, p.sq, p.hq, p.dv);
  p.lse = true;
}

}  // namespace

std::string refuse_cascade(const AttentionFwd& p) {
  if (!p.cache || p.cache->placement != KvPlacement::paged) return "keys are not in pages";
  if (!p.cache->first.empty()) return "sequences have left padding";
  if (p.alibi || p.bias) return "ALiBi and bias depend on positions";
  if (p.cu_q.empty() && p.q_strides.batch != p.sq * p.q_strides.row) return "rows of q are not behind one another";
  for (const MaskTerm& term : p.mask.terms())
    if (!relative_to_the_end(term)) return "the mask counts from the first key";
  return {};
}

std::vector<SharedPrefix> shared_prefixes(const AttentionFwd& p, int64_t least_tokens) {
  std::vector<SharedPrefix> found;
  std::vector<int64_t> open;
  for (int64_t n = 0; n < p.b; ++n) open.push_back(p.query_length(n) > 0 ? open_pages(p, n) : 0);
  find(p, open, 0, p.b, 0, std::max<int64_t>((least_tokens + p.cache->rows - 1) / p.cache->rows, 1), found);
  return found;
}

AttentionFwd prefix_problem(const AttentionFwd& p, const SharedPrefix& prefix) {
  AttentionFwd part = p;
  part.b = 1;
  part.cu_q = {};
  part.sq = 0;
  for (int64_t n = prefix.first; n < prefix.end; ++n) part.sq += p.query_length(n);
  part.sk = prefix.tokens.size();
  part.q_strides.batch = 0;
  part.mask = Mask();
  part.sink = false;
  const int64_t begin = first_page(*p.cache, prefix.first) + prefix.tokens.begin / p.cache->rows;
  part.cache->pages = Array<int32_t>(std::vector<int32_t>(
      p.cache->pages.begin() + begin, p.cache->pages.begin() + begin + prefix.tokens.size() / p.cache->rows));
  part.cache->cu_pages = {};
  part.cache->table_width = part.cache->pages.size();
  part.cache->lengths = Array<int32_t>(std::vector<int32_t>{static_cast<int32_t>(part.sk)});
  make_output_dense(part);
  return part;
}

AttentionFwd rest_problem(const AttentionFwd& p, const std::vector<int64_t>& skipped) {
  AttentionFwd rest = p;
  std::vector<int32_t> lengths, pages;
  std::vector<int64_t> starts{0};
  for (int64_t n = 0; n < p.b; ++n) {
    lengths.push_back(static_cast<int32_t>(p.key_length(n) - skipped[n]));
    const int64_t used = (p.key_length(n) + p.cache->rows - 1) / p.cache->rows;
    for (int64_t i = skipped[n] / p.cache->rows; i < used; ++i) pages.push_back(page(*p.cache, n, i));
    starts.push_back(static_cast<int64_t>(pages.size()));
  }
  rest.sk = lengths.empty() ? 0 : *std::max_element(lengths.begin(), lengths.end());
  rest.cache->lengths = Array<int32_t>(std::move(lengths));
  rest.cache->pages = Array<int32_t>(std::move(pages));
  rest.cache->cu_pages = Array<int64_t>(std::move(starts));
  rest.cache->table_width = 0;
  make_output_dense(rest);
  return rest;
}

}  // namespace attend::plan_detail
