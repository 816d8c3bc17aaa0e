// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/status.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "sim/memory/tensor_map.hpp"

// What the 128 opaque bytes of a tensor map hold here: a mark, a copy of the description, a checksum.
namespace ptxsim {

inline constexpr uint32_t kTensorMapBytes = 128, kTensorMapAlignment = 64;

/// Every documented rule of cuTensorMapEncodeTiled. Errors: invalid_argument that names field, value and what was
/// expected; unsupported for a swizzled box narrower than the swizzle, whose place in shared memory no document fixes.
attend::Result<TensorMap> encode_tensor_map(const TiledDesc& desc);

/// The description in a map's bytes; nothing, and why, when the encoder did not write them.
std::optional<TiledDesc> decode_tensor_map(std::span<const std::byte, kTensorMapBytes> bytes, std::string& why);

/// What tensormap.replace changes.
enum class TensorMapField : uint8_t {
  global_address,
  rank,
  box_dim,
  global_dim,
  global_stride,
  element_stride,
  elemtype,
  interleave_layout,
  swizzle_mode,
  fill_mode
};
/// Changes one field of a map's bytes, that of dimension `dimension` where there is one for each. `value` is coded as
/// the PTX ISA says. What the fields are together is judged when the map is used, as several may change one after the
/// other. False, and why, when the bytes are no map or the value cannot be.
bool replace_field(std::span<std::byte, kTensorMapBytes> bytes, TensorMapField field, uint32_t dimension,
                   uint64_t value, std::string& why);

uint32_t tensor_type_bytes(TensorType type);
const char* tensor_type_name(TensorType type);
bool is_real(TensorType type);
/// 16 without a swizzle.
uint32_t swizzle_bytes(TensorSwizzle swizzle);

}  // namespace ptxsim
