// SPDX-License-Identifier: Apache-2.0
#include "element.hpp"

#include <cmath>
#include <cstring>
#include <limits>

namespace attend::io {

int element_bytes(Element element) {
  switch (element) {
#define ATTEND_ELEMENT(name, bytes, safetensors, npy) \
  case Element::name:                                 \
    return bytes;
#include "elements.def"
#undef ATTEND_ELEMENT
  }
  return 0;
}

const char* element_name(Element element) {
  switch (element) {
#define ATTEND_ELEMENT(name, bytes, safetensors, npy) \
  case Element::name:                                 \
    return #name;
#include "elements.def"
#undef ATTEND_ELEMENT
  }
  return "?";
}

Element element_of(DType type) {
  switch (type) {
#define ATTEND_DTYPE(name, bytes, significand_bits, safetensors, npy) \
  case DType::name:                                                   \
    return Element::name;
#include <attend/dtypes.def>
#undef ATTEND_DTYPE
  }
  return Element::f32;
}

Result<int64_t> tensor_bytes(const std::string& where, Element element, std::span<const int64_t> shape) {
  constexpr int64_t kLimit = int64_t{1} << 62;
  int64_t bytes = element_bytes(element);
  bool empty = false;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < 0)
      return invalid_argument(where + ": shape[" + std::to_string(i) + "] is " + std::to_string(shape[i]) +
                              ", expected 0 or more");
    if (shape[i] == 0) {
      empty = true;  // goes on, so that a size after it is still judged
    } else if (__builtin_mul_overflow(bytes, shape[i], &bytes) || bytes > kLimit) {
      return invalid_argument(where + ": shape " + shape_text(shape) + " has more bytes than 2^62");
    }
  }
  return empty ? 0 : bytes;
}

std::string shape_text(std::span<const int64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

uint16_t round_to_16_bits(double value, int exponent_bits, int fraction_bits) {
  const int sign = std::signbit(value) ? 1 << 15 : 0;
  const int top_exponent = (1 << exponent_bits) - 1, bias = (1 << (exponent_bits - 1)) - 1;
  const int infinity = top_exponent << fraction_bits;
  if (std::isnan(value)) return static_cast<uint16_t>(sign | infinity | 1 << (fraction_bits - 1));
  if (std::isinf(value)) return static_cast<uint16_t>(sign | infinity);
  if (value == 0) return static_cast<uint16_t>(sign);
  // Counted in units of the last place; below the normal range that unit stays the one of the smallest normal number.
  const int exponent = std::max(std::ilogb(value), 1 - bias);
  const auto units = static_cast<int>(std::nearbyint(std::ldexp(std::fabs(value), fraction_bits - exponent)));
  // A carry out of the fraction lands in the exponent field, where it belongs; so does one from subnormal to normal.
  const int64_t bits = (static_cast<int64_t>(exponent + bias - 1) << fraction_bits) + units;
  return static_cast<uint16_t>(sign | (bits >= infinity ? infinity : static_cast<int>(bits)));
}

double widen_16_bits(uint16_t bits, int exponent_bits, int fraction_bits) {
  const int top_exponent = (1 << exponent_bits) - 1, bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = bits >> fraction_bits & top_exponent, fraction = bits & ((1 << fraction_bits) - 1);
  double magnitude = 0;
  if (exponent == top_exponent)
    magnitude = fraction != 0 ? std::numeric_limits<double>::quiet_NaN() : std::numeric_limits<double>::infinity();
  else if (exponent == 0)
    magnitude = std::ldexp(fraction, 1 - bias - fraction_bits);
  else
    magnitude = std::ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
  return (bits >> 15) != 0 ? -magnitude : magnitude;
}

namespace {

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

double load_value(Element element, const std::byte* at) {
  switch (element) {
    case Element::f64: return load<double>(at);
    case Element::f32: return static_cast<double>(load<float>(at));
    case Element::f16: return widen_16_bits(load<uint16_t>(at), 5, 10);
    case Element::bf16:
    case Element::u16: return widen_16_bits(load<uint16_t>(at), 8, 7);
    default: return std::numeric_limits<double>::quiet_NaN();
  }
}

void store_value(DType type, double value, std::byte* at) {
  switch (type) {
    case DType::f32: {
      const auto narrow = static_cast<float>(value);
      std::memcpy(at, &narrow, sizeof narrow);
      return;
    }
    case DType::f16:
    case DType::bf16: {
      const uint16_t bits = type == DType::f16 ? round_to_16_bits(value, 5, 10) : round_to_16_bits(value, 8, 7);
      std::memcpy(at, &bits, sizeof bits);
      return;
    }
  }
}

}  // namespace

double element_value(DType type, const void* data, int64_t index) {
  return load_value(element_of(type), static_cast<const std::byte*>(data) + index * dtype_bytes(type));
}

Result<std::vector<std::byte>> convert_elements(Element from, std::span<const std::byte> data, DType type) {
  const bool is_float = from == Element::f64 || from == Element::f32 || from == Element::f16 || from == Element::bf16 ||
                        from == Element::u16;
  if (!is_float)
    return invalid_argument(std::string("elements are ") + element_name(from) +
                            ", expected f64, f32, f16, bf16, or u16 with the bits of bf16");
  const bool same = from == element_of(type) || (from == Element::u16 && type == DType::bf16);
  if (same) return std::vector<std::byte>(data.begin(), data.end());
  const auto source_bytes = static_cast<size_t>(element_bytes(from)),
             target_bytes = static_cast<size_t>(dtype_bytes(type));
  const size_t count = data.size() / source_bytes;
  std::vector<std::byte> converted(count * target_bytes);
  for (size_t i = 0; i < count; ++i)
    store_value(type, load_value(from, data.data() + i * source_bytes), converted.data() + i * target_bytes);
  return converted;
}

}  // namespace attend::io
