// SPDX-License-Identifier: Apache-2.0
#include "sim/tool/argument.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <random>

#include "cli/io/file.hpp"
#include "cli/io/npy.hpp"

namespace ptxsim::tool {

using attend::invalid_argument;
using attend::io::Element;

const char* const kArgumentHelp =
    "One word per parameter, in order, or several for the fields of one that is a struct:\n"
    "  i32:7 u64:0x10 f32:1.5 f16:1 bf16:1     a number: i8 u8 i16 u16 i32 u32 i64 u64 f16 bf16 f32 f64\n"
    "  in:FILE.npy                             pointer to the array\n"
    "  out:FILE.npy:TYPE:SHAPE                 pointer to memory never written; becomes the file\n"
    "  inout:FILE.npy[:OUT.npy]                both; without OUT.npy the result is only compared and shown\n"
    "  zeros:TYPE:SHAPE  scratch:TYPE:SHAPE    zeroed, or never written; no file\n"
    "  random:TYPE:SHAPE[:SEED]                normally distributed (integers: any bits); no file\n"
    "  raw:FILE.bin      out-raw:FILE.bin:BYTES  the same as in: and out: without a header\n"
    "  ptr:NAME[:OFFSET]                       pointer into the buffer of another argument, NAME=...\n"
    "  tma:NAME:box=64x64[:swizzle=128][:fill=nan][:type=bf16][:dims=..][:strides=..]\n"
    "                                          a CUtensorMap of a buffer, passed by value; dims, box and byte\n"
    "                                          strides in the order of the array's shape, fastest last\n"
    "  bytes:00ff80..                          hexadecimal bytes by value\n"
    "Any word may begin with NAME=, as in q=in:q.npy. SHAPE is 1024 or 64x128; TYPE one of f64 f32 f16 bf16 e4m3\n"
    "e5m2 i8 u8 i16 u16 i32 u32 i64 u64. NumPy has no bf16: it travels as u16.";

namespace {

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (size_t end; (end = text.find(at)) != std::string_view::npos; text.remove_prefix(end + 1))
    parts.push_back(text.substr(0, end));
  parts.push_back(text);
  return parts;
}

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  if constexpr (std::is_integral_v<T>) {
    const bool negative = text.starts_with('-');
    std::string_view digits = negative ? text.substr(1) : text;
    const int base = digits.starts_with("0x") || digits.starts_with("0X") ? 16 : 10;
    if (base == 16) digits.remove_prefix(2);
    uint64_t magnitude = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, base);
    if (error != std::errc() || end != digits.data() + digits.size() || digits.empty()) return {};
    const uint64_t most = static_cast<uint64_t>(std::numeric_limits<T>::max());
    if (negative) {
      if (!std::is_signed_v<T> || magnitude > most + 1) return {};
      return static_cast<T>(-magnitude);
    }
    // 0xffffffff is a fine i32: what counts is the bits.
    const uint64_t bits = std::numeric_limits<std::make_unsigned_t<T>>::max();
    if (magnitude > (base == 16 ? bits : most)) return {};
    value = static_cast<T>(magnitude);
  } else {
    const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
    const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty()) return {};
  }
  return value;
}

template <class T>
std::vector<std::byte> bytes_of(const T& value) {
  const auto* begin = reinterpret_cast<const std::byte*>(&value);
  return {begin, begin + sizeof(T)};
}

std::optional<Element> element_of_name(std::string_view name) {
#define ATTEND_ELEMENT(element, bytes, safetensors, npy) \
  if (name == #element) return Element::element;
#include "cli/io/elements.def"
#undef ATTEND_ELEMENT
  return {};
}

Result<std::vector<int64_t>> parse_sizes(std::string_view text) {
  std::vector<int64_t> sizes;
  for (const std::string_view part : split(text, 'x')) {
    const std::optional<int64_t> size = number<int64_t>(part);
    if (!size || *size < 0) return invalid_argument(fmt::format("size is '{}', expected numbers as in 64x128", text));
    sizes.push_back(*size);
  }
  return sizes;
}

/// Bytes of a number as a parameter; nothing when `kind` is no type of numbers.
std::optional<Result<std::vector<std::byte>>> parse_scalar(std::string_view kind, std::string_view text) {
  const auto as = [&]<class T>(T) -> Result<std::vector<std::byte>> {
    const std::optional<T> value = number<T>(text);
    if (!value) return invalid_argument(fmt::format("'{}' is no {}", text, kind));
    return bytes_of(*value);
  };
  const auto as_half = [&](int exponent, int fraction) -> Result<std::vector<std::byte>> {
    const std::optional<double> value = number<double>(text);
    if (!value) return invalid_argument(fmt::format("'{}' is no {}", text, kind));
    return bytes_of(attend::io::round_to_16_bits(*value, exponent, fraction));
  };
  if (kind == "i8") return as(int8_t{});
  if (kind == "u8") return as(uint8_t{});
  if (kind == "i16") return as(int16_t{});
  if (kind == "u16") return as(uint16_t{});
  if (kind == "i32") return as(int32_t{});
  if (kind == "u32") return as(uint32_t{});
  if (kind == "i64") return as(int64_t{});
  if (kind == "u64") return as(uint64_t{});
  if (kind == "f32") return as(float{});
  if (kind == "f64") return as(double{});
  if (kind == "f16") return as_half(5, 10);
  if (kind == "bf16") return as_half(8, 7);
  return {};
}

std::vector<std::byte> random_content(Element element, size_t bytes, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<std::byte> content(bytes);
  const size_t each = static_cast<size_t>(attend::io::element_bytes(element));
  for (size_t at = 0; at < bytes; at += each) {
    std::vector<std::byte> value;
    switch (element) {
      case Element::f64: value = bytes_of(normal(random)); break;
      case Element::f32: value = bytes_of(static_cast<float>(normal(random))); break;
      case Element::f16: value = bytes_of(attend::io::round_to_16_bits(normal(random), 5, 10)); break;
      case Element::bf16: value = bytes_of(attend::io::round_to_16_bits(normal(random), 8, 7)); break;
      // Sign and magnitudes around 1, no NaN.
      case Element::e4m3: value = bytes_of(static_cast<uint8_t>((random() & 0x80) | (40 + random() % 24))); break;
      case Element::e5m2: value = bytes_of(static_cast<uint8_t>((random() & 0x80) | (52 + random() % 12))); break;
      case Element::boolean: value = bytes_of(static_cast<uint8_t>(random() & 1)); break;
      default: value = bytes_of(random()); break;
    }
    std::copy_n(value.begin(), std::min(each, value.size()), content.begin() + static_cast<ptrdiff_t>(at));
  }
  return content;
}

/// One word of --args, cut at its colons.
class WordParser {
 public:
  WordParser(const std::string& word, size_t position, const std::vector<Argument>& before) : before_(before) {
    argument_.text = word;
    argument_.name = "arg" + std::to_string(position + 1);
  }
  Result<Argument> parse() {
    std::string_view word = argument_.text;
    const size_t equals = word.find('='), colon = word.find(':');
    if (equals != std::string_view::npos && equals < colon) {
      argument_.name = word.substr(0, equals);
      word.remove_prefix(equals + 1);
    }
    parts_ = split(word, ':');
    Status status = parse_kind();
    if (!status.ok()) return Status(status.code(), fmt::format("argument '{}': {}", argument_.text, status.message()));
    return std::move(argument_);
  }

 private:
  Status parse_kind() {
    const std::string_view kind = parts_[0];
    if (parts_.size() < 2) return invalid_argument("has no ':', expected KIND:VALUE as in i32:7 or in:q.npy");
    if (kind == "in") return file(false);
    if (kind == "inout") return file(true);
    if (kind == "out") return out();
    if (kind == "raw") return raw();
    if (kind == "out-raw") return out_raw();
    if (kind == "zeros" || kind == "scratch" || kind == "random") return memory(kind);
    if (kind == "ptr") return pointer();
    if (kind == "tma") return tensor_map();
    if (kind == "bytes") return hexadecimal();
    std::optional<Result<std::vector<std::byte>>> scalar = parse_scalar(kind, parts_[1]);
    if (!scalar) {
      return invalid_argument(fmt::format(
          "unknown kind '{}', expected in out inout zeros scratch random raw out-raw ptr tma bytes or a type as in "
          "i32:7",
          kind));
    }
    if (!scalar->ok()) return scalar->status();
    if (Status status = at_most(2); !status.ok()) return status;
    argument_.value = std::move(**scalar);
    argument_.align = static_cast<uint32_t>(argument_.value.size());
    return {};
  }

  Status at_most(size_t count) const {
    if (parts_.size() <= count) return {};
    return invalid_argument(fmt::format("'{}' is too much", parts_[count]));
  }

  Status file(bool inout) {
    if (Status status = at_most(inout ? 3 : 2); !status.ok()) return status;
    Result<std::vector<std::byte>> bytes = attend::io::read_file(std::string(parts_[1]));
    if (!bytes.ok()) return bytes.status();
    const Result<attend::io::NpyArray> array = attend::io::parse_npy(*bytes);
    if (!array.ok()) return array.status();
    argument_.kind = Argument::Kind::buffer;
    argument_.element = array->element;
    argument_.shape = array->shape;
    argument_.content.assign(array->data.begin(), array->data.end());
    argument_.buffer_bytes = argument_.content.size();
    argument_.result = inout;
    if (parts_.size() > 2) argument_.path = parts_[2];
    return {};
  }

  Status typed(size_t type_at) {
    if (parts_.size() <= type_at + 1) return invalid_argument("needs TYPE:SHAPE, as in f32:64x128");
    Result<TypedShape> typed = parse_typed_shape(parts_[type_at], parts_[type_at + 1]);
    if (!typed.ok()) return typed.status();
    argument_.kind = Argument::Kind::buffer;
    argument_.element = typed->element;
    argument_.shape = typed->shape;
    argument_.buffer_bytes = typed->bytes;
    return {};
  }

  Status out() {
    if (Status status = at_most(4); !status.ok()) return status;
    argument_.result = true;
    argument_.path = parts_[1];
    if (argument_.path.empty()) return invalid_argument("needs a file, as in out:c.npy:f32:1024");
    return typed(2);
  }

  Status raw() {
    if (Status status = at_most(2); !status.ok()) return status;
    Result<std::vector<std::byte>> bytes = attend::io::read_file(std::string(parts_[1]));
    if (!bytes.ok()) return bytes.status();
    argument_.kind = Argument::Kind::buffer;
    argument_.raw = true;
    argument_.content = std::move(*bytes);
    argument_.buffer_bytes = argument_.content.size();
    argument_.shape = {static_cast<int64_t>(argument_.buffer_bytes)};
    return {};
  }

  Status out_raw() {
    if (parts_.size() != 3) return invalid_argument("needs FILE:BYTES, as in out-raw:c.bin:4096");
    const std::optional<int64_t> bytes = number<int64_t>(parts_[2]);
    if (!bytes || *bytes <= 0) return invalid_argument(fmt::format("'{}' is no number of bytes", parts_[2]));
    argument_.kind = Argument::Kind::buffer;
    argument_.raw = argument_.result = true;
    argument_.path = parts_[1];
    argument_.buffer_bytes = static_cast<size_t>(*bytes);
    argument_.shape = {*bytes};
    return {};
  }

  Status memory(std::string_view kind) {
    if (Status status = at_most(kind == "random" ? 4 : 3); !status.ok()) return status;
    if (Status status = typed(1); !status.ok()) return status;
    argument_.result = kind != "random";
    if (kind == "zeros") argument_.content.resize(argument_.buffer_bytes);
    if (kind == "random") {
      const std::optional<uint64_t> seed = parts_.size() > 3 ? number<uint64_t>(parts_[3]) : uint64_t{1};
      if (!seed) return invalid_argument(fmt::format("'{}' is no seed", parts_[3]));
      argument_.content = random_content(argument_.element, argument_.buffer_bytes, *seed);
    }
    return {};
  }

  /// The earlier argument that `name` names, by its name.
  Result<const Argument*> buffer(std::string_view name) const {
    std::string known;
    for (const Argument& each : before_) {
      if (each.kind != Argument::Kind::buffer) continue;
      if (each.name == name) return &each;
      known += " " + each.name;
    }
    return invalid_argument(
        fmt::format("no buffer is called '{}' before it; there {}{}", name, known.empty() ? "is none" : "are", known));
  }

  Status pointer() {
    if (Status status = at_most(3); !status.ok()) return status;
    const Result<const Argument*> target = buffer(parts_[1]);
    if (!target.ok()) return target.status();
    const std::optional<uint64_t> offset = parts_.size() > 2 ? number<uint64_t>(parts_[2]) : uint64_t{0};
    if (!offset) return invalid_argument(fmt::format("'{}' is no offset in bytes", parts_[2]));
    argument_.kind = Argument::Kind::pointer;
    argument_.target = parts_[1];
    argument_.offset = *offset;
    return {};
  }

  Status hexadecimal() {
    if (Status status = at_most(2); !status.ok()) return status;
    argument_.kind = Argument::Kind::bytes;
    argument_.align = 1;
    if (parts_[1].size() % 2 != 0) return invalid_argument("has an odd number of hexadecimal digits");
    for (size_t i = 0; i < parts_[1].size(); i += 2) {
      const std::optional<uint8_t> byte = number<uint8_t>("0x" + std::string(parts_[1].substr(i, 2)));
      if (!byte) return invalid_argument(fmt::format("'{}' is no byte", parts_[1].substr(i, 2)));
      argument_.value.push_back(std::byte{*byte});
    }
    return {};
  }

  Status tensor_map();

  Argument argument_;
  std::vector<std::string_view> parts_;
  const std::vector<Argument>& before_;
};

std::optional<TensorType> tensor_type(Element element) {
  switch (element) {
    case Element::u8:
    case Element::i8:
    case Element::boolean:
    case Element::e4m3:
    case Element::e5m2: return TensorType::u8;
    case Element::u16:
    case Element::i16: return TensorType::u16;
    case Element::u32: return TensorType::u32;
    case Element::i32: return TensorType::s32;
    case Element::u64: return TensorType::u64;
    case Element::i64: return TensorType::s64;
    case Element::f16: return TensorType::f16;
    case Element::bf16: return TensorType::bf16;
    case Element::f32: return TensorType::f32;
    case Element::f64: return TensorType::f64;
  }
  return {};
}

/// `from` in the order of an array's shape, into a descriptor's, whose first size is the fastest.
template <class To, size_t N>
Status reversed(std::string_view what, const std::vector<int64_t>& from, size_t rank, std::array<To, N>& to) {
  if (from.size() != rank)
    return invalid_argument(fmt::format("{} has {} sizes, expected {} (as many as dims)", what, from.size(), rank));
  for (size_t i = 0; i < rank; ++i) {
    // What encode_tiled refuses must reach it unchanged.
    to[i] =
        static_cast<To>(std::min<uint64_t>(static_cast<uint64_t>(from[rank - 1 - i]), std::numeric_limits<To>::max()));
  }
  return {};
}

Status WordParser::tensor_map() {
  const Result<const Argument*> target = buffer(parts_[1]);
  if (!target.ok()) return target.status();
  argument_.kind = Argument::Kind::tensor_map;
  argument_.target = parts_[1];
  argument_.align = 64;
  Element element = (*target)->element;
  std::vector<int64_t> dims = (*target)->shape, box, strides, element_strides;
  TiledDesc& desc = argument_.desc;
  for (size_t i = 2; i < parts_.size(); ++i) {
    const size_t equals = parts_[i].find('=');
    if (equals == std::string_view::npos)
      return invalid_argument(fmt::format("'{}' is no KEY=VALUE, as in box=64x64", parts_[i]));
    const std::string_view key = parts_[i].substr(0, equals), value = parts_[i].substr(equals + 1);
    if (key == "type") {
      const std::optional<Element> named = element_of_name(value);
      if (!named) return invalid_argument(fmt::format("type is '{}', expected one as bf16", value));
      element = *named;
    } else if (key == "swizzle") {
      constexpr std::string_view kWidths[] = {"none", "32", "64", "128"};
      const auto width = std::find(std::begin(kWidths), std::end(kWidths), value);
      if (width == std::end(kWidths))
        return invalid_argument(fmt::format("swizzle is '{}', expected none, 32, 64 or 128", value));
      desc.swizzle = static_cast<TensorSwizzle>(width - std::begin(kWidths));
    } else if (key == "fill") {
      if (value != "nan" && value != "zeros")
        return invalid_argument(fmt::format("fill is '{}', expected zeros or nan", value));
      desc.fill = value == "nan" ? TensorFill::nan : TensorFill::zeros;
    } else if (key == "offset") {
      const std::optional<uint64_t> offset = number<uint64_t>(value);
      if (!offset) return invalid_argument(fmt::format("offset is '{}', expected bytes", value));
      argument_.offset = *offset;
    } else if (key == "box" || key == "dims" || key == "strides" || key == "every") {
      Result<std::vector<int64_t>> sizes = parse_sizes(value);
      if (!sizes.ok()) return Status(sizes.status().code(), fmt::format("{}: {}", key, sizes.status().message()));
      (key == "box" ? box : key == "dims" ? dims : key == "strides" ? strides : element_strides) = std::move(*sizes);
    } else {
      return invalid_argument(
          fmt::format("unknown '{}', expected box dims strides every type swizzle fill or offset", key));
    }
  }
  if (box.empty()) return invalid_argument("has no box=, as in box=64x64");
  if (dims.empty() || dims.size() > 5)
    return invalid_argument(fmt::format("dims has {} sizes, expected 1 to 5", dims.size()));
  const size_t rank = dims.size();
  desc.rank = static_cast<uint32_t>(rank);
  desc.type = *tensor_type(element);
  if (Status status = reversed("dims", dims, rank, desc.dim); !status.ok()) return status;
  if (Status status = reversed("box", box, rank, desc.box); !status.ok()) return status;
  if (!element_strides.empty())
    if (Status status = reversed("every", element_strides, rank, desc.element_stride); !status.ok()) return status;
  if (!strides.empty()) {
    if (Status status = reversed("strides", strides, rank - 1, desc.stride_bytes); !status.ok()) return status;
  } else {
    uint64_t stride = static_cast<uint64_t>(attend::io::element_bytes(element));
    for (size_t i = 0; i + 1 < rank; ++i) desc.stride_bytes[i] = stride *= desc.dim[i];
  }
  return {};
}

}  // namespace

Result<TypedShape> parse_typed_shape(std::string_view type, std::string_view sizes) {
  const std::optional<Element> element = element_of_name(type);
  if (!element) return invalid_argument(fmt::format("type is '{}', expected one as f32, bf16, u8", type));
  Result<std::vector<int64_t>> shape = parse_sizes(sizes);
  if (!shape.ok()) return shape.status();
  const Result<int64_t> bytes = attend::io::tensor_bytes("shape", *element, *shape);
  if (!bytes.ok()) return bytes.status();
  constexpr int64_t kMost = int64_t{8} << 30;
  if (*bytes == 0 || *bytes > kMost)
    return invalid_argument(fmt::format("shape is '{}', {} bytes, expected 1 byte to 8 GiB", sizes, *bytes));
  return TypedShape{*element, std::move(*shape), static_cast<size_t>(*bytes)};
}

Result<std::vector<Argument>> parse_arguments(const std::vector<std::string>& buffers,
                                              const std::vector<std::string>& words) {
  std::vector<Argument> arguments;
  const auto add = [&](const std::string& word, size_t position, bool is_parameter) -> Status {
    Result<Argument> argument = WordParser(word, position, arguments).parse();
    if (!argument.ok()) return argument.status();
    argument->is_parameter = is_parameter;
    if (!is_parameter && argument->kind != Argument::Kind::buffer)
      return invalid_argument(
          fmt::format("--buffers has '{}', expected memory, as in x=in:x.npy or x=zeros:f32:64", word));
    const auto same = [&](const Argument& each) { return each.name == argument->name; };
    if (std::any_of(arguments.begin(), arguments.end(), same))
      return invalid_argument(fmt::format("argument '{}': '{}' is the name of an earlier one", word, argument->name));
    arguments.push_back(std::move(*argument));
    return {};
  };
  for (const std::string& word : buffers) {
    if (word.find('=') > word.find(':'))
      return invalid_argument(fmt::format("--buffers has '{}', expected a name, as in x={}", word, word));
    if (Status status = add(word, 0, false); !status.ok()) return status;
  }
  for (size_t i = 0; i < words.size(); ++i)
    if (Status status = add(words[i], i, true); !status.ok()) return status;
  return arguments;
}

}  // namespace ptxsim::tool
