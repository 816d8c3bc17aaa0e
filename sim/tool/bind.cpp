// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstring>

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

}  // namespace

Result<BoundArguments> bind(Device& device, const std::vector<Argument>& arguments, const EntryInfo& entry) {
  BoundArguments bound;
  for (const Argument& argument : arguments) {
    if (argument.kind != Argument::Kind::buffer) continue;
    const uint64_t address = device.alloc(argument.buffer_bytes, argument.name);
    bound.address[argument.name] = address;
    if (Status status = device.upload(address, argument.content); !status.ok()) return status;
  }
  // As many words as parameters: each word is one. Otherwise words are the fields of structs, one behind the other.
  const bool one_each = arguments.size() == entry.params.size();
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Result<std::vector<std::byte>> bytes = passed(device, arguments[i], bound);
    if (!bytes.ok()) return bytes.status();
    if (one_each && bytes->size() != entry.params[i].bytes) {
      return invalid_argument(fmt::format("argument {}, '{}', has {} bytes, expected {}; {}", i + 1, arguments[i].text,
                                          bytes->size(), entry.params[i].bytes, parameter_list(entry)));
    }
    bound.block.add_bytes(*bytes, one_each ? std::max(1u, entry.params[i].align) : arguments[i].align);
  }
  // A struct may end with padding, but no parameter is padding alone.
  const size_t have = bound.block.bytes().size();
  const size_t slack = one_each ? 0 : 7;
  if (arguments.size() < entry.params.size() || have > entry.param_bytes || have + slack < entry.param_bytes) {
    return invalid_argument(fmt::format("--args has {} argument{}, {} bytes; {}", arguments.size(),
                                        arguments.size() == 1 ? "" : "s", have, parameter_list(entry)));
  }
  bound.block.add_bytes(std::vector<std::byte>(entry.param_bytes - have), 1);
  return bound;
}

}  // namespace ptxsim::tool
