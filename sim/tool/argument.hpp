// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cli/io/element.hpp"
#include "sim/ptxsim.hpp"

namespace ptxsim::tool {

/// One word of --args: `[NAME=]KIND:...`. kArgumentHelp lists the kinds.
struct Argument {
  enum class Kind : uint8_t { scalar, bytes, buffer, pointer, tensor_map };
  std::string text;  ///< the word, for messages
  std::string name;  ///< "arg3" when the word has none
  Kind kind = Kind::scalar;
  bool is_parameter = true;  ///< false: a buffer of --buffers

  std::vector<std::byte> value;  ///< scalar, bytes: as it is passed
  uint32_t align = 8;

  // buffer
  attend::io::Element element = attend::io::Element::u8;
  std::vector<int64_t> shape;
  std::vector<std::byte> content;  ///< what it holds before the launch; empty: never written
  size_t buffer_bytes = 0;
  bool result = false;  ///< the kernel writes it: compared, and written to `path`
  std::string path;     ///< empty: nowhere
  bool raw = false;     ///< the file has no header

  // pointer, tensor_map
  std::string target;  ///< the buffer it names
  uint64_t offset = 0;
  TiledDesc desc;  ///< without its address
};

extern const char* const kArgumentHelp;

/// Reads the words, those of --buffers first, and the files that they name. Errors: invalid_argument, naming the word.
Result<std::vector<Argument>> parse_arguments(const std::vector<std::string>& buffers,
                                              const std::vector<std::string>& words);

/// `f32:4x8`: an element type and sizes, the last one the fastest.
struct TypedShape {
  attend::io::Element element;
  std::vector<int64_t> shape;
  size_t bytes;
};
Result<TypedShape> parse_typed_shape(std::string_view type, std::string_view sizes);

/// The arguments on a device: buffers allocated and filled, tensor maps encoded, the block of parameters laid out.
struct BoundArguments {
  std::map<std::string, uint64_t> address;  ///< of buffers, by name
  Arguments block;
};
/// Errors: invalid_argument where arguments do not fit the entry's parameters, naming both; what encode_tiled says.
Result<BoundArguments> bind(Device& device, const std::vector<Argument>& arguments, const EntryInfo& entry);

}  // namespace ptxsim::tool
