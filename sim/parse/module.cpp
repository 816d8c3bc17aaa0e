// SPDX-License-Identifier: Apache-2.0
// Module: text in, program out.
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sim/isa/decode.hpp"
#include "sim/parse/lower.hpp"

namespace ptxsim {
namespace {

/// Lines and places in a program are 32-bit numbers.
constexpr size_t kMaxText = size_t{1} << 30;

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

}  // namespace

const Function* Program::function(std::string_view function_name) const {
  for (const Function& each : functions)
    if (each.name == function_name) return &each;
  return nullptr;
}

std::string Program::source_text(int32_t source) const {
  constexpr int kMaxCallers = 8;
  std::string text;
  for (int depth = 0; source >= 0 && depth <= kMaxCallers; ++depth) {
    const Source& place = sources[static_cast<size_t>(source)];
    // Of a header the name is enough; the path of the file that is compiled is one to follow.
    const size_t begin = place.caller < 0 ? 0 : place.file.find_last_of('/') + 1;
    text += (depth == 0 ? "" : ", inlined at ") + place.file.substr(begin) + ":" + std::to_string(place.line);
    source = place.caller;
  }
  return text;
}

Result<Module> Module::parse(std::string_view text, std::string name) {
  if (text.size() > kMaxText) return attend::unsupported(name + ": text of more than 2^30 bytes");
  try {
    auto program = std::make_shared<Program>(lower(parse_module(text)));
    program->name = std::move(name);
    program->lines = lines_of(text);
    Module module;
    module.program_ = std::move(program);
    return module;
  } catch (const PtxError& error) {
    const std::string where = error.line > 0 ? name + ":" + std::to_string(error.line) : name;
    return Status(error.code, where + ": " + error.message);
  }
}

Result<Module> Module::from_file(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return attend::invalid_argument("cannot read " + path + ": a folder");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return attend::invalid_argument("cannot open " + path + ": " + std::strerror(errno));
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad()) return attend::invalid_argument("cannot read " + path);
  return parse(text, path);
}

const std::vector<EntryInfo>& Module::entries() const { return program_->entries; }

Result<EntryInfo> Module::entry(std::string_view name) const {
  const EntryInfo* match = nullptr;
  size_t matches = 0;
  std::string list;
  for (const EntryInfo& each : entries()) {
    if (each.name == name) return each;
    if (each.name.find(name) != std::string::npos) {
      match = &each;
      ++matches;
    }
    constexpr size_t kListed = 20, kShown = 200;
    const auto at = static_cast<size_t>(&each - entries().data());
    if (at == kListed) list += ", and " + std::to_string(entries().size() - kListed) + " more";
    if (at < kListed) list += (list.empty() ? "" : ", ") + each.name.substr(0, kShown);
  }
  if (matches == 1) return *match;
  return attend::invalid_argument("entry: " + std::to_string(matches) + " entries of " + program_->name + " match \"" +
                                  std::string(name) + "\", expected one of: " + (list.empty() ? "none" : list));
}

}  // namespace ptxsim
