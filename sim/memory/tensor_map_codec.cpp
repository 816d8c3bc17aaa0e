// SPDX-License-Identifier: Apache-2.0
// Rules are those of cuTensorMapEncodeTiled in the CUDA driver API, "Tensor Map Object Management".
#include "sim/memory/tensor_map_codec.hpp"

#include <array>
#include <cstdio>
#include <cstring>
#include <type_traits>

namespace ptxsim {
namespace {

using attend::invalid_argument;
using attend::Status;

struct TypeRow {
  const char* name;
  uint8_t bytes;
  bool real;
};
constexpr std::array<TypeRow, 13> kTypes = {{{"u8", 1, false},
                                             {"u16", 2, false},
                                             {"u32", 4, false},
                                             {"s32", 4, false},
                                             {"u64", 8, false},
                                             {"s64", 8, false},
                                             {"f16", 2, true},
                                             {"f32", 4, true},
                                             {"f64", 8, true},
                                             {"bf16", 2, true},
                                             {"f32_ftz", 4, true},
                                             {"tf32", 4, true},
                                             {"tf32_ftz", 4, true}}};
const TypeRow& row_of(TensorType type) { return kTypes[static_cast<size_t>(type)]; }

constexpr uint64_t kMark = 0x50414d5358545031;  // an arbitrary constant
constexpr uint64_t kMaxDim = uint64_t{1} << 32, kStrideLimit = uint64_t{1} << 40;
constexpr uint32_t kMaxBox = 256, kMaxElementStride = 8;

/// The bytes of a map. Nothing in it depends on where anything lies in the simulator's own memory.
struct Image {
  uint64_t mark = 0;
  uint64_t address = 0;
  std::array<uint64_t, 5> dim{};
  std::array<uint64_t, 4> stride_bytes{};
  std::array<uint16_t, 5> box{};
  std::array<uint8_t, 5> element_stride{};
  uint8_t type = 0, rank = 0, swizzle = 0, fill = 0;
  std::array<uint8_t, 13> unused{};
  uint64_t checksum = 0;
};
static_assert(sizeof(Image) == kTensorMapBytes);

/// FNV-1a over all bytes in front of the checksum.
uint64_t checksum_of(const Image& image) {
  std::array<unsigned char, offsetof(Image, checksum)> bytes;
  std::memcpy(bytes.data(), &image, bytes.size());
  uint64_t sum = 0xcbf29ce484222325;
  for (const unsigned char byte : bytes) sum = (sum ^ byte) * 0x100000001b3;
  return sum;
}

Status refuse(const std::string& field, const std::string& found, const std::string& expected) {
  return invalid_argument(field + " is " + found + ", expected " + expected);
}
Status refuse(const std::string& field, uint64_t found, const std::string& expected) {
  return refuse(field, std::to_string(found), expected);
}
std::string element(const char* field, uint32_t index) {
  return std::string(field) + "[" + std::to_string(index) + "]";
}

Status check_kind(const TiledDesc& desc) {
  if (static_cast<size_t>(desc.type) >= kTypes.size())
    return refuse("type", static_cast<uint64_t>(desc.type), "one of TensorType");
  if (desc.swizzle > TensorSwizzle::b128)
    return refuse("swizzle", static_cast<uint64_t>(desc.swizzle), "none, b32, b64 or b128");
  if (desc.fill > TensorFill::nan) return refuse("fill", static_cast<uint64_t>(desc.fill), "zeros or nan");
  if (desc.fill == TensorFill::nan && !is_real(desc.type))
    return refuse("fill", "nan", "zeros (type is " + std::string(tensor_type_name(desc.type)) + ")");
  return {};
}

Status check_tensor(const TiledDesc& desc) {
  if (desc.rank < 1 || desc.rank > 5) return refuse("rank", desc.rank, "1 to 5");
  if (desc.address % 16 != 0) return refuse("address", desc.address, "a multiple of 16");
  for (uint32_t i = 0; i < desc.rank; ++i)
    if (desc.dim[i] < 1 || desc.dim[i] > kMaxDim) return refuse(element("dim", i), desc.dim[i], "1 to 2^32");
  for (uint32_t i = 0; i + 1 < desc.rank; ++i)
    if (desc.stride_bytes[i] % 16 != 0 || desc.stride_bytes[i] >= kStrideLimit)
      return refuse(element("stride_bytes", i), desc.stride_bytes[i], "a multiple of 16 below 2^40");
  return {};
}

Status check_box(const TiledDesc& desc) {
  for (uint32_t i = 0; i < desc.rank; ++i) {
    if (desc.box[i] < 1 || desc.box[i] > kMaxBox) return refuse(element("box", i), desc.box[i], "1 to 256");
    if (desc.element_stride[i] < 1 || desc.element_stride[i] > kMaxElementStride)
      return refuse(element("element_stride", i), desc.element_stride[i], "1 to 8");
  }
  const uint32_t inner = desc.box[0] * tensor_type_bytes(desc.type), width = swizzle_bytes(desc.swizzle);
  const std::string name = "box[0] in bytes";
  if (inner % 16 != 0) return refuse(name, inner, "a multiple of 16");
  if (desc.swizzle == TensorSwizzle::none || inner == width) return {};
  if (inner > width) return refuse(name, inner, "at most " + std::to_string(width) + " (swizzle)");
  return attend::unsupported(name + " is " + std::to_string(inner) + " with a swizzle of " + std::to_string(width) +
                             ": narrower boxes are not simulated");
}

Status check(const TiledDesc& desc) {
  Status status = check_kind(desc);
  if (status.ok()) status = check_tensor(desc);
  return status.ok() ? check_box(desc) : status;
}

/// The bytes as an image that the encoder or replace_field() has made; nothing, and why, when neither has.
std::optional<Image> image_of(std::span<const std::byte, kTensorMapBytes> bytes, std::string& why) {
  Image image;
  std::memcpy(&image, bytes.data(), sizeof image);
  if (image.mark != kMark)
    why = "the 128 bytes are no tensor map";
  else if (image.checksum != checksum_of(image))
    why = "the tensor map's bytes were changed after it was encoded";
  else
    return image;
  return std::nullopt;
}

/// Types in the order of tensormap.replace.
constexpr std::array<TensorType, 13> kReplacedTypes = {
    TensorType::u8,   TensorType::u16,  TensorType::u32,     TensorType::s32,     TensorType::u64,
    TensorType::s64,  TensorType::f16,  TensorType::f32,     TensorType::f32_ftz, TensorType::f64,
    TensorType::bf16, TensorType::tf32, TensorType::tf32_ftz};

bool set_field(Image& image, TensorMapField field, uint32_t dimension, uint64_t value) {
  const auto narrow = [&](auto& at, uint64_t limit) {
    if (value > limit) return false;
    at = static_cast<std::remove_reference_t<decltype(at)>>(value);
    return true;
  };
  switch (field) {
    case TensorMapField::global_address: image.address = value; return true;
    case TensorMapField::rank:  // counted from zero
      if (value > 4) return false;
      image.rank = static_cast<uint8_t>(value + 1);
      return true;
    case TensorMapField::box_dim: return dimension < 5 && narrow(image.box[dimension], kMaxBox);
    case TensorMapField::global_dim: return dimension < 5 && narrow(image.dim[dimension], kMaxDim);
    case TensorMapField::global_stride: return dimension < 4 && narrow(image.stride_bytes[dimension], kStrideLimit);
    case TensorMapField::element_stride:
      return dimension < 5 && narrow(image.element_stride[dimension], kMaxElementStride);
    case TensorMapField::elemtype:
      if (value >= kReplacedTypes.size()) return false;
      image.type = static_cast<uint8_t>(kReplacedTypes[value]);
      return true;
    case TensorMapField::interleave_layout: return value == 0;
    case TensorMapField::swizzle_mode: return narrow(image.swizzle, 3);
    case TensorMapField::fill_mode: return narrow(image.fill, 1);
  }
  return false;
}

}  // namespace

attend::Result<TensorMap> encode_tensor_map(const TiledDesc& desc) {
  const Status status = check(desc);
  if (!status.ok()) return Status(status.code(), "encode_tiled: " + status.message());
  Image image;
  image.mark = kMark;
  image.address = desc.address;
  for (uint32_t i = 0; i < desc.rank; ++i) {
    image.dim[i] = desc.dim[i];
    image.box[i] = static_cast<uint16_t>(desc.box[i]);
    image.element_stride[i] = static_cast<uint8_t>(desc.element_stride[i]);
    if (i + 1 < desc.rank) image.stride_bytes[i] = desc.stride_bytes[i];
  }
  image.type = static_cast<uint8_t>(desc.type);
  image.rank = static_cast<uint8_t>(desc.rank);
  image.swizzle = static_cast<uint8_t>(desc.swizzle);
  image.fill = static_cast<uint8_t>(desc.fill);
  image.checksum = checksum_of(image);
  TensorMap map;
  std::memcpy(map.bytes.data(), &image, sizeof image);
  return map;
}

std::optional<TiledDesc> decode_tensor_map(std::span<const std::byte, kTensorMapBytes> bytes, std::string& why) {
  const std::optional<Image> found = image_of(bytes, why);
  if (!found) return std::nullopt;
  const Image& image = *found;
  TiledDesc desc;
  desc.type = static_cast<TensorType>(image.type);
  desc.rank = image.rank;
  desc.address = image.address;
  desc.dim = image.dim;
  desc.stride_bytes = image.stride_bytes;
  for (size_t i = 0; i < 5; ++i) {
    desc.box[i] = image.box[i];
    desc.element_stride[i] = image.element_stride[i];
  }
  desc.swizzle = static_cast<TensorSwizzle>(image.swizzle);
  desc.fill = static_cast<TensorFill>(image.fill);
  const Status status = check(desc);
  if (status.ok()) return desc;
  why = "the tensor map's " + status.message();
  return std::nullopt;
}

bool replace_field(std::span<std::byte, kTensorMapBytes> bytes, TensorMapField field, uint32_t dimension,
                   uint64_t value, std::string& why) {
  std::optional<Image> image = image_of(bytes, why);
  if (!image) return false;
  if (!set_field(*image, field, dimension, value)) {
    why = "the new value " + std::to_string(value) + " of dimension " + std::to_string(dimension) + " cannot be";
    return false;
  }
  image->checksum = checksum_of(*image);
  std::memcpy(bytes.data(), &*image, sizeof *image);
  return true;
}

uint32_t tensor_type_bytes(TensorType type) { return row_of(type).bytes; }
const char* tensor_type_name(TensorType type) { return row_of(type).name; }
bool is_real(TensorType type) { return row_of(type).real; }
uint32_t swizzle_bytes(TensorSwizzle swizzle) { return 16u << static_cast<uint32_t>(swizzle); }

}  // namespace ptxsim
