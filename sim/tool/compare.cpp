// SPDX-License-Identifier: Apache-2.0
#include "sim/tool/compare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "sim/numeric/float8.hpp"

namespace ptxsim::tool {

using attend::io::Element;

namespace {

template <class T>
T at(std::span<const std::byte> data, size_t index) {
  T value;
  std::memcpy(&value, data.data() + index * sizeof value, sizeof value);
  return value;
}

/// Calls f with the element as a number of its own type.
template <class F>
auto visit(Element element, std::span<const std::byte> data, size_t i, F f) {
  switch (element) {
    case Element::f64: return f(at<double>(data, i));
    case Element::f32: return f(at<float>(data, i));
    case Element::f16: return f(attend::io::widen_16_bits(at<uint16_t>(data, i), 5, 10));
    case Element::bf16: return f(attend::io::widen_16_bits(at<uint16_t>(data, i), 8, 7));
    case Element::e4m3: return f(e4m3_to_f32(at<uint8_t>(data, i)));
    case Element::e5m2: return f(e5m2_to_f32(at<uint8_t>(data, i)));
    case Element::u16: return f(at<uint16_t>(data, i));
    case Element::i16: return f(at<int16_t>(data, i));
    case Element::u32: return f(at<uint32_t>(data, i));
    case Element::i32: return f(at<int32_t>(data, i));
    case Element::u64: return f(at<uint64_t>(data, i));
    case Element::i64: return f(at<int64_t>(data, i));
    case Element::i8: return f(static_cast<int>(at<int8_t>(data, i)));
    case Element::u8:
    case Element::boolean: break;
  }
  return f(static_cast<unsigned>(at<uint8_t>(data, i)));
}

}  // namespace

double element_number(Element element, std::span<const std::byte> data, size_t index) {
  return visit(element, data, index, [](auto value) { return static_cast<double>(value); });
}

std::string element_text(Element element, std::span<const std::byte> data, size_t index) {
  return visit(element, data, index, [](auto value) {
    if constexpr (std::is_integral_v<decltype(value)>)
      return fmt::format("{}", value);
    else
      return fmt::format("{:.6g}", value);
  });
}

Comparison compare(Element element, std::span<const std::byte> found, std::span<const std::byte> expected,
                   double tolerance) {
  Comparison result;
  result.same_bits = std::equal(found.begin(), found.end(), expected.begin(), expected.end());
  if (result.same_bits) return result;
  const size_t count = found.size() / static_cast<size_t>(attend::io::element_bytes(element));
  for (size_t i = 0; i < count; ++i) {
    const double a = element_number(element, found, i), b = element_number(element, expected, i);
    double error = 0;
    if (std::isnan(a) != std::isnan(b))
      error = std::numeric_limits<double>::infinity();
    else if (!std::isnan(a) && a != b)
      error = std::abs(a - b) / std::max(1.0, std::isfinite(b) ? std::abs(b) : 1.0);
    result.max_error = std::max(result.max_error, error);
    if (error > tolerance && result.different++ == 0) result.first = i;
  }
  return result;
}

}  // namespace ptxsim::tool
