// SPDX-License-Identifier: Apache-2.0
#include "sim/tool/command.hpp"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>

namespace ptxsim::tool {

CLI::Validator whole_number(uint64_t most) {
  return CLI::Validator(
      [most](const std::string& word) {
        uint64_t value = 0;
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
        if (error == std::errc() && end == word.data() + word.size() && value <= most) return std::string();
        return fmt::format("'{}' is no whole number from 0 to {}", word, most);
      },
      "");
}

void require_folder_of(const std::string& file) {
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  std::error_code error;
  if (!folder.empty() && !std::filesystem::is_directory(folder, error))
    throw CommandError(fmt::format("cannot write {}: there is no folder {}", file, folder.string()), kExitUsage);
}

}  // namespace ptxsim::tool
