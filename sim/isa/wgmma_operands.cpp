// SPDX-License-Identifier: Apache-2.0
#include "sim/isa/wgmma_operands.hpp"

#include <array>
#include <bit>

namespace ptxsim {
namespace {

constexpr uint32_t kChunk = 16;
constexpr uint64_t kReserved = uint64_t{3} << 14 | uint64_t{3} << 30 | uint64_t{7} << 46 | uint64_t{0x3ff} << 52;

uint32_t field(uint64_t bits, int at) { return static_cast<uint32_t>(bits >> at & 0x3fff) * kChunk; }

/// The 16-byte chunk's place in its row is exchanged by the row's number; on absolute addresses.
uint32_t swizzled(uint32_t address, uint32_t width) {
  const uint32_t rows = width / kChunk;
  return address ^ ((address >> 7 & (rows - 1)) << 4);
}

}  // namespace

MatrixDescriptor::MatrixDescriptor(uint64_t bits)
    : start(field(bits, 0)),
      leading(field(bits, 16)),
      stride(field(bits, 32)),
      base(static_cast<uint32_t>(bits >> 49 & 7)),
      reserved(bits & kReserved) {
  constexpr std::array<uint32_t, 4> kWidths = {16, 128, 64, 32};
  width = kWidths[bits >> 62];
}

std::string MatrixDescriptor::fault() const {
  if (reserved != 0) return "has bits set that are reserved";
  if (base != 0) return "has base offset " + std::to_string(base) + ", expected 0";
  if (width > kChunk && start % (8 * width) >= width)
    return "starts at " + std::to_string(start) + ", not at a multiple of " + std::to_string(8 * width) +
           " where the swizzle pattern of " + std::to_string(width) + " bytes repeats";
  return {};
}

std::vector<uint32_t> SharedOperand::chunks() const {
  const MatrixDescriptor& d = descriptor;
  const bool plain = d.width == kChunk;
  std::vector<uint32_t> out;
  out.reserve(size_t{extent} * 2);
  if (!mn_major) {
    const uint32_t next = plain ? d.leading : kChunk;
    for (uint32_t row = 0; row < extent; ++row) {
      const uint32_t at = d.start + row % 8 * d.width + row / 8 * d.stride;
      out.push_back(swizzled(at, d.width));
      out.push_back(swizzled(at + next, d.width));
    }
    return out;
  }
  const uint32_t per_row = d.width / kChunk;  // chunks of a row of the pattern
  for (uint32_t k = 0; k < 16; ++k) {
    const uint32_t row = d.start + k % 8 * d.width + k / 8 * (plain ? d.leading : d.stride);
    for (uint32_t x = 0; x < extent / 8; ++x)
      out.push_back(swizzled(row + x % per_row * kChunk + x / per_row * (plain ? d.stride : d.leading), d.width));
  }
  return out;
}

std::vector<std::pair<uint32_t, uint32_t>> merged_ranges(const std::vector<uint32_t>& first,
                                                         const std::vector<uint32_t>& second) {
  constexpr uint32_t kWords = kDescriptorSpan / kChunk / 64;
  std::array<uint64_t, kWords> used{};
  for (const auto* chunks : {&first, &second})
    for (const uint32_t at : *chunks) used[at / kChunk / 64] |= uint64_t{1} << (at / kChunk % 64);
  std::vector<std::pair<uint32_t, uint32_t>> out;
  for (uint32_t word = 0; word < kWords; ++word) {
    for (uint64_t rest = used[word]; rest != 0;) {
      const uint32_t begin = static_cast<uint32_t>(std::countr_zero(rest));
      const uint32_t length = static_cast<uint32_t>(std::countr_one(rest >> begin));
      const uint32_t address = (word * 64 + begin) * kChunk;
      if (!out.empty() && out.back().first + out.back().second == address)
        out.back().second += length * kChunk;
      else
        out.emplace_back(address, length * kChunk);
      rest &= begin + length == 64 ? 0 : ~uint64_t{0} << (begin + length);
    }
  }
  return out;
}

}  // namespace ptxsim
