// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/status.hpp>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attend::io {

/// The whole file. Errors: invalid_argument with path and reason (missing, a folder, unreadable), out_of_memory.
Result<std::vector<std::byte>> read_file(const std::string& path);

/// Writes a temporary file beside `path`, flushes it and renames it over `path`: readers see the old file or the whole
/// new one. Error: internal with path and reason; the temporary file is removed. A path that is no regular file
/// (`/dev/stdout`) is written directly.
Status write_file_atomically(const std::string& path, std::span<const std::byte> content);
Status write_file_atomically(const std::string& path, std::string_view content);

}  // namespace attend::io
