// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/dtype.hpp>
#include <attend/status.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attend::io {

/// Element type of a tensor in a file; the rows of elements.def.
enum class Element : int32_t {
#define ATTEND_ELEMENT(name, bytes, safetensors, npy) name,
#include "elements.def"
#undef ATTEND_ELEMENT
};

int element_bytes(Element element);
/// `f32`, as the enumerator.
const char* element_name(Element element);
Element element_of(DType type);

/// A tensor in somebody else's bytes, dense and row-major; the bytes need no alignment.
struct TensorView {
  Element element = Element::f32;
  std::vector<int64_t> shape;
  std::span<const std::byte> data;
};

/// Product of the shape times the element's bytes; invalid_argument, which begins with `where`, when a size is negative
/// or the product exceeds 2^62.
Result<int64_t> tensor_bytes(const std::string& where, Element element, std::span<const int64_t> shape);

/// `[1, 1000, 9, 64]`
std::string shape_text(std::span<const int64_t> shape);

/// The elements rounded (to nearest, ties to even) or widened to `type`. u16 counts as the raw bits of bf16, as .npy
/// has it. Error: invalid_argument for elements that are no floating-point numbers.
Result<std::vector<std::byte>> convert_elements(Element from, std::span<const std::byte> data, DType type);

/// Element `index` of a dense array, exactly.
double element_value(DType type, const void* data, int64_t index);
/// `value` rounded to f16 (5, 10) or bf16 (8, 7): exponent bits, fraction bits. Overflow gives infinity, NaN stays NaN.
uint16_t round_to_16_bits(double value, int exponent_bits, int fraction_bits);
double widen_16_bits(uint16_t bits, int exponent_bits, int fraction_bits);

}  // namespace attend::io
