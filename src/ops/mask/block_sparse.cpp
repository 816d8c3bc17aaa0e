// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <span>

#include "base/saturate.hpp"
#include "ops/argument.hpp"
#include "ops/mask/bits.hpp"
#include "ops/mask/terms.hpp"

namespace attend {
namespace {

/// Columns of one tile row, rising.
std::span<const int32_t> tile_row(const BlockSparse& mask, int64_t head, int64_t row) {
  const int64_t at = (mask.heads == 1 ? 0 : head) * mask.tile_rows + row;
  return {mask.columns.data() + mask.row_ptr[at], static_cast<size_t>(mask.row_ptr[at + 1] - mask.row_ptr[at])};
}

int64_t tiles_of(int64_t extent, int64_t tile) { return extent / tile + (extent % tile != 0); }

}  // namespace

TileClass BlockSparse::classify(const Frame& frame, Range q, Range k) const {
  if (q.empty() || k.empty()) return TileClass::skip;
  const int64_t first = k.begin / k_tile, last = (k.end - 1) / k_tile;
  bool any = false, all = true;
  for (int64_t row = q.begin / q_tile; row <= (q.end - 1) / q_tile; ++row) {
    const auto present = tile_row(*this, frame.head, row);
    const auto from = std::lower_bound(present.begin(), present.end(), first);
    const auto to = std::upper_bound(from, present.end(), last);
    any |= from != to;
    all &= to - from == last - first + 1;
    if (any && !all) return TileClass::partial;
  }
  return all ? TileClass::full : TileClass::skip;
}

bool BlockSparse::keep(const Frame& frame, int64_t q, int64_t k) const {
  const auto present = tile_row(*this, frame.head, q / q_tile);
  return std::binary_search(present.begin(), present.end(), k / k_tile);
}

void BlockSparse::restrict_row(const Frame& frame, int64_t q, Range k, uint64_t* bits) const {
  const auto present = tile_row(*this, frame.head, q / q_tile);
  int64_t done = k.begin;
  for (auto each = std::lower_bound(present.begin(), present.end(), k.begin / k_tile);
       each != present.end() && *each * k_tile < k.end; ++each) {
    clear_bits(bits, done - k.begin, *each * k_tile - k.begin);
    done = std::max(done, std::min(k.end, (*each + 1) * k_tile));
  }
  clear_bits(bits, done - k.begin, k.end - k.begin);
}

Range BlockSparse::key_span(const Frame& frame, Range q) const {
  Range span{frame.sk, 0};
  for (int64_t row = q.begin / q_tile; row <= (q.end - 1) / q_tile; ++row) {
    const auto present = tile_row(*this, frame.head, row);
    if (present.empty()) continue;
    span.begin = std::min(span.begin, present.front() * k_tile);
    span.end = std::max(span.end, (present.back() + 1) * k_tile);
  }
  return intersect(span, {0, frame.sk});
}

// Text: `block_sparse:QxK:0,2/1/0,1`, the columns of each tile row, heads separated by `|`; or
// `block_sparse:QxK:random:DENSITY:SEED`, with `:perhead` for tiles of each head's own.

Status check_term(const BlockSparse& term, const AttentionFwd& problem) {
  const std::string name = "mask.block_sparse.";
  for (const int64_t tile : {term.q_tile, term.k_tile}) {
    if (tile < 1 || tile > kMaxExtent) return wrong_argument(name + "tile", tile, "1 to 2147483647");
  }
  if (term.heads != 1 && term.heads != problem.hq) {
    return wrong_argument(name + "heads", term.heads, "1 or hq = " + print_number(problem.hq));
  }
  const int64_t tile_rows = tiles_of(problem.sq, term.q_tile), tile_columns = tiles_of(problem.sk, term.k_tile);
  if (term.tile_rows != tile_rows) {
    return wrong_argument(name + "tile_rows", term.tile_rows, print_number(tile_rows) + " (sq / tile, rounded up)");
  }
  const int64_t rows = term.heads * term.tile_rows;
  if (term.row_ptr.size() != rows + 1) {
    return wrong_argument(name + "row_ptr", print_number(term.row_ptr.size()) + " numbers",
                          print_number(rows + 1) + " (heads * tile_rows + 1)");
  }
  if (term.row_ptr[0] != 0) return wrong_argument(name + "row_ptr", term.row_ptr[0], "0 at the start");
  for (int64_t i = 0; i < rows; ++i) {
    if (term.row_ptr[i + 1] < term.row_ptr[i]) {
      return wrong_argument(name + "row_ptr",
                            print_number(term.row_ptr[i + 1]) + " after " + print_number(term.row_ptr[i]),
                            "never falling numbers");
    }
  }
  if (term.row_ptr[rows] != term.columns.size()) {
    return wrong_argument(name + "columns", print_number(term.columns.size()) + " numbers",
                          print_number(term.row_ptr[rows]) + " (the last of row_ptr)");
  }
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t at = term.row_ptr[i]; at < term.row_ptr[i + 1]; ++at) {
      const int64_t column = term.columns[at];
      if (column < 0 || column >= tile_columns) {
        return wrong_argument(name + "columns", column, "0 to less than " + print_number(tile_columns));
      }
      if (at > term.row_ptr[i] && column <= term.columns[at - 1]) {
        return wrong_argument(name + "columns", print_number(column) + " after " + print_number(term.columns[at - 1]),
                              "rising numbers in each tile row");
      }
    }
  }
  return {};
}

std::string print_term(const BlockSparse& term) {
  std::string out = ":" + print_number(term.q_tile) + "x" + print_number(term.k_tile) + ":";
  if (!term.columns.recipe().empty()) return out + term.columns.recipe();
  for (int64_t head = 0; head < term.heads; ++head) {
    if (head > 0) out += '|';
    for (int64_t row = 0; row < term.tile_rows; ++row) {
      if (row > 0) out += '/';
      bool first = true;
      for (const int32_t column : tile_row(term, head, row)) {
        if (!first) out += ',';
        first = false;
        out += print_number(column);
      }
    }
  }
  return out;
}

void read_term(TermReader& in, const AttentionFwd& problem, BlockSparse& term) {
  std::string_view tiles = in.word("tile");
  const std::string_view whole = tiles;
  const auto q_tile = parse_number<int64_t>(cut(tiles, 'x')), k_tile = parse_number<int64_t>(tiles);
  if (!q_tile || !k_tile || *q_tile < 1 || *k_tile < 1 || *q_tile > kMaxExtent || *k_tile > kMaxExtent) {
    in.fail("tile", in_quotes(whole), "rows x keys as in 64x64, each 1 to 2147483647");
    return;
  }
  term.q_tile = *q_tile;
  term.k_tile = *k_tile;
  term.tile_rows = tiles_of(problem.sq, term.q_tile);
  const int64_t tile_columns = tiles_of(problem.sk, term.k_tile);
  std::vector<int64_t> row_ptr{0};
  std::vector<int32_t> columns;
  std::string recipe;
  if (in.take("random")) {
    const RandomRecipe random = RandomRecipe::read(in);
    const bool per_head = in.take("perhead");
    term.heads = per_head ? problem.hq : 1;
    if (!in.expand(saturating_product(
            {term.heads, std::max<int64_t>(1, term.tile_rows), std::max<int64_t>(1, tile_columns)}))) {
      return;
    }
    Rng rng(random.seed);
    for (int64_t row = 0; row < term.heads * term.tile_rows; ++row) {
      for (int64_t column = 0; column < tile_columns; ++column) {
        if (rng.uniform() < random.density) columns.push_back(static_cast<int32_t>(column));
      }
      row_ptr.push_back(static_cast<int64_t>(columns.size()));
    }
    recipe = "random:" + print_number(random.density) + ":" + print_number(random.seed) + (per_head ? ":perhead" : "");
  } else {
    std::string_view text = in.word("columns");
    term.heads = 1 + std::count(text.begin(), text.end(), '|');
    for (int64_t head = 0; head < term.heads && in.status().ok(); ++head) {
      std::string_view rows = cut(text, '|');
      const int64_t found = term.tile_rows == 0 && rows.empty() ? 0 : 1 + std::count(rows.begin(), rows.end(), '/');
      if (found != term.tile_rows) {
        in.fail("columns", print_number(found) + " tile rows",
                print_number(term.tile_rows) + " (sq / tile, rounded up)");
        return;
      }
      for (int64_t row = 0; row < found; ++row) {
        std::string_view items = cut(rows, '/');
        while (!items.empty()) {
          const std::string_view item = cut(items, ',');
          const auto column = parse_number<int32_t>(item);
          if (!column) in.fail("columns", in_quotes(item), "integers joined by commas");
          columns.push_back(column.value_or(0));
        }
        row_ptr.push_back(static_cast<int64_t>(columns.size()));
      }
    }
  }
  term.row_ptr = {std::move(row_ptr), recipe};
  term.columns = {std::move(columns), std::move(recipe)};
}

std::string draw_term(const BlockSparse&, Rng& rng, const AttentionFwd& problem) {
  const int64_t q_tile = 1 + rng.below(problem.sq + 2), k_tile = 1 + rng.below(problem.sk + 2);
  return ":" + print_number(q_tile) + "x" + print_number(k_tile) +
         ":random:" + print_number(static_cast<double>(rng.below(5)) / 4) + ":" + print_number(rng.next()) +
         (rng.below(2) == 0 ? ":perhead" : "");
}

}  // namespace attend
