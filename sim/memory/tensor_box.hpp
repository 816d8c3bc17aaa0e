// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "sim/memory/tensor_map.hpp"

// Which bytes of global memory a tensor copy moves, and where they lie in shared memory (PTX ISA 5.5 "Tensors").
namespace ptxsim {

/// 16 bytes of a box in shared memory. Of these, `count` from `first` on are inside the tensor, at `global`; the others
/// are filled by loads and left out by stores.
struct BoxChunk {
  uint32_t shared = 0;
  uint8_t first = 0, count = 0;
  uint64_t global = 0;
};
inline constexpr uint32_t kChunkBytes = 16;

/// Where the byte that belongs at shared `address` goes: the swizzle is a function of the address, not of the box.
constexpr uint32_t swizzled(TensorSwizzle swizzle, uint32_t address) {
  const uint32_t rows = (1u << static_cast<uint32_t>(swizzle)) - 1;
  return address ^ ((address >> 7 & rows) << 4);
}

/// Elements of the box in shared memory, by dimension: an element stride leaves out those between.
std::array<uint32_t, 5> box_extent(const TiledDesc& desc);
/// Of the whole box, whatever part of it is inside the tensor: what an mbarrier counts.
uint32_t box_bytes(const TiledDesc& desc);
/// The box whose first element is at `coordinates`, in the order of its rows; its place begins at shared `address`.
std::vector<BoxChunk> box_chunks(const TiledDesc& desc, const std::array<int32_t, 5>& coordinates, uint32_t address);
/// What fills 16 bytes outside the tensor.
std::array<std::byte, kChunkBytes> box_fill(const TiledDesc& desc);

/// A range of bytes: address and length.
using ByteRange = std::pair<uint64_t, uint64_t>;
/// The bytes inside the tensor: runs that neighbours in the box form in global memory, and in shared memory.
std::vector<ByteRange> global_ranges(const std::vector<BoxChunk>& chunks);
std::vector<ByteRange> shared_ranges(const std::vector<BoxChunk>& chunks);

}  // namespace ptxsim
