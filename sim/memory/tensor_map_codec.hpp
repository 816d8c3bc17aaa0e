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

uint32_t tensor_type_bytes(TensorType type);
const char* tensor_type_name(TensorType type);
bool is_real(TensorType type);
/// 16 without a swizzle.
uint32_t swizzle_bytes(TensorSwizzle swizzle);

}  // namespace ptxsim
