// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ptxsim {

/// How a matrix lies in shared memory: the 64-bit descriptor of wgmma taken apart (PTX ISA, "Matrix Descriptor
/// Format"). Offsets in bytes.
struct MatrixDescriptor {
  explicit MatrixDescriptor(uint64_t bits);
  uint32_t start = 0;    ///< address in the shared window
  uint32_t leading = 0;  ///< "leading dimension byte offset"
  uint32_t stride = 0;   ///< "stride dimension byte offset"
  uint32_t base = 0;     ///< base offset, 0 for tiles that begin where the swizzle pattern does
  uint32_t width = 16;   ///< of the swizzle: 128, 64, 32; 16 for none
  uint64_t reserved = 0;

  /// What rule of H16 it breaks by itself; empty: none. Tiles must begin on the boundary at which the swizzle pattern
  /// repeats, but for a step inside its first row (the way to step along k).
  std::string fault() const;
};

/// An operand of one wgmma: 32 bytes along k, `extent` elements along m or n.
struct SharedOperand {
  MatrixDescriptor descriptor;
  uint32_t extent;
  bool mn_major;  ///< 16-bit elements only

  /// Addresses in the shared window of its 16-byte chunks, in the order of DenseMatrix: two of each row, or 16 rows of
  /// extent / 8.
  std::vector<uint32_t> chunks() const;
};

/// Neighbouring chunks as ranges (address, bytes), ascending. Chunks lie below 2^18.
std::vector<std::pair<uint32_t, uint32_t>> merged_ranges(const std::vector<uint32_t>& first,
                                                         const std::vector<uint32_t>& second);

/// The largest address of a chunk that a descriptor can name, plus one.
inline constexpr uint32_t kDescriptorSpan = uint32_t{1} << 18;

}  // namespace ptxsim
