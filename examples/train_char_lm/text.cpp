// SPDX-License-Identifier: Apache-2.0
#include "text.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>

namespace train_char_lm {

namespace {

constexpr const char* kLicences = "/usr/share/common-licenses";

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(file), {}};
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return content;
}

std::string read_licences() {
  std::set<std::filesystem::path> files;  // sorted: the same text everywhere
  if (std::filesystem::is_directory(kLicences))
    for (const auto& entry : std::filesystem::directory_iterator(kLicences))
      if (entry.is_regular_file() && !entry.is_symlink()) files.insert(entry.path());
  std::string all;
  for (const auto& file : files) all += read_file(file);
  return all;
}

}  // namespace

Text Text::read(const std::string& file, int64_t least) {
  Text text;
  text.name_ = file.empty() ? kLicences : file;
  const std::string content = file.empty() ? read_licences() : read_file(file);
  if (static_cast<int64_t>(content.size()) < least)
    throw std::runtime_error(text.name_ + " has " + std::to_string(content.size()) + " characters, expected at least " +
                             std::to_string(least) + "; another text may be given as FILE");
  const std::set<char> distinct(content.begin(), content.end());
  text.bytes_.assign(distinct.begin(), distinct.end());
  for (const char c : content) text.characters_.push_back(static_cast<int32_t>(text.bytes_.find(c)));
  return text;
}

Text::Batch Text::windows(const std::vector<int64_t>& starts, int64_t context) const {
  Batch batch;
  for (const int64_t start : starts) {
    const auto first = characters_.begin() + start;
    batch.inputs.insert(batch.inputs.end(), first, first + context);
    batch.targets.insert(batch.targets.end(), first + 1, first + context + 1);
  }
  return batch;
}

Text::Batch Text::training(int64_t batch, int64_t context, std::mt19937_64& random) const {
  std::uniform_int_distribution<int64_t> start(0, size() * 9 / 10 - context - 1);
  std::vector<int64_t> starts(static_cast<size_t>(batch));
  std::generate(starts.begin(), starts.end(), [&] { return start(random); });
  return windows(starts, context);
}

Text::Batch Text::held_out(int64_t batch, int64_t context) const {
  const int64_t begin = size() * 9 / 10, positions = size() - begin - context;
  std::vector<int64_t> starts;
  for (int64_t i = 0; i < batch; ++i) starts.push_back(begin + i * context % positions);
  return windows(starts, context);
}

}  // namespace train_char_lm
