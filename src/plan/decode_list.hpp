// SPDX-License-Identifier: Apache-2.0
// How sequences with few query rows are cut: rows into blocks, keys into chunks whose results are merged (split-KV,
// Flash-Decoding; FlashInfer, arXiv:2501.01005, section 3.3). What is cut where depends on the Problem alone.
#pragma once
#include <attend/attention.hpp>
#include <cstdint>
#include <vector>

namespace attend::plan_detail {

/// Rows of some key heads of one sequence against a chunk of its keys. Row r of key head h is query r / g of head
/// h * g + r % g, g heads to a group.
struct DecodeItem {
  int64_t sequence = 0;
  int64_t key_head = 0, heads = 0;
  int64_t first_row = 0, rows = 0;  ///< of each key head
  Range keys;
  int64_t merge = -1;  ///< which merge its results go to; -1: they are whole
  int64_t part = 0;    ///< the how manieth of it
};

/// Chunks that together are all keys of some rows; those in which the mask says that no row sees a key are left out.
struct DecodeMerge {
  int64_t first_state = 0;  ///< states of part p, head h, row r: first_state + (p * heads + h) * rows + r
  int64_t parts = 0;
};

/// Which sequences are decoded. Others pay for packing their keys, which more rows share.
struct DecodeRule {
  int64_t most_rows = 0;       ///< of a sequence and key head
  int64_t most_rows_long = 0;  ///< the same where the sequence has `long_keys` keys or more
  int64_t long_keys = 0;

  bool holds(const AttentionFwd& problem, int64_t sequence) const {
    const int64_t rows = problem.query_length(sequence) * problem.group();
    return rows > 0 && rows <= (problem.key_length(sequence) < long_keys ? most_rows : most_rows_long);
  }
};

struct DecodeList {
  struct Shape {
    DecodeRule rule;
    int64_t item_rows = 0;  ///< rows of all key heads of an item at most
    int64_t block_keys = 0;
    int64_t chunk_blocks = 0;     ///< of every chunk; 0: as the Problem's size suggests
    bool heads_together = false;  ///< an item has all key heads, as their keys are neighbours in memory
  };

  std::vector<DecodeItem> items;  ///< in the order of memory
  std::vector<DecodeMerge> merges;
  int64_t states = 0;  ///< rows times parts, of all merges
  int64_t chunk_keys = 0;
  int64_t largest_item = 0;  ///< heads times rows

  static DecodeList make(const AttentionFwd& problem, const Shape& shape);
};

}  // namespace attend::plan_detail
