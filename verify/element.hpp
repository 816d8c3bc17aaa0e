// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/dtype.hpp>
#include <cstdint>
#include <cstring>

#include "base/element.hpp"

namespace attend::verify {

/// Writes `value`, rounded to f32 and then to the type, as element `i` of an array of `type`.
inline void store_element(DType type, void* data, int64_t i, double value) {
  visit_dtype(type, [&]<class E>() {
    const typename E::Storage stored = E::narrow(static_cast<float>(value));
    std::memcpy(static_cast<char*>(data) + i * static_cast<int64_t>(sizeof(stored)), &stored, sizeof(stored));
  });
}

/// Element `i` of an array of `type`, exactly.
inline double load_element(DType type, const void* data, int64_t i) {
  double value = 0;
  visit_dtype(type, [&]<class E>() {
    typename E::Storage stored;
    std::memcpy(&stored, static_cast<const char*>(data) + i * static_cast<int64_t>(sizeof(stored)), sizeof(stored));
    value = static_cast<double>(E::widen(stored));
  });
  return value;
}

/// Raw bits of element `i`, in the low bytes.
inline uint32_t element_bits(DType type, const void* data, int64_t i) {
  uint32_t bits = 0;  // little-endian, as everything that the kernels run on
  std::memcpy(&bits, static_cast<const char*>(data) + i * dtype_bytes(type), static_cast<size_t>(dtype_bytes(type)));
  return bits;
}

inline void set_element_bits(DType type, void* data, int64_t i, uint32_t bits) {
  std::memcpy(static_cast<char*>(data) + i * dtype_bytes(type), &bits, static_cast<size_t>(dtype_bytes(type)));
}

/// NaN with a payload that no arithmetic makes: what fills slots of inputs that nobody may use.
constexpr uint32_t input_poison(DType type) {
  return type == DType::f32 ? 0x7fc00badu : type == DType::f16 ? 0x7e5au : 0x7fdau;
}
/// Another one, for outputs before a run and for the gaps between output rows: a slot that still holds it was not
/// written.
constexpr uint32_t output_poison(DType type) {
  return type == DType::f32 ? 0x7fcdead5u : type == DType::f16 ? 0x7fd5u : 0x7fe5u;
}

}  // namespace attend::verify
