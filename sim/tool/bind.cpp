// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "sim/tool/argument.hpp"

namespace ptxsim::tool {
namespace {

using attend::invalid_argument;

std::string parameter_list(const EntryInfo& entry) {
  std::string text = fmt::format("{} has {} parameters, {} bytes:", entry.name, entry.params.size(), entry.param_bytes);
  for (const EntryInfo::Param& param : entry.params)
    text += fmt::format("\n  {} {} byte{} at {}", param.name, param.bytes, param.bytes == 1 ? "" : "s", param.offset);
  return text;
}

/// What the kernel gets for one argument.
Result<std::vector<std::byte>> passed(Device& device, const Argument& argument, const BoundArguments& bound) {
  const auto bytes_of = [](const auto& value) {
    const auto* begin = reinterpret_cast<const std::byte*>(&value);
    return std::vector<std::byte>(begin, begin + sizeof value);
  };
  switch (argument.kind) {
    case Argument::Kind::scalar:
    case Argument::Kind::bytes: return argument.value;
    case Argument::Kind::buffer: return bytes_of(bound.address.at(argument.name));
    case Argument::Kind::pointer: return bytes_of(bound.address.at(argument.target) + argument.offset);
    case Argument::Kind::tensor_map: {
      TiledDesc desc = argument.desc;
      desc.address = bound.address.at(argument.target) + argument.offset;
      const Result<TensorMap> map = device.encode_tiled(desc);
      if (!map.ok())
        return Status(map.status().code(), fmt::format("argument '{}': {}", argument.text, map.status().message()));
      return bytes_of(map->bytes);
    }
  }
  return invalid_argument("unknown kind of argument");
}

/// Where words go in the block of parameters: one word is a parameter, or several are its fields, one behind the other,
/// each aligned as its type. A struct may end with padding; where words could be divided up in several ways, the first
/// parameters take as many as they can.
class Layout {
 public:
  struct Word {
    uint32_t bytes, align;
  };
  Layout(const EntryInfo& entry, std::vector<Word> words)
      : params_(entry.params),
        words_(std::move(words)),
        offsets_(words_.size()),
        hopeless_((params_.size() + 1) * (words_.size() + 1)) {}

  /// False when the words do not fit; offsets() otherwise.
  bool fits() { return fit(0, 0); }
  const std::vector<uint32_t>& offsets() const { return offsets_; }

 private:
  bool fit(size_t param, size_t word) {
    if (param == params_.size()) return word == words_.size();
    const size_t tried = param * (words_.size() + 1) + word;
    if (hopeless_[tried]) return false;
    constexpr uint32_t kMostPadding = 7;
    const uint32_t room = params_[param].bytes;
    uint32_t end = 0;
    std::vector<uint32_t> ends;
    for (size_t i = word; i < words_.size(); ++i) {
      const uint32_t begin = (end + words_[i].align - 1) / words_[i].align * words_[i].align;
      if (begin + words_[i].bytes > room) break;
      offsets_[i] = params_[param].offset + begin;
      ends.push_back(end = begin + words_[i].bytes);
    }
    for (size_t count = ends.size(); count > 0; --count)
      if (room - ends[count - 1] <= kMostPadding && fit(param + 1, word + count)) return true;
    hopeless_[tried] = true;
    return false;
  }

  const std::vector<EntryInfo::Param>& params_;
  std::vector<Word> words_;
  std::vector<uint32_t> offsets_;
  std::vector<bool> hopeless_;  ///< by parameter and word
};

}  // namespace

Result<BoundArguments> bind(Device& device, const std::vector<Argument>& arguments, const EntryInfo& entry) {
  BoundArguments bound;
  for (const Argument& argument : arguments) {
    if (argument.kind != Argument::Kind::buffer) continue;
    const uint64_t address = device.alloc(argument.buffer_bytes, argument.name);
    bound.address[argument.name] = address;
    if (Status status = device.upload(address, argument.content); !status.ok()) return status;
  }
  std::vector<std::vector<std::byte>> values;
  std::vector<Layout::Word> words;
  std::vector<std::string> texts;
  uint32_t bytes = 0;
  for (const Argument& argument : arguments) {
    if (!argument.is_parameter) continue;
    Result<std::vector<std::byte>> value = passed(device, argument, bound);
    if (!value.ok()) return value.status();
    words.push_back({static_cast<uint32_t>(value->size()), argument.align});
    bytes += words.back().bytes;
    texts.push_back(argument.text);
    values.push_back(std::move(*value));
  }
  Layout layout(entry, words);
  if (!layout.fits()) {
    if (words.size() == entry.params.size())
      for (size_t i = 0; i < words.size(); ++i)
        if (words[i].bytes != entry.params[i].bytes)
          return invalid_argument(fmt::format("argument {}, '{}', has {} bytes, expected {}; {}", i + 1, texts[i],
                                              words[i].bytes, entry.params[i].bytes, parameter_list(entry)));
    return invalid_argument(fmt::format("--args has {} argument{}, {} bytes; {}", words.size(),
                                        words.size() == 1 ? "" : "s", bytes, parameter_list(entry)));
  }
  std::vector<std::byte> block(entry.param_bytes);
  for (size_t i = 0; i < values.size(); ++i)
    std::copy(values[i].begin(), values[i].end(), block.begin() + layout.offsets()[i]);
  bound.block.add_bytes(block, 1);
  return bound;
}

}  // namespace ptxsim::tool
