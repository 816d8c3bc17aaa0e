// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "element.hpp"

namespace attend::io {

/// What a safetensors file holds. The tensors view the bytes it was parsed from.
struct SafetensorsFile {
  std::vector<std::pair<std::string, TensorView>> tensors;  ///< in the order of their data
  std::map<std::string, std::string> metadata;              ///< `__metadata__`

  /// null when there is none of that name.
  const TensorView* find(std::string_view name) const;
};

/// Reads the safetensors format (https://github.com/huggingface/safetensors): 8 bytes little-endian header length, a
/// JSON object, then the data. The bytes may come from anybody. Errors, all invalid_argument: a header that is too
/// long, no JSON, nested or double names, unknown elements, a shape that overflows or does not fit its bytes, ranges
/// that overlap, leave a hole or end outside.
Result<SafetensorsFile> parse_safetensors(std::span<const std::byte> bytes);

/// The file of some tensors, in this order, data aligned to 8 bytes. Errors: invalid_argument for a double name or data
/// that is not as long as its shape says.
Result<std::vector<std::byte>> format_safetensors(const SafetensorsFile& file);

}  // namespace attend::io
