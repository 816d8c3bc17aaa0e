// SPDX-License-Identifier: Apache-2.0
#include "sim/memory/tensor_box.hpp"

#include <algorithm>

#include "sim/memory/tensor_map_codec.hpp"

namespace ptxsim {
namespace {

/// One row of the box: `bytes` at dense offset 0 and on. Those from `first` to `end` are inside the tensor.
struct Row {
  bool inside = true;
  int64_t first = 0, end = 0;  ///< bytes of the row
  uint64_t global = 0;         ///< of its byte 0
};

/// Dimension 0, which has no element stride.
Row first_row(const TiledDesc& desc, int32_t x) {
  const int64_t size = tensor_type_bytes(desc.type), box = desc.box[0], dim = static_cast<int64_t>(desc.dim[0]);
  Row row;
  row.first = std::clamp<int64_t>(-int64_t{x}, 0, box) * size;
  row.end = std::clamp<int64_t>(dim - x, 0, box) * size;
  row.global = desc.address + static_cast<uint64_t>(int64_t{x} * size);
  return row;
}

void append(std::vector<BoxChunk>& chunks, const TiledDesc& desc, const Row& row, uint32_t address, uint32_t bytes) {
  for (uint32_t offset = 0; offset < bytes; offset += kChunkBytes) {
    BoxChunk chunk;
    chunk.shared = swizzled(desc.swizzle, address + offset);
    const int64_t first = std::max<int64_t>(row.first, offset);
    const int64_t end = std::min<int64_t>(row.end, offset + kChunkBytes);
    if (row.inside && first < end) {
      chunk.first = static_cast<uint8_t>(first - offset);
      chunk.count = static_cast<uint8_t>(end - first);
      chunk.global = row.global + static_cast<uint64_t>(first);
    }
    chunks.push_back(chunk);
  }
}

void extend(std::vector<ByteRange>& ranges, uint64_t address, uint64_t bytes) {
  if (!ranges.empty() && ranges.back().first + ranges.back().second == address)
    ranges.back().second += bytes;
  else
    ranges.emplace_back(address, bytes);
}

}  // namespace

std::array<uint32_t, 5> box_extent(const TiledDesc& desc) {
  std::array<uint32_t, 5> extent{1, 1, 1, 1, 1};
  extent[0] = desc.box[0];
  for (uint32_t i = 1; i < desc.rank; ++i)
    extent[i] = (desc.box[i] + desc.element_stride[i] - 1) / desc.element_stride[i];
  return extent;
}

uint32_t box_bytes(const TiledDesc& desc) {
  uint32_t bytes = tensor_type_bytes(desc.type);
  for (const uint32_t extent : box_extent(desc)) bytes *= extent;
  return bytes;
}

std::vector<BoxChunk> box_chunks(const TiledDesc& desc, const std::array<int32_t, 5>& coordinates, uint32_t address) {
  const std::array<uint32_t, 5> extent = box_extent(desc);
  const uint32_t row_bytes = extent[0] * tensor_type_bytes(desc.type);
  const Row inner = first_row(desc, coordinates[0]);
  std::vector<BoxChunk> chunks;
  chunks.reserve(box_bytes(desc) / kChunkBytes);
  std::array<uint32_t, 5> at{};
  for (uint32_t dense = 0; at[4] < extent[4]; dense += row_bytes) {
    Row row = inner;
    for (uint32_t i = 1; i < desc.rank; ++i) {
      const int64_t x = int64_t{coordinates[i]} + int64_t{at[i]} * desc.element_stride[i];
      row.inside = row.inside && x >= 0 && x < static_cast<int64_t>(desc.dim[i]);
      row.global += static_cast<uint64_t>(x) * desc.stride_bytes[i - 1];
    }
    append(chunks, desc, row, address + dense, row_bytes);
    for (size_t i = 1; i < 5 && ++at[i] == extent[i] && i < 4; ++i) at[i] = 0;
  }
  return chunks;
}

std::array<std::byte, kChunkBytes> box_fill(const TiledDesc& desc) {
  std::array<std::byte, kChunkBytes> fill{};
  if (desc.fill == TensorFill::zeros) return fill;
  // The driver speaks of a special NaN and does not name it: the one that arithmetic makes. Little-endian, so the byte
  // with the sign is the last of each element.
  fill.fill(std::byte{0xff});
  const uint32_t bytes = tensor_type_bytes(desc.type);
  for (uint32_t last = bytes - 1; last < kChunkBytes; last += bytes) fill[last] = std::byte{0x7f};
  return fill;
}

std::vector<ByteRange> global_ranges(const std::vector<BoxChunk>& chunks) {
  std::vector<ByteRange> ranges;
  for (const BoxChunk& chunk : chunks)
    if (chunk.count != 0) extend(ranges, chunk.global, chunk.count);
  return ranges;
}

std::vector<ByteRange> shared_ranges(const std::vector<BoxChunk>& chunks) {
  std::vector<ByteRange> pieces;
  for (const BoxChunk& chunk : chunks)
    if (chunk.count != 0) pieces.emplace_back(chunk.shared + chunk.first, chunk.count);
  std::sort(pieces.begin(), pieces.end());
  std::vector<ByteRange> ranges;
  for (const ByteRange& piece : pieces) extend(ranges, piece.first, piece.second);
  return ranges;
}

}  // namespace ptxsim
