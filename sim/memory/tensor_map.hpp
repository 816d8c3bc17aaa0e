// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace ptxsim {

/// The opaque 128 bytes of a CUtensorMap. Never read or patched by whoever holds it.
struct alignas(64) TensorMap {
  std::array<std::byte, 128> bytes{};
};

// The numbers are those of the CUDA driver's CUtensorMap* enumerations.
enum class TensorType : uint8_t { u8 = 0, u16, u32, s32, u64, s64, f16, f32, f64, bf16, f32_ftz, tf32, tf32_ftz };
enum class TensorSwizzle : uint8_t { none = 0, b32, b64, b128 };
enum class TensorFill : uint8_t { zeros = 0, nan };

/// What cuTensorMapEncodeTiled is told; dimension 0 is the fastest.
struct TiledDesc {
  TensorType type = TensorType::f32;
  uint32_t rank = 1;                                      ///< 1..5
  uint64_t address = 0;                                   ///< global, 16-byte aligned
  std::array<uint64_t, 5> dim{};                          ///< elements
  std::array<uint64_t, 4> stride_bytes{};                 ///< of dimensions 1..rank-1; multiples of 16, below 2^40
  std::array<uint32_t, 5> box{};                          ///< 1..256 elements each
  std::array<uint32_t, 5> element_stride{1, 1, 1, 1, 1};  ///< 1..8
  TensorSwizzle swizzle = TensorSwizzle::none;
  TensorFill fill = TensorFill::zeros;
};

}  // namespace ptxsim
