// SPDX-License-Identifier: Apache-2.0
// Rows of K or V as a cache holds them, each in memory of its own, and what they stand for.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cpu/decode_kernel.hpp"

namespace attend::test {

/// The formats, in the order of decode_formats.def.
const std::vector<cpu::DecodeFormat>& decode_formats();
const char* format_name(cpu::DecodeFormat format);

struct StoredRows {
  StoredRows() = default;
  StoredRows(StoredRows&&) = default;
  StoredRows& operator=(StoredRows&&) = default;

  /// Drawn rows: N(0, 1) in the plain formats, every code with scales around `magnitude` in the others.
  static StoredRows random(cpu::DecodeFormat format, int rows, int columns, uint64_t seed, float magnitude = 1);

  /// Scales of channels, [columns]; a row's own scales are gone then. Only int8.
  void set_channel_scales(const std::vector<float>& scales);
  /// Added to every row.
  void set_mean(const std::vector<float>& mean);
  /// Makes a row NaN in each of its elements.
  void poison(int row);

  /// Addresses of rows [first, first + count), for a block; valid as long as this lives.
  cpu::DecodeSide side(int first) const;
  /// Elements as numbers, rounded to f32, [rows][columns].
  std::vector<float> decoded() const;

  cpu::DecodeFormat format = cpu::DecodeFormat::f32;
  int columns = 0;
  std::vector<std::vector<std::byte>> rows, scales;
  std::vector<float> channel_scales, mean;

 private:
  void find_addresses();
  double element(int row, int column) const;
  std::vector<const void*> row_at_, scale_at_;
};

}  // namespace attend::test
