// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "element.hpp"

namespace attend::io {

/// One array of a .npy file; `data` views the bytes it was parsed from.
using NpyArray = TensorView;

/// Reads NumPy's array format, versions 1 to 3 (numpy/lib/format.py describes it). The bytes may come from anybody.
/// Errors, all invalid_argument: no .npy, a broken header, big-endian or structured or unknown elements, Fortran order,
/// more than 32 dimensions, fewer or more bytes than the shape says.
Result<NpyArray> parse_npy(std::span<const std::byte> bytes);

/// The file of an array, version 1. bf16 becomes `<u2`, its raw bits. Errors: invalid_argument for an element without
/// descriptor, or data that is not as long as the shape says.
Result<std::vector<std::byte>> format_npy(const TensorView& array);

}  // namespace attend::io
