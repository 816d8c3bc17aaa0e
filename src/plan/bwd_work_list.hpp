// SPDX-License-Identifier: Apache-2.0
// How one backward pass is cut: units (a key head of a sequence), blocks of query rows (each of one query head of a
// unit) and chunks of keys. A work item is a chunk of a unit: it makes dK and dV of its keys, alone, and parts of dQ,
// which blocks add up in the order of the chunks.
#pragma once
#include <attend/attention_bwd.hpp>
#include <cstdint>
#include <vector>

namespace attend::plan_detail {

struct BwdUnit {
  int64_t sequence = 0, key_head = 0;
  int64_t keys = 0;                     ///< of the sequence
  int64_t rows = 0;                     ///< query rows of all heads of the group
  int64_t first_row = 0;                ///< among the rows of all units
  int64_t first_block = 0, blocks = 0;  ///< among the blocks of all units
  int64_t chunks = 0;                   ///< ceil(keys / chunk keys)
};

struct BwdBlockRows {
  int64_t head = 0;
  int64_t first_query = 0;
  int32_t rows = 0;
  int64_t first_row = 0;                   ///< among the rows of the unit
  int64_t first_chunk = 0, end_chunk = 0;  ///< chunks in which some row may see a key
};

struct BwdItem {
  int64_t unit = 0, chunk = 0;
  int64_t bias_turn = 0;  ///< items of the same chunk of keys before this one
};

struct BwdWorkList {
  struct Shape {
    int64_t block_rows = 0, chunk_keys = 0;
    int64_t units_at_once = 1;  ///< units whose items come in turn, so that workers share no dQ where there are enough
  };

  std::vector<BwdUnit> units;
  std::vector<BwdBlockRows> blocks;
  /// Every chunk of every unit, those of `units_at_once` units together, first chunks first. An item comes behind those
  /// of lower chunks of its unit and those of the same chunk of units before.
  std::vector<BwdItem> items;
  int64_t rows = 0;           ///< of all units
  int64_t max_unit_rows = 0;  ///< of units with more than one chunk
  int64_t max_chunks = 0;

  static BwdWorkList make(const AttentionBwd& problem, const Shape& shape);
};

}  // namespace attend::plan_detail
